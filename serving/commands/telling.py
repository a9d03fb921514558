"""Errors as a command tells them."""

from rich.console import Console


def tell_error(message: str) -> None:
    """Write one error to standard error: "error:" in red where it is a terminal, then the text."""
    console = Console(stderr=True)
    console.print("[red]error:[/red]", end=" ")
    console.print(message, markup=False, highlight=False, soft_wrap=True)
