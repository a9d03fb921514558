"""What lies in the model store: archives that can be deployed, and the reports beside them."""

from dataclasses import dataclass
from pathlib import Path

from serving.store.values import ReleaseKey

REPORTS = ("report", "training")
"""What may lie beside NAME-VERSION.mar as NAME-VERSION.KIND.html."""

_DEEPEST = 3
_MOST = 500


@dataclass(frozen=True)
class Shelved:
    """An archive in the model store.

    Attributes:
        path: From the model store's folder.
        size_bytes: Of the file.
    """

    path: str
    size_bytes: int


def archives(model_store: Path) -> list[Shelved]:
    """Return the archives, the newest first. Reads the folder: call it in a thread."""
    found = [
        (one.stat().st_mtime, Shelved(str(one.relative_to(model_store)), one.stat().st_size))
        for depth in range(_DEEPEST)
        for one in model_store.glob("*/" * depth + "*.mar")
        if one.is_file()
    ]
    return [shelved for _, shelved in sorted(found, key=lambda one: -one[0])][:_MOST]


def report(model_store: Path, release: str, kind: str) -> Path | None:
    """Return a release's report; None where none lies beside its archive.

    Args:
        model_store: Its folder.
        release: "NAME-VERSION".
        kind: One of `REPORTS`.
    """
    try:
        key = ReleaseKey.parse(release)
    except ValueError:
        return None
    path = model_store / f"{key}.{kind}.html"
    return path if kind in REPORTS and path.is_file() else None
