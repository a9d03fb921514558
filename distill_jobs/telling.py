"""Errors of a job as a command tells them."""

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console

from distill_jobs.errors import JobError


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Turn an error of ours into its message and exit status 2."""
    try:
        yield
    except JobError as error:
        console = Console(stderr=True)
        console.print("[red]error:[/red]", end=" ")
        console.print(error.message, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
