"""A progress bar for a command, and what to say when it is interrupted."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from distill_jobs.progress import Reporter


@contextlib.contextmanager
def reporting(go_on: str) -> Iterator["Reporter"]:
    """Draw progress while the block runs.

    Args:
        go_on: The command that goes on after Ctrl-C, told then; exit status 130.
    """
    from distill_jobs.log_lines import job_reporter  # noqa: PLC0415  # keeps --help fast

    try:
        with job_reporter() as reporter:
            yield reporter
    except KeyboardInterrupt:
        Console(stderr=True).print(f"Stopped. Go on with: {go_on}", soft_wrap=True)
        raise typer.Exit(130) from None
