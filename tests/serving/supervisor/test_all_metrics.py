import asyncio
from collections.abc import Mapping

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from serving.supervisor.all_metrics import metrics_app
from serving.supervisor.own_metrics import metrics_server
from serving.supervisor.processes import ProcessInfo


def of(level: float) -> bytes:
    registry = CollectorRegistry()
    Gauge("level", "Level", registry=registry).set(level)
    return generate_latest(registry)


async def asked(processes: Mapping[str, ProcessInfo], urls: Mapping[str, str]) -> str:
    transport = httpx.ASGITransport(metrics_app(lambda: processes, lambda: urls))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        reply = await client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return reply.text


async def test_processes_that_are_up_are_merged_and_the_others_are_told() -> None:
    async with metrics_server(lambda: of(1)) as one, metrics_server(lambda: of(2)) as two:
        told = await asked(
            {
                "gateway-1": ProcessInfo(pid=1, up=True, restarts=0),
                "gateway-2": ProcessInfo(pid=2, up=True, restarts=3),
                "torchserve-1": ProcessInfo(pid=None, up=False, restarts=1),
            },
            {"gateway-1": one, "gateway-2": two},
        )

    lines = told.splitlines()
    assert 'level{process="gateway-1"} 1.0' in lines
    assert 'level{process="gateway-2"} 2.0' in lines
    assert 'understudy_process_up{process="torchserve-1"} 0.0' in lines
    assert 'understudy_process_restarts_total{process="gateway-2"} 3.0' in lines
    assert any(line.startswith('process_cpu_seconds_total{process="gateway-1"}') for line in lines)


async def test_one_that_does_not_answer_is_left_out() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    gone = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
    async with server, metrics_server(lambda: of(1)) as one:
        told = await asked({}, {"gateway-1": one, "gateway-2": gone})

    assert 'level{process="gateway-1"} 1.0' in told
    assert "gateway-2" not in told
