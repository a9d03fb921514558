"""A load generator, a process of its own: so many connections, each asks again once it is answered.

Reads what to send from a file, prints a line of JSON when warm-up is over and one when all is done.
"""

import asyncio
import itertools
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.serve.answers import read
from bench.serve.figures import percentile
from bench.serve.wires import CAMERA_HEADER

_TIMEOUT_S = 60.0


@dataclass
class _Tally:
    """What came of the requests that were answered while it was counted."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    who: Counter[str] = field(default_factory=Counter)
    stages_ms: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Load:
    spec: dict[str, Any]
    bodies: list[bytes]
    turns: "itertools.count[int]" = field(default_factory=itertools.count)


async def _ask(http: aiohttp.ClientSession, load: _Load, number: int, tally: _Tally) -> None:
    """Send one request and note what came of it."""
    place = next(load.turns) % len(load.bodies)
    one = load.spec["requests"][place]
    headers = {**load.spec["headers"], **one["headers"], CAMERA_HEADER: f"camera-{number:03d}"}
    began_s = time.perf_counter()
    try:
        async with http.post(load.spec["url"], data=load.bodies[place], headers=headers) as reply:
            body = await reply.read()
            status = reply.status
    except (aiohttp.ClientError, TimeoutError) as error:
        tally.failures[type(error).__name__] += 1
        return
    latency_ms = 1000 * (time.perf_counter() - began_s)
    if failure := _failure(load.spec["server"], status, body, one["expects"], tally):
        tally.failures[failure] += 1
    else:
        tally.latencies_ms.append(latency_ms)


def _failure(server: str, status: int, body: bytes, expects: bool, tally: _Tally) -> str:
    """Return what is wrong with an answer, "" for nothing."""
    if status != 200:
        return f"http_{status}"
    try:
        answer = read(server, body)
    except ValueError:
        return "not_an_answer"
    if expects and not len(answer.boxes):
        return "found_nothing"
    tally.who[answer.who] += 1
    tally.stages_ms.update(answer.stages_ms)
    return ""


async def _run(load: _Load) -> dict[str, Any]:
    spec = load.spec
    ended = asyncio.Event()
    tally = [_Tally()]
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:

        async def connection(number: int) -> None:
            while not ended.is_set():
                # Whoever is answered after warm-up counts, whenever it was sent.
                noted = _Tally()
                await _ask(http, load, number, noted)
                _add(tally[0], noted)

        async with asyncio.TaskGroup() as group:
            for number in range(spec["connections"]):
                group.create_task(connection(number))
            await asyncio.sleep(spec["warm_up_s"])
            _say({"event": "begin", "warm_up_failures": dict(tally[0].failures)})
            cpu_s, began_s = _cpu_s(), time.perf_counter()
            tally[0] = _Tally()
            await asyncio.sleep(spec["seconds"])
            counted, seconds = tally[0], time.perf_counter() - began_s
            used_s = _cpu_s() - cpu_s
            tally[0] = _Tally()
            _say({"event": "end"})
            ended.set()
    return _figures(counted, seconds, used_s)


def _add(to: _Tally, one: _Tally) -> None:
    to.latencies_ms += one.latencies_ms
    to.failures.update(one.failures)
    to.who.update(one.who)
    to.stages_ms.update(one.stages_ms)


def _figures(counted: _Tally, seconds: float, cpu_s: float) -> dict[str, Any]:
    answered = len(counted.latencies_ms)
    return {
        "event": "figures",
        "seconds": round(seconds, 3),
        "answered": answered,
        "failed": sum(counted.failures.values()),
        "failures": dict(counted.failures),
        "who": dict(counted.who),
        "stages_ms": {
            stage: round(ms / max(answered, 1), 3) for stage, ms in counted.stages_ms.items()
        },
        "requests_per_s": round(answered / seconds, 3),
        "p50_ms": percentile(counted.latencies_ms, 0.5),
        "p99_ms": percentile(counted.latencies_ms, 0.99),
        "generator_cpu_ms": round(1000 * cpu_s / max(answered, 1), 3),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def main() -> None:
    """Load what the file named on the command line says."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    bodies = [Path(one["body"]).read_bytes() for one in spec["requests"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _say(runner.run(_run(_Load(spec, bodies))))


if __name__ == "__main__":
    main()
