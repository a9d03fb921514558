"""How many cameras one machine holds: a search over their number."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.serve.contestants import Contestant
from bench.serve.images import replay
from bench.serve.loading import watched
from bench.serve.running import Running
from bench.serve.turns import started
from bench.serve.workplace import Workplace
from distill_jobs.files import write_json

FPS = 5
P99_LIMIT_MS = 200.0
_FIRST_GUESS = 4
_MOST = 256
_FOOTAGE_S = 20.0
_WARM_UP_S = 3.0


def holds(figures: Mapping[str, Any]) -> bool:
    """Whether so many cameras were held: every frame answered, none dropped, p99 within limits."""
    whole = figures["answered"] == figures["sent"] > 0
    return whole and not figures["dropped"] and (figures["p99_ms"] or 0) <= P99_LIMIT_MS


def next_to_try(known: Mapping[int, bool]) -> int | None:
    """Return the number of cameras to measure next; None once the most that holds is certain.

    Doubles or halves until one number holds and a higher one does not, then halves what lies
    between; at last both neighbours of the result are measured, whatever was found before.

    Args:
        known: Whether a number of cameras was held, by number.
    """
    if not known:
        return _FIRST_GUESS
    most = held(known)
    failed = [number for number, did in known.items() if not did and number > most]
    if not failed:
        return 2 * max(most, 1) if most < _MOST else None
    least = min(failed)
    if least - most > 1:
        return (most + least) // 2
    return most - 1 if most > 1 and most - 1 not in known else None


def held(known: Mapping[int, bool]) -> int:
    """Return the most cameras that were held; 0 where none was."""
    return max((number for number, did in known.items() if did), default=0)


async def hold(
    contestant: Contestant, place: Workplace, best: str | None, cameras: int, seconds: float
) -> dict[str, Any]:
    """Measure a number of cameras.

    Returns:
        The cameras' figures, and the stack's as `loading.watched` gives them.
    """
    async with started(contestant, place, place.variant_of(contestant, best)) as running:
        spec = await asyncio.to_thread(_write, running, place, cameras, seconds)
        return await watched(running, "bench.serve.camera_load", spec)


def _write(running: Running, place: Workplace, cameras: int, seconds: float) -> Path:
    folder = place.scratch / "cameras"
    videos = {}
    for name, frames in replay(place.made.data, _FOOTAGE_S, FPS).items():
        files = [folder / f"{Path(name).stem}-{number:03d}.jpg" for number in range(len(frames))]
        folder.mkdir(parents=True, exist_ok=True)
        for file, frame in zip(files, frames, strict=True):
            file.write_bytes(frame)
        videos[name] = [str(file) for file in files]
    spec = folder / "cameras.json"
    said = {"address": running.grpc_address, "key": running.key, "cameras": cameras, "fps": FPS}
    write_json(spec, said | {"seconds": seconds, "warm_up_s": _WARM_UP_S, "videos": videos})
    return spec
