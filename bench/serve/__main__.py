"""`python -m bench.serve`: see `make bench-serve`."""

import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.distill.cells import Store
from bench.provenance import PROJECT_ROOT
from bench.serve.charts import draw
from bench.serve.contestants import PEERS
from bench.serve.doing import Doer
from bench.serve.environments import absent_peers
from bench.serve.material import code_digest, material, material_digest
from bench.serve.page import write_page
from bench.serve.peer_servers import end_leftover
from bench.serve.plan import LINES, Plan
from bench.serve.report import write_report
from bench.serve.scale import FULL, QUICK
from bench.serve.tables import number
from bench.serve.targets import target_of
from bench.serve.workplace import Workplace
from distill_jobs.checkpoints import digest
from distill_jobs.environment import data_root, offline

# What is measured; what measures it is no part of a cell's key.
_CODE = ("handlers", "serving", "proto", "bench/peers")
_SENT = (
    "photos/bus.jpg",
    "videos/car-detection.mp4",
    "videos/one-by-one-person-detection.mp4",
)
# Raised when a cell measured before means something else now.
_PROTOCOL = "1"

console = Console()


def main(
    folder: Annotated[Path, typer.Option(help="Cells that are done lie here.")] = Path(
        "runs/bench-serve"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"A line of {', '.join(LINES)}; may be given again."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="See whether everything runs: measures nothing.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Say what is done and left.")] = False,
    run: Annotated[bool, typer.Option(help="Do what is left; else report alone.")] = True,
) -> None:
    """Compare our serving with the bare loop, with TorchServe alone and with four other servers.

    Killed at any moment, it goes on where it was: each cell is kept when it is done. Results of the
    whole benchmark by committed code go to bench/results/ and docs/, others lie beside the cells.
    """
    offline()
    place = folder.absolute() / ("quick" if quick else "full")
    data = data_root().absolute()
    plan = Plan(
        store=Store(place),
        scale=QUICK if quick else FULL,
        subject={
            "material": material_digest(data, quick=quick),
            "images": " ".join(digest(data / one)[:12] for one in _SENT),
            "code": code_digest(_CODE),
            "protocol": _PROTOCOL,
        },
        lines=_lines(only),
        absent=absent_peers(PEERS),
    )
    if listed:
        console.print(_listing(plan))
        return
    # So that the servers under test are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = _run(plan, data, quick=quick) if run else False
    _report(plan)
    if failed:
        raise typer.Exit(1)


def _run(plan: Plan, data: Path, *, quick: bool) -> bool:
    """Do what is left; returns whether something failed."""
    for name, why in plan.absent.items():
        _note(f"without {name}: {why}")
    last_peer = plan.store.path / "last-peer.json"
    end_leftover(last_peer)
    made = material(plan.store.path, data, quick=quick, note=_note)
    # Unix sockets lie below it, whose paths may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="bs-", ignore_cleanup_errors=True) as scratch:
        place = Workplace(made, Path(scratch), last_peer)
        return bool(Doer(plan, place, _note).run())


def _report(plan: Plan) -> None:
    target = target_of(plan)
    report = write_report(plan, target.result)
    charts = [str(chart.relative_to(target.page.parent)) for chart in draw(report, target.charts)]
    result = target.result
    named = result.relative_to(PROJECT_ROOT) if result.is_relative_to(PROJECT_ROOT) else result.name
    write_page(report, target.page, str(named), charts)
    for goal in report["goals"]:
        measured = number(goal["measured"], 3)
        _note(
            f"{goal['verdict']:12} {goal['line']:2} {goal['goal']}: {measured} ({goal['limit']:g})"
        )
    for doubt in target.doubts:
        _note(f"not for the committed files: {doubt}")
    _note(f"written: {target.result}, {target.page}")


def _listing(plan: Plan) -> Table:
    listing = Table("cell", "state")
    cells = plan.cells()
    for cell in cells:
        listing.add_row(cell.key, "done" if plan.store.figures(cell.key) is not None else "")
    listing.caption = "more are named once the probes, and the cameras tried so far, are done"
    return listing


def _lines(only: list[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(only or ()) - set(LINES))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: choose from {', '.join(LINES)}")
    return tuple(line for line in LINES if line in only) if only else LINES


def _note(text: str) -> None:
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    console.print(f"{moment} {text}", highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
