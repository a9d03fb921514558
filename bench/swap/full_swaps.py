"""Whole swaps: register, warm, move, drain, unregister; and the same load between them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.swap.deployment import Deployment, other
from bench.swap.load import Frame, Load, percentile_ms

PHASES = ("register_and_warm", "move", "drain_and_unregister")


@dataclass
class FullSwap:
    """One swap.

    Attributes:
        frames: By the phase in which they were due; "quiet" before it.
        phase_s: How long each phase took.
        wrong_version: Frames due after the old version was retired, answered by it.
    """

    frames: dict[str, list[Frame]] = field(default_factory=lambda: defaultdict(list))
    phase_s: dict[str, float] = field(default_factory=dict)
    wrong_version: int = 0


async def full_swap(deployment: Deployment, load: Load, quiet_s: float) -> FullSwap:
    """Replace the live version by the other one, which is not loaded.

    Args:
        deployment: Under test.
        load: Running.
        quiet_s: How long the load runs alone before.
    """
    found = FullSwap()
    old = await deployment.live()
    new = other(old)
    edges = [("quiet", time.monotonic())]
    await asyncio.sleep(quiet_s)
    actions = ((deployment.deploy, new), (deployment.route_to, new), (deployment.retire, old))
    for phase, (action, version) in zip(PHASES, actions, strict=True):
        edges.append((phase, time.monotonic()))
        await action(version)
        found.phase_s[phase] = time.monotonic() - edges[-1][1]
    retired_s = time.monotonic()
    # A stray answer would come in the moments after.
    await asyncio.sleep(0.2)
    edges.append(("after", retired_s))
    _sort(found, load.frames, edges)
    found.wrong_version = sum(
        frame.due_s >= retired_s and frame.version == old for frame in load.frames
    )
    return found


def summary(swaps: Sequence[FullSwap]) -> dict[str, object]:
    """Return the p99 of each phase, and the phases' own times."""
    quiet = percentile_ms([frame for one in swaps for frame in one.frames["quiet"]], 0.99)
    phases = {}
    for phase in PHASES:
        frames = [frame for one in swaps for frame in one.frames[phase]]
        spent = sorted(one.phase_s[phase] for one in swaps)
        p99 = percentile_ms(frames, 0.99)
        phases[phase] = {
            "frames": len(frames),
            "p99_ms": p99,
            "p99_ratio": None if p99 is None or not quiet else round(p99 / quiet, 2),
            "seconds_median": round(spent[len(spent) // 2], 3),
            "seconds_max": round(spent[-1], 3),
        }
    return {
        "swaps": len(swaps),
        "wrong_version": sum(one.wrong_version for one in swaps),
        "p99_quiet_ms": quiet,
        "phases": phases,
    }


def _sort(found: FullSwap, frames: Sequence[Frame], edges: Sequence[tuple[str, float]]) -> None:
    for frame in frames:
        due_in = [phase for phase, start_s in edges if frame.due_s >= start_s]
        if due_in:
            found.frames[due_in[-1]].append(frame)
