"""Pages beside an archive in the model store, for whoever decides on deploying it.

Nobody signs them: the console shows them as pages of others, without scripts.
"""

from pathlib import Path

REPORT, TRAINING = "report", "training"
"""The gate and what it judged; the curves of the run."""


def beside(archive: Path, kind: str) -> Path:
    """Return where a page lies: NAME-VERSION.KIND.html.

    Args:
        archive: NAME-VERSION.mar.
        kind: `REPORT` or `TRAINING`.
    """
    return archive.with_suffix(f".{kind}.html")


def remove(archive: Path) -> None:
    """Remove an archive's pages."""
    for kind in (REPORT, TRAINING):
        beside(archive, kind).unlink(missing_ok=True)
