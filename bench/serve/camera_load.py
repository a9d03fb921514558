"""Cameras on a fixed clock, each with its own gRPC stream, in a process of their own.

Reads what to send from a file; says "begin", "end" and "figures" as the load generator does. A
frame's latency counts from when its camera's clock sent it, whether the stream took it or not.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.serve.figures import percentile
from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient
from serving.errors import UnderstudyError

# What is under way when the clock stops may still be answered.
_GRACE_S = 10.0


@dataclass
class _Seen:
    """What came of the frames that were due while it was counted."""

    latencies_ms: list[float] = field(default_factory=list)
    dropped: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Clock:
    """When frames are due, on `time.monotonic`.

    Attributes:
        start_s: The first, of the first camera.
        counted_s: From here on they count.
        end_s: No more are sent.
        period_s: Of a camera.
    """

    start_s: float
    counted_s: float
    end_s: float
    period_s: float


async def _camera(
    number: int, spec: dict[str, Any], frames: list[bytes], clock: _Clock, seen: _Seen
) -> int:
    """Send a camera's frames; returns how many counted."""
    due_s: list[float] = []

    async def requests() -> AsyncIterator[wire.DetectRequest]:
        moment_s = clock.start_s + clock.period_s * number / spec["cameras"]
        while moment_s < clock.end_s:
            await asyncio.sleep(max(0.0, moment_s - time.monotonic()))
            place = len(due_s)
            due_s.append(moment_s)
            image = frames[(place + 13 * number) % len(frames)]
            yield wire.DetectRequest(
                image=image, camera_id=f"camera-{number:03d}", frame_id=str(place)
            )
            moment_s += clock.period_s

    answered = set[int]()
    async with AsyncDetectClient(spec["address"], spec["key"]) as client:
        try:
            async with asyncio.timeout(clock.end_s - time.monotonic() + _GRACE_S):
                async for response in client.stream(requests()):
                    place = int(response.frame_id)
                    answered.add(place)
                    if due_s[place] >= clock.counted_s:
                        _note(response, 1000 * (time.monotonic() - due_s[place]), seen)
        except (UnderstudyError, TimeoutError) as error:
            seen.failures[type(error).__name__] += 1
    counted = [place for place, moment_s in enumerate(due_s) if moment_s >= clock.counted_s]
    seen.failures["unanswered"] += len(set(counted) - answered)
    return len(counted)


def _note(response: wire.DetectResponse, latency_ms: float, seen: _Seen) -> None:
    if response.dropped:
        seen.dropped += 1
    elif response.error.code:
        seen.failures[response.error.code] += 1
    else:
        seen.latencies_ms.append(latency_ms)
        seen.variants[response.answered_by.variant] += 1


async def _run(spec: dict[str, Any], videos: list[list[bytes]]) -> dict[str, Any]:
    seen = _Seen()
    start_s = time.monotonic() + 1.0
    counted_s = start_s + spec["warm_up_s"]
    clock = _Clock(start_s, counted_s, counted_s + spec["seconds"], 1 / spec["fps"])
    cameras = [
        asyncio.create_task(_camera(number, spec, videos[number % len(videos)], clock, seen))
        for number in range(spec["cameras"])
    ]
    await asyncio.sleep(counted_s - time.monotonic())
    _say({"event": "begin"})
    await asyncio.sleep(clock.end_s - time.monotonic())
    _say({"event": "end"})
    sent = sum(await asyncio.gather(*cameras))
    return {
        "event": "figures",
        "cameras": spec["cameras"],
        "fps": spec["fps"],
        "seconds": spec["seconds"],
        "sent": sent,
        "answered": len(seen.latencies_ms),
        "dropped": seen.dropped,
        "failures": {name: count for name, count in seen.failures.items() if count},
        "variants": dict(seen.variants),
        "p50_ms": percentile(seen.latencies_ms, 0.5),
        "p99_ms": percentile(seen.latencies_ms, 0.99),
        "max_ms": percentile(seen.latencies_ms, 1.0),
    }


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def main() -> None:
    """Send what the file named on the command line says."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    videos = [[Path(one).read_bytes() for one in spec["videos"][name]] for name in spec["videos"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _say(runner.run(_run(spec, videos)))


if __name__ == "__main__":
    main()
