"""Swaps of a route between two loaded versions, beside the same load without swaps."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.swap.archives import VERSIONS
from bench.swap.deployment import Deployment, other
from bench.swap.load import Frame, Load, percentile_ms

# What the whole answer to a swap may take before the next is asked for.
_SPACING_S = 0.25


@dataclass
class RouteRound:
    """Frames without swaps, then frames with them.

    Attributes:
        quiet: Due while nothing was swapped.
        swapped: Due while the route was swapped again and again.
        swap_s: How long each change took until the admin API answered.
        stale: Frames due after a change was answered and answered by the version before it.
    """

    quiet: list[Frame] = field(default_factory=list)
    swapped: list[Frame] = field(default_factory=list)
    swap_s: list[float] = field(default_factory=list)
    stale: int = 0


async def route_round(deployment: Deployment, load: Load, swaps: int) -> RouteRound:
    """Swap the route `swaps` times; both versions are loaded.

    Args:
        deployment: Under test.
        load: Running.
        swaps: How many, one each quarter of a second at most.
    """
    found = RouteRound()
    quiet_from_s = time.monotonic()
    await asyncio.sleep(swaps * _SPACING_S)
    swapped_from_s = time.monotonic()
    changes: list[tuple[float, float, str]] = []
    version = await deployment.live()
    for turn in range(swaps):
        next_s = swapped_from_s + (turn + 1) * _SPACING_S
        version = other(version)
        asked_s = time.monotonic()
        await deployment.route_to(version)
        answered_s = time.monotonic()
        found.swap_s.append(answered_s - asked_s)
        changes.append((asked_s, answered_s, version))
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
    ended_s = time.monotonic()
    await _all_answered(load, ended_s)
    found.quiet = _between(load.frames, quiet_from_s, swapped_from_s)
    found.swapped = _between(load.frames, swapped_from_s, ended_s)
    found.stale = _stale(found.swapped, changes)
    return found


def summary(rounds: Sequence[RouteRound]) -> dict[str, object]:
    """Return the pooled percentiles and the rounds' ratios."""
    quiet = [frame for one in rounds for frame in one.quiet]
    swapped = [frame for one in rounds for frame in one.swapped]
    pairs = [
        (percentile_ms(one.swapped, 0.99) or 0.0, percentile_ms(one.quiet, 0.99) or 0.0)
        for one in rounds
    ]
    ratios = sorted(with_swaps / without for with_swaps, without in pairs)
    p99_quiet, p99_swapped = percentile_ms(quiet, 0.99), percentile_ms(swapped, 0.99)
    return {
        "swaps": sum(len(one.swap_s) for one in rounds),
        "p99_ratio_pooled": round((p99_swapped or 0) / (p99_quiet or 1), 3),
        "p99_ratio_median_of_rounds": round(ratios[len(ratios) // 2], 3),
        "p99_ratio_rounds": [round(ratio, 3) for ratio in ratios],
        "stale_after_answer": sum(one.stale for one in rounds),
        "swap_s_median": round(sorted(s for one in rounds for s in one.swap_s)[_half(rounds)], 4),
        "swap_s_max": round(max(s for one in rounds for s in one.swap_s), 4),
    }


def _half(rounds: Sequence[RouteRound]) -> int:
    return sum(len(one.swap_s) for one in rounds) // 2


def _between(frames: Sequence[Frame], start_s: float, end_s: float) -> list[Frame]:
    return [frame for frame in frames if start_s <= frame.due_s < end_s]


def _stale(frames: Sequence[Frame], changes: Sequence[tuple[float, float, str]]) -> int:
    """Count frames that lie wholly between two changes and were answered by the wrong version."""
    spans = [
        (answered_s, following[0], version)
        for (_, answered_s, version), following in pairwise(changes)
    ]
    return sum(
        frame.version not in {version, ""}
        for frame in frames
        for start_s, end_s, version in spans
        if start_s <= frame.due_s and frame.due_s + frame.latency_s <= end_s
    )


async def _all_answered(load: Load, due_before_s: float) -> None:
    """Wait until the frames that were due have come to an end."""
    while load.under_way_since(due_before_s):
        await asyncio.sleep(0.02)


async def load_both(deployment: Deployment) -> None:
    """Have both versions loaded."""
    for version in VERSIONS:
        if await deployment.state(version) not in {"live", "standby", "ready"}:
            await deployment.deploy(version)
