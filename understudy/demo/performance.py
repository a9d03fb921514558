"""The part under load: half and half, everything to the student, back, and over again."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import psutil

from distill_jobs.progress import Reporter
from serving.client import AsyncDetectClient, HttpDetectClient
from understudy.demo.cast import route
from understudy.demo.fleet import Ask, Fleet, Sent
from understudy.demo.stack import Stack

PROMOTE = "/routes/default/promote"
ROLLBACK = "/routes/default/rollback"
SWITCH_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Load:
    """How hard the cameras press.

    Attributes:
        cameras: How many; every other one over gRPC, the rest over HTTP.
        period_s: Time between a camera's frames.
        deadline_s: What a camera gives the gateway to answer.
        frames_per_act: Frames sent in each part.
    """

    cameras: int = 16
    period_s: float = 0.25
    deadline_s: float = 5.0
    frames_per_act: int = 400


@dataclass(frozen=True)
class Performance:
    """What came of it.

    Attributes:
        sent: Every frame.
        shared: The frames that were sent while both arms served: their latencies are side by side.
        memory_bytes: Resident memory of each arm's worker while both served, by arm.
        swap_s: From asking for the swap to every camera's first answer by the student.
        rollback_s: From asking to go back to a camera's first answer by the teacher.
        strays: Frames that were sent after the swap was complete and answered by the teacher.
    """

    sent: tuple[Sent, ...]
    shared: tuple[Sent, ...]
    memory_bytes: dict[str, int]
    swap_s: float
    rollback_s: float
    strays: int


async def perform(
    stack: Stack,
    releases: dict[str, str],
    frames: Sequence[bytes],
    load: Load,
    reporter: Reporter,
) -> Performance:
    """Replay cameras and swap the arms under them.

    Args:
        stack: The running deployment; both releases are deployed.
        releases: NAME-VERSION by arm.
        frames: Encoded images.
        load: How hard the cameras press.
        reporter: Told of progress.

    Raises:
        TimeoutError: A swap did not reach the cameras.
        AdminError: The server refused a change of the route.
    """
    await stack.call("PUT", "/routes/default", route(releases, 50, "demo: half and half"))
    async with _fleet(stack, frames, load, reporter) as fleet:
        await _act(fleet, "half and half", load, reporter)
        shared = tuple(fleet.sent)
        memory = await _memory(stack, releases)

        swap_s = await _switch(stack, fleet, PROMOTE, {"arm": "student"}, "student")
        swapped_at_s = time.perf_counter()
        await _act(fleet, "all to the student", load, reporter)
        strays = sum(one.arm == "teacher" and one.at_s > swapped_at_s for one in fleet.sent)

        rollback_s = await _switch(stack, fleet, ROLLBACK, {}, "teacher")
        await _act(fleet, "rolled back", load, reporter)
        await _switch(stack, fleet, PROMOTE, {"arm": "student"}, "student")
        await _act(fleet, "the student again", load, reporter)
    return Performance(tuple(fleet.sent), shared, memory, swap_s, rollback_s, strays)


@asynccontextmanager
async def _fleet(
    stack: Stack, frames: Sequence[bytes], load: Load, reporter: Reporter
) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as clients:
        grpc = await clients.enter_async_context(
            AsyncDetectClient(stack.addresses.grpc_address, stack.key)
        )
        http = await clients.enter_async_context(
            HttpDetectClient(stack.addresses.http_url, stack.key)
        )
        asks: dict[str, Ask] = {}
        for number in range(load.cameras):
            client = grpc if number % 2 == 0 else http
            asks[f"camera-{number:02d}"] = partial(client.detect, timeout_s=load.deadline_s)
        fleet = Fleet(
            asks,
            frames,
            period_s=load.period_s,
            deadline_s=load.deadline_s,
            noted=lambda _: reporter.advance(),
        )
        running = asyncio.create_task(fleet.run())
        try:
            yield fleet
        finally:
            fleet.stop()
            await running


async def _act(fleet: Fleet, name: str, load: Load, reporter: Reporter) -> None:
    """Let the cameras run for one part."""
    reporter.stage(f"cameras: {name}", load.frames_per_act)
    end = len(fleet.sent) + load.frames_per_act
    slowest_s = load.frames_per_act / load.cameras * (load.period_s + load.deadline_s + 1)
    await fleet.until(lambda f: len(f.sent) >= end, timeout_s=slowest_s + SWITCH_TIMEOUT_S)


async def _switch(stack: Stack, fleet: Fleet, path: str, body: dict[str, str], arm: str) -> float:
    """Change the route and wait until it shows; returns the seconds that took.

    To the student it shows when every camera's last answer is its; to the teacher, when one is.
    """
    asked_at_s = time.perf_counter()
    await stack.call("POST", path, {**body, "why": "demo"})

    def shows(seen: Fleet) -> bool:
        arms = [seen.last_arm.get(camera) == arm for camera in seen.camera_ids]
        return all(arms) if arm == "student" else any(arms)

    await fleet.until(shows, timeout_s=SWITCH_TIMEOUT_S)
    return time.perf_counter() - asked_at_s


async def _memory(stack: Stack, releases: dict[str, str]) -> dict[str, int]:
    """Return the resident memory of each arm's workers, which run on this machine, in bytes."""
    status = await stack.call("GET", "/status")
    pids = {one["release"]: one["worker_pids"] for one in status["running"] or ()}
    return {
        arm: sum(psutil.Process(pid).memory_info().rss for pid in pids[release])
        for arm, release in releases.items()
    }
