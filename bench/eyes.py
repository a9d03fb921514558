"""`python -m bench.eyes`: what Prometheus' reading costs a deployment under load."""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console

from bench.distill.cells import Cell, Store
from bench.provenance import PROJECT_ROOT, doubts_of_commits, provenance
from bench.serve.contestants import BEST, OURS, TWO_OF_ONE, Contestant
from bench.serve.figures import median_of, percentile, ratio_of_rounds
from bench.serve.loading import Load, press
from bench.serve.material import code_digest, material, material_digest
from bench.serve.our_servers import ours
from bench.serve.running import Running
from bench.serve.workplace import Workplace
from distill_jobs.environment import data_root, offline
from distill_jobs.files import write_json

COMMAND = "python -m bench.eyes"
RESULT = PROJECT_ROOT / "bench" / "results" / "eyes.json"
# Fifteen times as often as deploy/prometheus/prometheus.yml asks.
_PERIOD_S = 1.0
_MOST_SCRAPE_S = 0.05
_LEAST_THROUGHPUT = 0.98
# Two arms of 80 classes and a shadow between them: what a fleet in the middle of a rollout shows.
_STACK = Contestant(OURS, BEST, TWO_OF_ONE, arms=2, shadow=0.05)
_CODE = ("handlers", "serving", "proto")
# Raised when a cell measured before means something else now.
_PROTOCOL = "1"

console = Console()


class Scrapes:
    """Reads a deployment's metrics again and again, and how long each reading took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seconds: list[float] = []
        self.series = 0

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Read while the block runs."""
        reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            while True:
                began = time.perf_counter()
                async with http.get(self._url) as reply:
                    text = await reply.text()
                self.seconds.append(time.perf_counter() - began)
                self.series = sum(not line.startswith("#") for line in text.splitlines())
                await asyncio.sleep(_PERIOD_S)


def main(
    folder: Annotated[Path, typer.Option(help="Rounds that are done lie here.")] = Path(
        "runs/bench-eyes"
    ),
    rounds: Annotated[int, typer.Option(help="How many.", min=1)] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="See whether everything runs: measures nothing.")
    ] = False,
    run: Annotated[bool, typer.Option(help="Do what is left; else report alone.")] = True,
) -> None:
    """Read /metrics each second under load, and hold the throughput against that without.

    Killed at any moment, it goes on where it was. Results by committed code go to bench/results/,
    others lie beside the rounds.
    """
    offline()
    data = data_root().absolute()
    store = Store(folder.absolute() / ("quick" if quick else "full"))
    load = Load(16, 1.5, 0.5) if quick else Load(16, 15.0, 2.0)
    cells = [_cell(number, load, data, quick=quick) for number in range(1 if quick else rounds)]
    if run:
        # So that the server under test is ended too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _do(cells, store, data, load, quick=quick)
    _report(cells, store, quick=quick)


def _cell(number: int, load: Load, data: Path, *, quick: bool) -> Cell:
    inputs = {
        "round": number,
        "load": load.as_json(),
        "contestant": _STACK.as_json(),
        "material": material_digest(data, quick=quick),
        "code": code_digest(_CODE),
        "period_s": _PERIOD_S,
        "protocol": _PROTOCOL,
    }
    return Cell("eyes", f"r{number}", inputs)


def _do(cells: Sequence[Cell], store: Store, data: Path, load: Load, *, quick: bool) -> None:
    left = [cell for cell in cells if store.figures(cell.key) is None]
    if not left:
        return
    made = material(store.path, data, quick=quick, note=console.print)
    # Unix sockets lie below it, whose paths may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="be-", ignore_cleanup_errors=True) as scratch:
        place = Workplace(made, Path(scratch), store.path / "last-peer.json")
        for cell in left:
            console.print(f"begin {cell.key}", highlight=False)
            where = store.describe(cell)
            figures = asyncio.run(_round(place, load, first=bool(cell.inputs["round"] % 2)))
            write_json(where / "done.json", {"figures": figures, "about": provenance(COMMAND)})


async def _round(place: Workplace, load: Load, *, first: bool) -> dict[str, Any]:
    """Press the stack twice with and twice without readings; returns both.

    Args:
        place: What is served and sent.
        load: How much.
        first: Whether it is read in the first and the last turn, or in the middle ones.
    """
    turns: dict[str, list[dict[str, Any]]] = {"read": [], "unread": []}
    async with ours(_STACK, place.made, None, place.scratch / OURS) as running:
        scrapes = Scrapes(running.metrics_url)
        await press(running, load, place.pictures(), place.scratch / "load")  # warms it up
        for read in (first, not first, not first, first):
            figures = await _turn(place, running, load, scrapes if read else None)
            turns["read" if read else "unread"].append(figures)
    return {"turns": turns, "scrape_s": scrapes.seconds, "series": scrapes.series}


async def _turn(
    place: Workplace, running: Running, load: Load, scrapes: Scrapes | None
) -> dict[str, Any]:
    pictures, folder = place.pictures(), place.scratch / "load"
    if scrapes is None:
        return await press(running, load, pictures, folder)
    async with scrapes.going():
        return await press(running, load, pictures, folder)


def _report(cells: Sequence[Cell], store: Store, *, quick: bool) -> None:
    done = [one for cell in cells if (one := store.figures(cell.key)) is not None]
    if not done:
        console.print("nothing is done yet")
        return
    report = reduced(done)
    commits = {one["key"]: one["about"]["commit"] for one in store.all_done()}
    doubts = ["a quick look measures nothing"] if quick else []
    doubts += [f"{len(cells) - len(done)} rounds are not done"] if len(done) < len(cells) else []
    planned = {cell.key: commits[cell.key] for cell in cells if cell.key in commits}
    doubts += doubts_of_commits(planned)
    target = store.path / "eyes.json" if doubts else RESULT
    about = provenance(COMMAND) | {"cells": planned}
    write_json(target, {"about": about, **report})
    for goal in report["goals"]:
        measured = f"{goal['measured']:.4f} ({goal['limit']:g})"
        console.print(f"{goal['verdict']:8} {goal['goal']}: {measured}", highlight=False)
    for doubt in doubts:
        console.print(f"not for the committed file: {doubt}")
    console.print(f"written: {target}", highlight=False, soft_wrap=True)


def reduced(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what rounds come to: the scrapes' percentiles, and the throughput's ratio.

    Args:
        rounds: Each as a cell left it.
    """
    seconds = [one for figures in rounds for one in figures["scrape_s"]]
    throughput = {
        kind: {
            number: median_of([turn["requests_per_s"] for turn in figures["turns"][kind]])
            for number, figures in enumerate(rounds)
        }
        for kind in ("read", "unread")
    }
    ratio = ratio_of_rounds(throughput["read"], throughput["unread"])
    scrape_s = {name: percentile(seconds, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {
        "rounds": len(rounds),
        "readings": len(seconds),
        "period_s": _PERIOD_S,
        "series": median_of([figures["series"] for figures in rounds]),
        "scrape_s": scrape_s,
        "requests_per_s": {
            kind: median_of(list(values.values())) for kind, values in throughput.items()
        },
        "throughput_ratio": ratio,
        "goals": [
            _goal("median seconds of a reading under load", scrape_s["p50"], _MOST_SCRAPE_S, -1),
            _goal("throughput with readings over without", ratio, _LEAST_THROUGHPUT, 1),
        ],
    }


def _goal(goal: str, measured: float | None, limit: float, sign: int) -> dict[str, Any]:
    met = measured is not None and sign * measured >= sign * limit
    return {
        "goal": goal,
        "measured": measured or 0.0,
        "limit": limit,
        "verdict": "met" if met else "NOT MET",
    }


if __name__ == "__main__":
    typer.run(main)
