"""The bare loop as a contestant: as many processes as a server has workers, started together."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench.provenance import PROJECT_ROOT
from bench.serve.contestants import MAX_BATCH, Contestant
from bench.serve.loading import Load
from bench.serve.running import ServerFailed
from bench.serve.workplace import Workplace
from distill_jobs.files import write_json


async def run_loop(
    contestant: Contestant, place: Workplace, variant: str | None, load: Load
) -> dict[str, Any]:
    """Measure the pipeline alone.

    One connection is one process and one image at a time; more are the setting's processes, in
    batches of eight or one by one, whichever is faster here.

    Returns:
        The same figures as `loading.press`, as far as a loop has them.
    """
    alone = load.connections == 1
    workers = 1 if alone else contestant.setting.workers
    tried = []
    for batch in [1] if alone else [1, MAX_BATCH]:
        spec = await asyncio.to_thread(_write, contestant, place, variant, load, batch)
        tried.append(await _together(spec, workers))
    return max(tried, key=lambda one: float(one["requests_per_s"]))


def _write(
    contestant: Contestant, place: Workplace, variant: str | None, load: Load, batch: int
) -> Path:
    images = []
    for number, image in enumerate(place.pictures(load.images).images):
        file = place.scratch / "loop" / f"image-{number:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
        images.append(str(file))
    spec = place.scratch / "loop" / "loop.json"
    said = {
        "archive": str(place.made.extracted[contestant.model]),
        "variant": variant,
        "threads": contestant.setting.threads,
        "batch": batch,
        "images": images,
        "seconds": load.seconds,
        "warm_up_s": load.warm_up_s,
    }
    write_json(spec, said)
    return spec


async def _together(spec: Path, workers: int) -> dict[str, Any]:
    """Run the processes side by side and add up what they did."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.serve.loop", str(spec)),
            cwd=PROJECT_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(workers)
    ]
    try:
        await asyncio.gather(*(_line(one) for one in processes))
        for one in processes:
            if one.stdin is not None:
                one.stdin.write(b"go\n")
        figures = await asyncio.gather(*(_line(one) for one in processes))
        await asyncio.gather(*(one.wait() for one in processes))
    finally:
        for one in processes:
            if one.returncode is None:
                one.kill()
    answered = sum(one["answered"] for one in figures)
    return {
        "batch": figures[0]["batch"],
        "answered": answered,
        "failed": 0,
        "requests_per_s": round(sum(one["requests_per_s"] for one in figures), 3),
        "p50_ms": max(one["p50_ms"] for one in figures),
        "p99_ms": max(one["p99_ms"] for one in figures),
        "cpu_ms": {
            "worker": round(sum(one["cpu_ms"] * one["answered"] for one in figures) / answered, 3)
        },
    }


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the loop's output is piped")
    line = await process.stdout.readline()
    if not line:
        raise ServerFailed("the bare loop ended before it was done")
    document: dict[str, Any] = json.loads(line)
    return document
