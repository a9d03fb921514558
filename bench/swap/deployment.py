"""The deployment under test and what an operator does to it."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.swap.archives import MODEL, VERSIONS, Material
from bench.swap.load import DEADLINE_S, Ask
from proto.wire.v1 import detection_pb2 as wire
from serving.admin_client import AdminError
from serving.client import AsyncDetectClient, HttpDetectClient
from understudy.demo.stack import Stack, serving

ROUTE = "/routes/default"
_POLL_S = 0.05
_ADMIN_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Deployment:
    """A running `understudy serve` with the student's first version live.

    Attributes:
        stack: Its addresses.
        admin: Of the admin API.
        state_dir: Its state folder.
        ask: Sends a frame, over gRPC for every other camera, over HTTP for the rest.
    """

    stack: Stack
    admin: aiohttp.ClientSession
    state_dir: Path
    ask: Ask

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make an admin call over a connection that is kept: the load runs in this process too.

        Raises:
            AdminError: It was refused, or nobody answers.
        """
        try:
            async with self.admin.request(method, f"/admin/v1{path}", json=body) as reply:
                if reply.status >= 400:
                    raise AdminError(await reply.text())
                return await reply.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AdminError(str(error)) from error

    async def deploy(self, version: str) -> None:
        """Register and warm a version on every backend."""
        await self.call("POST", "/releases", {"path": f"{MODEL}-{version}.mar"})

    async def route_to(self, version: str) -> None:
        """Send everything to one version; answers once the gateways do so."""
        arm = {"name": "student", "release": f"{MODEL}-{version}", "weight": 100}
        await self.call("PUT", ROUTE, {"arms": [arm], "why": "bench"})

    async def retire(self, version: str) -> None:
        """Drain a version, and wait until it is unregistered everywhere."""
        await self.call("DELETE", f"/releases/{MODEL}-{version}")
        while await self.state(version) != "retired":
            await asyncio.sleep(_POLL_S)

    async def state(self, version: str) -> str:
        """Return where a version stands, "" where it was never deployed."""
        known = await self.call("GET", "/releases")
        states = {str(one["release"]): str(one["state"]) for one in known}
        return states.get(f"{MODEL}-{version}", "")

    async def live(self) -> str:
        """Return the version that everything is sent to."""
        (arm,) = (await self.call("GET", ROUTE))["arms"]
        return str(arm["release"]).removeprefix(f"{MODEL}-")


def other(version: str) -> str:
    """Return the version that takes this one's place."""
    return VERSIONS[1 - VERSIONS.index(version)]


@asynccontextmanager
async def deployed(
    folder: Path, material: Material, *, gateways: int, backends: int
) -> AsyncIterator[Deployment]:
    """Run a fresh deployment with version 1.0 live for as long as the block runs."""
    shutil.rmtree(folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir, parents=True)
    options: tuple[str, ...] = ("--gateways", str(gateways), "--backends", str(backends))
    options += ("--trusted-key", str(material.trusted_key))
    state_dir = folder / "state"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        log = folder / "serve.log"
        running = await enter(serving(state_dir, material.model_store, log, options=options))
        grpc = await enter(AsyncDetectClient(running.addresses.grpc_address, running.key))
        http = await enter(HttpDetectClient(running.addresses.http_url, running.key))

        async def ask(camera_id: str, image: bytes) -> str:
            request = wire.DetectRequest(image=image, camera_id=camera_id)
            client = grpc if int(camera_id[-1]) % 2 else http
            reply = await client.detect(request, timeout_s=DEADLINE_S)
            return reply.answered_by.version

        headers = {"Authorization": f"Bearer {running.key}"}
        admin = await enter(
            aiohttp.ClientSession(
                running.addresses.admin_url,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=_ADMIN_TIMEOUT_S),
            )
        )
        deployment = Deployment(running, admin, state_dir, ask)
        await deployment.deploy(VERSIONS[0])
        await deployment.route_to(VERSIONS[0])
        yield deployment


async def timed(action: Coroutine[Any, Any, None]) -> float:
    """Return how long an action took, seconds."""
    started_s = time.monotonic()
    await action
    return time.monotonic() - started_s


async def until(reached: Callable[[], Coroutine[Any, Any, bool]], timeout_s: float) -> None:
    """Ask again and again: what is awaited happens in other processes.

    Raises:
        TimeoutError: It did not happen in time.
    """
    async with asyncio.timeout(timeout_s):
        while not await reached():
            await asyncio.sleep(_POLL_S)
