"""Opening weights with an engine: complaints that name the file, and what to do."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from handlers.errors import RuntimeFailed

T = TypeVar("T")


def import_engine(module: str, package: str) -> Any:
    """Import a runtime's module.

    Args:
        module: Its name.
        package: What to install for it.

    Raises:
        RuntimeFailed: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RuntimeFailed(
            f"{module} does not load in this worker's Python ({error}): install {package}"
        ) from error


def open_weights(file: Path, load: Callable[[], T]) -> T:
    """Return what `load` makes of a file.

    Raises:
        RuntimeFailed: It raised; the message names the file.
    """
    try:
        return load()
    except Exception as error:  # each engine has its own exceptions, some of them private
        raise RuntimeFailed(f"{file.name}: does not load: {error}") from error


def require_name(file: Path, role: str, name: str, names: Iterable[str]) -> None:
    """Check that a graph has the tensor that the card names.

    Args:
        file: The graph's.
        role: "input" or "output".
        name: As the card has it.
        names: As the graph has them.

    Raises:
        RuntimeFailed: It has not.
    """
    known = list(names)
    if name not in known:
        raise RuntimeFailed(
            f"{file.name}: the card names its {role} {name!r}, but the graph has {known}"
        )
