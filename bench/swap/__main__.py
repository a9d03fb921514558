"""`python -m bench.swap`: see `make bench-swap`."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.provenance import PROJECT_ROOT, provenance
from bench.swap import alone, full_swaps, kills, route_swaps
from bench.swap.archives import VERSIONS, Material, material
from bench.swap.deployment import Deployment, deployed
from bench.swap.load import Ask, Frame, Load, capacity, tally
from bench.swap.results import Results

RESULT = PROJECT_ROOT / "bench" / "results" / "swap.json"
_CAPACITY_S = 10.0
_SHARE_OF_CAPACITY = 0.4
_CAMERAS = 32
_KILL_SEED = 0

console = Console()


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        folder: Scratch.
        made: Archives and frames.
        results: Keeps what is done.
        counts: How often, by part; "kills" of each kind.
    """

    folder: Path
    made: Material
    results: Results
    counts: dict[str, int]

    def load(self, ask: Ask, rate: float) -> Load:
        """Return the fleet at a rate."""
        return Load(ask, self.made.frames, cameras=_CAMERAS, rate=rate)

    def keep(self, part: str, rate: float, frames: Sequence[Frame], more: dict[str, Any]) -> None:
        """Keep a part's figures, with the commit that they were taken at: parts may differ."""
        about = provenance("make bench-swap")
        said = {name: about[name] for name in ("commit", "finished")}
        said |= {"cameras": _CAMERAS, "rate": round(rate, 1), **tally(frames)}
        self.results.keep(part, said | more)


def main(  # noqa: PLR0917 - Typer reads the options from the parameters
    folder: Annotated[Path, typer.Option(help="Scratch; parts that are done lie here.")] = Path(
        "runs/bench-swap"
    ),
    route_swaps_: Annotated[int, typer.Option("--route-swaps", min=1)] = 1000,
    full_swaps_: Annotated[int, typer.Option("--full-swaps", min=1)] = 100,
    kills_: Annotated[int, typer.Option("--kills", min=1, help="Of each kind.")] = 20,
    alone_: Annotated[int, typer.Option("--alone", min=1)] = 20,
    result: Annotated[Path, typer.Option(help="Gets the figures.")] = RESULT,
    fresh: Annotated[bool, typer.Option(help="Forget what an earlier run has done.")] = False,
) -> None:
    """Measure swaps under load: nothing may fail, hang, or come from a retired version.

    Stopped at any moment, it goes on where it was: each part is kept when it is done.
    """
    counts = {"route": route_swaps_, "full": full_swaps_, "kills": kills_, "alone": alone_}
    folder = folder.absolute()
    results = Results(folder / "parts", fresh=fresh)
    made = material(folder)
    asyncio.run(_measure(Case(folder, made, results, counts)))
    results.write(result, provenance("make bench-swap") | {"input_px": made.image_side_px})
    console.print_json(result.read_text())


async def _measure(case: Case) -> None:
    lacks = case.results.lacks
    if lacks("route_swaps", "full_swaps"):
        folder = case.folder / "swaps"
        async with deployed(folder, case.made, gateways=2, backends=1) as deployment:
            rate = await _rate(deployment.ask, case.made)
            if lacks("route_swaps"):
                await _route_part(deployment, case, rate)
            if lacks("full_swaps"):
                await _full_part(deployment, case, rate)
    missing = [kind for kind in kills.KINDS if lacks(f"kill_{kind}")]
    if missing:
        folder = case.folder / "kills"
        async with deployed(folder, case.made, gateways=2, backends=2) as deployment:
            rate = await _rate(deployment.ask, case.made)
            for kind in missing:
                await _kill_part(deployment, case, rate, kind)
    if lacks("torchserve_alone"):
        async with alone.alone(case.folder / "alone", case.made) as running:
            await _alone_part(running, case)


async def _rate(ask: Ask, made: Material) -> float:
    """Return the load: a share of what the whole answers when it is pressed."""
    await capacity(ask, made.frames, seconds=_CAPACITY_S / 5, at_once=16)
    reached = await capacity(ask, made.frames, seconds=_CAPACITY_S, at_once=16)
    console.print(f"capacity {reached:.0f} frames/s, load {_SHARE_OF_CAPACITY * reached:.0f}")
    return _SHARE_OF_CAPACITY * reached


async def _route_part(deployment: Deployment, case: Case, rate: float) -> None:
    await route_swaps.load_both(deployment)
    count = case.counts["route"]
    a_round = min(50, count)
    async with case.load(deployment.ask, rate).running() as load:
        rounds = []
        for turn in range(0, count, a_round):
            rounds.append(await route_swaps.route_round(deployment, load, a_round))
            console.print(f"route swaps {turn + a_round}/{count}: {_short(load)}")
        await deployment.route_to(VERSIONS[0])
        await deployment.retire(VERSIONS[1])
    case.keep("route_swaps", rate, load.frames, route_swaps.summary(rounds))


async def _full_part(deployment: Deployment, case: Case, rate: float) -> None:
    count = case.counts["full"]
    async with case.load(deployment.ask, rate).running() as load:
        done = []
        for turn in range(count):
            done.append(await full_swaps.full_swap(deployment, load, quiet_s=1.0))
            if turn % 10 == 9:
                console.print(f"full swaps {turn + 1}/{count}: {_short(load)}")
    case.keep("full_swaps", rate, load.frames, full_swaps.summary(done))


async def _kill_part(deployment: Deployment, case: Case, rate: float, kind: str) -> None:
    count = case.counts["kills"]
    dice = random.Random(f"{_KILL_SEED} {kind}")  # noqa: S311 - moments, not secrets
    async with case.load(deployment.ask, rate).running() as load:
        done = []
        for turn in range(count):
            done.append(await kills.kill_round(deployment, load, kind, dice))
            console.print(
                f"{kind} {turn + 1}/{count}: back in {done[-1].recovery_s:.1f} s, {_short(load)}"
            )
    case.keep(f"kill_{kind}", rate, load.frames, kills.summary(done))


async def _alone_part(running: alone.Alone, case: Case) -> None:
    rate = await _rate(running.ask, case.made)
    count = case.counts["alone"]
    async with case.load(running.ask, rate).running() as load:
        frames = await alone.swaps(running, load, count, quiet_s=2.0)
    case.keep("torchserve_alone", rate, frames, alone.summary(frames, count))


def _short(load: Load) -> str:
    said = tally(load.frames)
    return f"{said['frames']} frames, {said['failed']} failed, {said['hung']} hung"


if __name__ == "__main__":
    typer.run(main)
