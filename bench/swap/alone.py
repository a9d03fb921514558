"""TorchServe alone, swapped by its own API: register, set the default, unregister."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from bench.swap.archives import MODEL, VERSIONS, Material
from bench.swap.deployment import other
from bench.swap.load import Ask, Frame, Load
from serving.errors import UpstreamError
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.process import TorchServe


@dataclass(frozen=True)
class Alone:
    """A running TorchServe and how a frame is sent to it: unpinned, as its users do."""

    http: aiohttp.ClientSession
    server: TorchServe
    ask: Ask

    async def call(self, method: str, path: str, **query: str | int) -> None:
        """Use its management API.

        Raises:
            UpstreamError: It refused.
        """
        url = f"{self.server.management_url}{path}"
        headers = self.server.management_token.header()
        async with self.http.request(method, url, params=query, headers=headers) as reply:
            if reply.status >= 400:
                raise UpstreamError(f"{method} {path}: {reply.status} {await reply.text()}")

    async def register(self, version: str) -> None:
        """Load a version with one worker; answers when that is ready."""
        await self.call(
            "POST",
            "/models",
            url=f"{MODEL}-{version}.mar",
            model_name=MODEL,
            initial_workers=1,
            synchronous="true",
            batch_size=8,
            max_batch_delay=0,
        )

    async def swap(self, old: str) -> None:
        """Replace a version as its documentation says."""
        new = other(old)
        await self.register(new)
        await self.call("PUT", f"/models/{MODEL}/{new}/set-default")
        await self.call("DELETE", f"/models/{MODEL}/{old}")


@asynccontextmanager
async def alone(folder: Path, material: Material) -> AsyncIterator[Alone]:
    """Run TorchServe with the first version registered for as long as the block runs."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "archives").mkdir(parents=True)
    for version in VERSIONS:
        name = f"{MODEL}-{version}.mar"
        shutil.copy(material.model_store / name, folder / "archives" / name)
    config = TorchServeConfig(archives=folder / "archives", folder=folder / "torchserve")
    connector = aiohttp.TCPConnector(limit=0)
    async with TorchServe(config) as server, aiohttp.ClientSession(connector=connector) as http:
        token = server.inference_token

        async def ask(camera_id: str, image: bytes) -> str:
            del camera_id
            url = f"{server.inference_url}/predictions/{MODEL}"
            async with http.post(url, data=image, headers=token.header()) as reply:
                body = await reply.read()
                if reply.status != 200:
                    raise UpstreamError(f"http_{reply.status}")
                orjson.loads(body)
                return "default"

        running = Alone(http, server, ask)
        await running.register(VERSIONS[0])
        yield running


async def swaps(running: Alone, load: Load, count: int, quiet_s: float) -> list[Frame]:
    """Swap back and forth; returns the frames that were due meanwhile."""
    started_s = time.monotonic()
    version = VERSIONS[0]
    for _ in range(count):
        await asyncio.sleep(quiet_s)
        await running.swap(version)
        version = other(version)
    await asyncio.sleep(1.0)
    ended_s = time.monotonic()
    while load.under_way_since(ended_s):
        await asyncio.sleep(0.05)
    return [frame for frame in load.frames if started_s <= frame.due_s < ended_s]


def summary(frames: Sequence[Frame], count: int) -> dict[str, object]:
    """Return what a swap costs without a gateway."""
    lost = sum(bool(frame.failure) for frame in frames)
    return {"swaps": count, "lost_a_swap": round(lost / count, 2)}
