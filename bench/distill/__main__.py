"""`python -m bench.distill`: see `make bench-distill`."""

import signal
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.distill.arms import ARMS, FEW_ARMS
from bench.distill.cells import Store
from bench.distill.child import bccd_folds, check_origin
from bench.distill.folds import FOLDS
from bench.distill.plan import Plan
from bench.distill.progress import listing
from bench.distill.running import Runner
from bench.distill.targets import target_of
from bench.provenance import PROJECT_ROOT
from distill_jobs.checkpoints import digest
from distill_jobs.environment import data_root, offline

_WEIGHTS = ("yolov8n.pt", "yolov8s.pt")

console = Console()


class Device(StrEnum):
    """What trains; all else is the processor's."""

    CPU = "cpu"
    CUDA = "cuda"


def main(  # noqa: PLR0917 - Typer reads the options from the parameters
    folder: Annotated[Path, typer.Option(help="Cells that are done lie here.")] = Path(
        "runs/bench-distill"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Cells at once, one thread each.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="An arm; may be given again.")] = None,
    folds: Annotated[str, typer.Option(help="Numbers, joined by commas.")] = "0,1,2",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm and fold.")] = 1,
    device: Annotated[Device, typer.Option(help="What trains.")] = Device.CPU,
    listed: Annotated[bool, typer.Option("--list", help="Say what is done and left.")] = False,
    run: Annotated[bool, typer.Option(help="Do what is left; else report alone.")] = True,
    result: Annotated[Path | None, typer.Option(help="Gets the figures.")] = None,
    page: Annotated[Path | None, typer.Option(help="Gets the tables.")] = None,
) -> None:
    """Compare students with and without a teacher, over folds of real images.

    Killed at any moment, it goes on where it was: each cell is kept when it is done. Results of the
    whole benchmark by committed code go to bench/results/ and docs/, others lie beside the cells.
    """
    check_origin()
    plan = Plan(
        store=Store(folder.absolute()),
        folds=bccd_folds(),
        weights={name: digest(data_root() / "weights" / name) for name in _WEIGHTS},
        wanted=_arms(only),
        only_folds=_numbers(folds),
        seeds=range(seeds),
        device=device.value,
    )
    if listed:
        console.print(listing(plan))
        return
    # So that the cells' processes are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = Runner(plan.store, plan.cells, jobs, _note).run() if run else []
    _report(plan, result, page)
    if failed:
        raise typer.Exit(1)


def _report(plan: Plan, result: Path | None, page: Path | None) -> None:
    offline()
    from bench.distill.page import write_page  # noqa: PLC0415 - heavy, and after offline()
    from bench.distill.plot import draw  # noqa: PLC0415 - likewise
    from bench.distill.report import write_report  # noqa: PLC0415 - likewise

    target = target_of(plan)
    result, page = result or target.result, page or target.page
    report = write_report(plan, result)
    picture = page.parent / "images" / f"{page.stem}.svg"
    draw(report, picture)
    named = result.relative_to(PROJECT_ROOT) if result.is_relative_to(PROJECT_ROOT) else result.name
    write_page(report, page, str(picture.relative_to(page.parent)), str(named))
    for doubt in target.doubts:
        _note(f"not for the committed files: {doubt}")
    _note(f"written: {result}, {page}")


def _arms(only: list[str] | None) -> tuple[str, ...]:
    known = (*ARMS, *FEW_ARMS)
    unknown = sorted(set(only or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: choose from {', '.join(known)}")
    return tuple(only) if only else known


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(",") if part.strip().isdigit())
    if not numbers or max(numbers) >= FOLDS:
        raise typer.BadParameter(f"--folds {text!r}: numbers from 0 to {FOLDS - 1}, as in 0,2")
    return numbers


def _note(text: str) -> None:
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    console.print(f"{moment} {text}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
