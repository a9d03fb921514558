"""What a search shows: where it is, the front it found, and what it recommends."""

from collections.abc import Sequence
from textwrap import wrap
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column, Table
from rich.text import Text

from serving.commands.tables import plain_table
from serving.tuning.findings import Findings, Point

# Of a camera that watches people or cars.
_CAMERA_FPS = 5
_MOST_ROWS = 14


class ProgressBar:
    """How far a search is, about how long it still takes, and what it is at; a context manager.

    Args:
        console: Drawn on.
        budget_s: Of the search.
    """

    def __init__(self, console: Console, budget_s: float) -> None:
        self._console = console
        self._bar = Progress(
            BarColumn(bar_width=14),
            _Left(table_column=Column(no_wrap=True)),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=budget_s, left_s=budget_s, told_s=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def doing(self, what: str, left_s: float) -> None:
        """See `serving.tuning.trying.Hearer`."""
        task = self._bar.tasks[0]
        spent_s = task.elapsed or 0.0
        self._bar.update(
            self._task,
            description=what,
            completed=spent_s,
            total=max(1.0, spent_s + left_s),
            left_s=left_s,
            told_s=spent_s,
        )

    def found(self, text: str) -> None:
        """Print a line above the bar, folded between words."""
        for line in wrap(
            f"  {text}",
            self._console.width,
            subsequent_indent=" " * 4,
            break_long_words=False,
            break_on_hyphens=False,
        ):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _Left(ProgressColumn):
    """The time left: as it was last told, less what has passed since."""

    def render(self, task: Task) -> Text:
        """Return it as minutes and seconds."""
        passed_s = (task.elapsed or 0.0) - task.fields["told_s"]
        left_s = max(0, round(task.fields["left_s"] - passed_s))
        return Text(f"{left_s // 60:>2}:{left_s % 60:02} left")


def front(findings: Findings, chosen: Point | None) -> Table:
    """Return the front as a table for 80 columns, the chosen point marked."""
    table = plain_table()
    for name in ("frames/s", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    table.add_column("variant", overflow="fold")
    for name in ("workers", "threads", "batch", "delay"):
        table.add_column(name, justify="right")
    table.add_column("")
    for point in _rows(findings.front(), chosen):
        wanted, measured = point.wanted, point.measured
        numbers = (measured.frames_per_s, measured.p50_ms, measured.p99_ms)
        table.add_row(
            *(f"{number:.1f}" for number in numbers),
            wanted.variant,
            *(str(wanted.workers), str(wanted.threads), str(wanted.batch_size)),
            f"{wanted.batch_delay_ms} ms",
            "<--" if point is chosen else "",
            style="bold" if point is chosen else None,
        )
    return table


def _rows(points: Sequence[Point], chosen: Point | None) -> list[Point]:
    """Return at most so many of the front, evenly spread, and the chosen one wherever it lies."""
    every = -(-len(points) // _MOST_ROWS) or 1
    shown = [one for place, one in enumerate(points) if place % every == 0 or one is chosen]
    if chosen is not None and chosen not in shown:  # another was better by what is within chance
        shown.append(chosen)
    return sorted(shown, key=lambda one: one.measured.frames_per_s)


def recommended(chosen: Point) -> str:
    """Return what a point means, in a sentence."""
    measured = chosen.measured
    cameras = int(measured.frames_per_s / _CAMERA_FPS)
    many = f", {cameras} cameras of {_CAMERA_FPS} frames/s" if cameras > 1 else ""
    doubt = "" if chosen.confirmed else ", not confirmed by a longer look"
    return (
        f"Holds {measured.frames_per_s:.1f} frames/s{many}, with a p99 of {measured.p99_ms:.0f} ms "
        f"({measured.answered} frames in {measured.seconds:.0f} s{doubt})."
    )


def none_holds(findings: Findings, p99_ms: float) -> str:
    """Return why nothing is recommended, in a sentence."""
    lowest = min(findings.points, key=lambda one: one.measured.p99_ms, default=None)
    if lowest is None:
        return "Nothing was measured under load: give it a larger --budget."
    return (
        f"Nothing held a p99 of {p99_ms:g} ms; the lowest was {lowest.measured.p99_ms:.0f} ms, at "
        f"{lowest.measured.frames_per_s:.1f} frames/s. Allow more (--p99-ms), or serve a smaller "
        "or a narrower student."
    )


def was_busy(cores: float) -> str:
    """Return what it means that so many cores had something else to do, in a sentence."""
    return (
        f"{cores:.1f} cores of this machine were busy with something else before the search began: "
        "it may hold more than this, and another way may be best"
    )


def as_options(point: Point) -> str:
    """Return a point as the options of `understudy deploy`."""
    wanted = point.wanted
    return (
        f"--workers {wanted.workers} --threads {wanted.threads} --batch-size {wanted.batch_size} "
        f"--batch-delay-ms {wanted.batch_delay_ms} --variant {wanted.variant}"
    )
