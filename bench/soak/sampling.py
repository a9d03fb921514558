"""What a deployment's processes hold, looked at again and again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import psutil

from bench.swap.deployment import Deployment
from bench.swap.kills import pids_now

Values = dict[str, dict[str, float]]
PERIOD_S = 5.0
METRICS = "metrics of all processes"


class Sampler:
    """Looks at every process of a deployment, and at how many series they show together.

    Args:
        deployment: Under test.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.samples: list[dict[str, Any]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Sampler"]:
        """Look every few seconds for as long as the block runs."""
        looking = asyncio.create_task(self._look())
        try:
            yield self
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        url = self._deployment.stack.addresses.metrics_url
        timeout = aiohttp.ClientTimeout(total=PERIOD_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                values = await asyncio.to_thread(_processes, self._deployment)
                # The supervisor answers, and waits for each process that is just being killed.
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(url) as reply:
                        text = await reply.text()
                    series = sum(bool(line) and line[0] != "#" for line in text.splitlines())
                    values[METRICS] = {"series": float(series)}
                    self.samples.append({"at_s": time.monotonic(), "values": values})
                await asyncio.sleep(PERIOD_S)


def _processes(deployment: Deployment) -> Values:
    """Return what each process holds, by its name and process id."""
    supervisor = deployment.stack.addresses.pid
    values = {}
    for name, pid in {"supervisor": supervisor, **pids_now(deployment)}.items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            values[f"{name} ({pid})"] = _held(process)
            if name.startswith("torchserve"):
                values |= _below(name, process)
    return values


def _below(name: str, guard: psutil.Process) -> Values:
    values = {}
    for child in guard.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            kind = "Java" if "java" in child.name() else "worker"
            values[f"{name}, {kind} ({child.pid})"] = _held(child)
    return values


def _held(process: psutil.Process) -> dict[str, float]:
    with process.oneshot():
        return {
            "resident_bytes": float(process.memory_info().rss),
            "descriptors": float(process.num_fds()),
            "threads": float(process.num_threads()),
        }
