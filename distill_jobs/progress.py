"""How a job tells where it is."""

from textwrap import wrap
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class Reporter(Protocol):
    """Told of a job's progress."""

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` equal parts begins; the one before has ended."""

    def advance(self, parts: int = 1) -> None:
        """So many parts of the stage are done."""

    def note(self, text: str) -> None:
        """Something worth a line."""


class Silent:
    """Says nothing."""

    def stage(self, name: str, total: int) -> None:
        """Do nothing."""

    def advance(self, parts: int = 1) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


class RichReporter:
    """Draws a progress bar a stage, with the time left, and prints notes above it.

    A context manager: leaving it closes the bar.

    Args:
        console: Drawn on; the terminal's when None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._progress = Progress(
            TextColumn("{task.description:<42}", markup=False),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish_task()
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        """Begin a bar."""
        self._finish_task()
        self._task = self._progress.add_task(name, total=max(1, total))

    def advance(self, parts: int = 1) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.advance(self._task, parts)

    def note(self, text: str) -> None:
        """Print a line above the bar, folded between words where the terminal is narrower."""
        lines = wrap(
            f"  {text}",
            self._console.width,
            subsequent_indent=" " * 4,
            break_long_words=False,  # paths and addresses are copied whole
            break_on_hyphens=False,
        )
        for line in lines:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _finish_task(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._progress.task_ids.index(self._task)]
            self._progress.update(self._task, completed=task.total or 0)
            self._task = None
