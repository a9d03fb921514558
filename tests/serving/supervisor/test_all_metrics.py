import asyncio
from collections.abc import Mapping

import httpx
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from serving.supervisor.all_metrics import metrics_app
from serving.supervisor.own_metrics import metrics_server
from serving.supervisor.processes import ProcessInfo


def of(level: float) -> bytes:
    registry = CollectorRegistry()
    Gauge("level", "Level", registry=registry).set(level)
    return generate_latest(registry)


async def got(
    path: str,
    *,
    processes: Mapping[str, ProcessInfo] | None = None,
    urls: Mapping[str, str] | None = None,
    torchserve: Mapping[str, str] | None = None,
) -> httpx.Response:
    app = metrics_app(lambda: processes or {}, lambda: urls or {}, lambda: torchserve or {})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here:8083") as client:
        return await client.get(path)


async def asked(processes: Mapping[str, ProcessInfo], urls: Mapping[str, str]) -> str:
    reply = await got("/metrics", processes=processes, urls=urls)
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


async def test_when_a_series_began_is_not_told() -> None:
    registry = CollectorRegistry()
    Counter("answers", "Answers", registry=registry).inc()

    async with metrics_server(lambda: generate_latest(registry)) as one:
        told = await asked({}, {"gateway-1": one})

    assert 'answers_total{process="gateway-1"} 1.0' in told
    assert "_created" not in told


async def test_torchserves_are_found_below_the_address_that_was_asked() -> None:
    reply = await got("/targets", torchserve={"torchserve-1": "http://127.0.0.1:1/metrics"})

    assert reply.headers["content-type"] == "application/json"
    path = "/torchserve/torchserve-1/metrics"
    labels = {"__metrics_path__": path, "process": "torchserve-1"}
    assert reply.json() == [{"targets": ["here:8083"], "labels": labels}]


async def test_a_torchserve_s_own_metrics_come_as_it_says_them() -> None:
    async with metrics_server(lambda: of(1)) as one:
        torchserve = {"torchserve-1": one, "torchserve-2": "http://127.0.0.1:1/metrics"}
        told = await got("/torchserve/torchserve-1/metrics", torchserve=torchserve)
        down = await got("/torchserve/torchserve-2/metrics", torchserve=torchserve)
        unknown = await got("/torchserve/torchserve-3/metrics", torchserve=torchserve)

    assert "level 1.0" in told.text.splitlines()
    assert (down.status_code, unknown.status_code) == (503, 404)
