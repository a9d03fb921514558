"""Swaps during which a process is killed, and how long it takes until all stands again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import psutil

from bench.swap.deployment import Deployment, other, until
from bench.swap.load import Frame, Load
from serving.admin_client import AdminError

KINDS = ("worker", "jvm", "gateway", "controller")
REPAIR_S = 120.0
# Two gateways, two backends, the controller.
_PROCESSES = 5
_RETRY_S = 0.5


@dataclass
class Kill:
    """One kill.

    Attributes:
        kind: What was killed.
        delay_s: How long after the swap's beginning.
        recovery_s: From the kill until every process, every backend and every release stood again.
        swap_s: How long the swap took, repeated where the kill undid it.
        attempts: How often the swap was asked for.
        frames: Due from just before the swap until all stood again.
    """

    kind: str
    delay_s: float = 0.0
    recovery_s: float = 0.0
    swap_s: float = 0.0
    attempts: int = 0
    frames: list[Frame] = field(default_factory=list)


async def kill_round(deployment: Deployment, load: Load, kind: str, dice: random.Random) -> Kill:
    """Swap, and kill one process at a random moment of it.

    Args:
        deployment: Two gateways and two backends.
        load: Running.
        kind: One of `KINDS`.
        dice: Chooses the moment and the victim.
    """
    found = Kill(kind, delay_s=dice.uniform(0.0, 5.0))
    await until(lambda: is_whole(deployment), REPAIR_S)
    started_s = time.monotonic()
    swapping = asyncio.create_task(_swap(deployment, found))
    await asyncio.sleep(found.delay_s)
    victim = dice.choice(_victims(deployment, kind))
    killed_s = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    await until(lambda: has_ended(victim), 10.0)
    await until(lambda: is_whole(deployment, without=victim), REPAIR_S)
    found.recovery_s = time.monotonic() - killed_s
    await swapping
    found.swap_s = time.monotonic() - started_s
    ended_s = time.monotonic()
    while load.under_way_since(ended_s):
        await asyncio.sleep(0.02)
    found.frames = [frame for frame in load.frames if started_s <= frame.due_s < ended_s]
    return found


def summary(kills: Sequence[Kill]) -> dict[str, object]:
    """Return recovery and the swap's own time, of one kind of kill."""
    recovery = sorted(kill.recovery_s for kill in kills)
    return {
        "kills": len(kills),
        "recovery_s_median": round(recovery[len(recovery) // 2], 2),
        "recovery_s_max": round(recovery[-1], 2),
        "swaps_completed": len(kills),
        "swaps_asked_twice_or_more": sum(kill.attempts > 1 for kill in kills),
    }


async def _swap(deployment: Deployment, found: Kill) -> None:
    """Swap as an operator does: ask again until it is done."""
    old = await deployment.live()
    new = other(old)
    async with asyncio.timeout(2 * REPAIR_S):
        while True:
            found.attempts += 1
            try:
                if await deployment.state(old) != "retired":
                    await deployment.deploy(new)
                    await deployment.route_to(new)
                    await deployment.retire(old)
            except AdminError:
                await asyncio.sleep(_RETRY_S)
            else:
                return


async def is_whole(deployment: Deployment, without: int = 0) -> bool:
    """Tell whether every process runs and every backend runs what is live.

    Args:
        deployment: Under test.
        without: A process that was killed: a backend that still counts it has not noticed yet.
    """
    try:
        status = await deployment.call("GET", "/status")
        live = await deployment.live()
    except AdminError:
        return False
    ready = [
        one
        for one in status["running"] or ()
        if one["release"].endswith(f"-{live}") and one["ready_workers"] >= one["workers"] >= 1
    ]
    noticed = all(without not in one["worker_pids"] for one in status["running"])
    pids = pids_now(deployment)
    alive = len(pids) == _PROCESSES and all(psutil.pid_exists(pid) for pid in pids.values())
    is_full = len({one["backend"] for one in ready}) == 2 and len(status["gateways"]) == 2
    return noticed and alive and is_full


async def has_ended(pid: int) -> bool:
    """Tell whether a process runs no more."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pids_now(deployment: Deployment) -> dict[str, int]:
    """Return the processes below the supervisor that run now, by name."""
    said = orjson.loads((deployment.state_dir / "processes.json").read_bytes())
    return {name: int(one["pid"]) for name, one in said.items() if one["pid"] is not None}


def _victims(deployment: Deployment, kind: str) -> list[int]:
    """Return the processes of a kind, all that run now."""
    pids = pids_now(deployment)
    if kind in {"gateway", "controller"}:
        return [pid for name, pid in pids.items() if name.startswith(kind)]
    below = [
        child
        for name, pid in pids.items()
        if name.startswith("torchserve")
        for child in psutil.Process(pid).children(recursive=True)
    ]
    is_java = {child.pid: "java" in child.name() for child in below}
    return [pid for pid, java in is_java.items() if java is (kind == "jvm")]
