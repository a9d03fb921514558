"""What lies in the model store: archives that can be deployed, and the reports beside them."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

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
    found = []
    for depth in range(_DEEPEST):
        for one in model_store.glob("*/" * depth + "*.mar"):
            # It may be replaced, or gone, between the list and the look.
            with suppress(OSError):
                about = one.stat()
                if S_ISREG(about.st_mode):
                    shelved = Shelved(str(one.relative_to(model_store)), about.st_size)
                    found.append((about.st_mtime, shelved))
    return [shelved for _, shelved in sorted(found, key=lambda one: -one[0])][:_MOST]


def reports(model_store: Path) -> dict[str, dict[str, Path]]:
    """Return the reports of each release, by kind: those as deep as archives are offered.

    Reads the folder: call it in a thread.
    """
    found: dict[str, dict[str, Path]] = {}
    for depth in range(_DEEPEST):
        for kind in REPORTS:
            for path in sorted(model_store.glob("*/" * depth + f"*.{kind}.html")):
                if path.is_file():
                    release = path.name.removesuffix(f".{kind}.html")
                    # The one beside the archive that is offered first.
                    found.setdefault(release, {}).setdefault(kind, path)
    return found
