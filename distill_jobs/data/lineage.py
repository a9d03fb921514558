"""What became of the data that an older lock describes."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_jobs.data.dataset import IMAGE_SUFFIXES
from distill_jobs.data.intake import Intake
from distill_jobs.data.lock import root_of
from distill_jobs.data.piece import Piece
from distill_jobs.errors import DataChanged, DataSetInvalid
from distill_jobs.recipe.data import Data

_MEASURED = frozenset({"val", "test"})


@dataclass(frozen=True)
class Growth:
    """How a data set differs from its parent, image by image: by digest, whatever its name.

    Attributes:
        parent_sha256: Of the parent's lock file.
        kept: Images of both.
        added: Images that the parent did not have.
        removed: Images that only the parent had.
        now_trained_on: Images that the parent measured on and this one trains on: a model of the
            parent's and one of this data set's must not be compared on them.
        now_measured_on: Images that the parent trained on and this one measures on: a model of the
            parent's knows them by heart, and so does one that begins from its weights.
    """

    parent_sha256: str
    kept: int
    added: int
    removed: int
    now_trained_on: tuple[str, ...]
    now_measured_on: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """Return it as the lock writes it."""
        return {
            "sha256": self.parent_sha256,
            "kept": self.kept,
            "added": self.added,
            "removed": self.removed,
            "now_trained_on": list(self.now_trained_on),
            "now_measured_on": list(self.now_measured_on),
        }


def grown_from_parent(intake: Intake, data: Data) -> Growth | None:
    """Compare an intake with its parent's lock; None where the job names none.

    Raises:
        DataSetInvalid: The parent is missing, or no lock.
    """
    if data.parent is None:
        return None
    return grown_from(data.parent, intake.pieces, root_of(intake.source))


def grown_from(parent: Path, pieces: Sequence[Piece], root: Path) -> Growth:
    """Compare what is taken in with a parent's lock.

    Args:
        parent: The parent's `data.lock`, of any schema.
        pieces: What is taken in.
        root: Paths are told from here on.

    Raises:
        DataSetInvalid: The parent is missing, or no lock.
    """
    try:
        data = parent.read_bytes()
        splits: dict[str, dict[str, str]] = json.loads(data)["splits"]
        before = {
            sha256: split
            for split, files in splits.items()
            for name, sha256 in files.items()
            if Path(name).suffix.lower() in IMAGE_SUFFIXES
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataSetInvalid(
            parent, "is no readable data.lock: nobody knows what its run was trained on"
        ) from error
    now = {piece.picture.file_sha256: piece for piece in pieces}
    kept = now.keys() & before.keys()
    moved = [one for one in kept if (before[one] in _MEASURED) != (now[one].split in _MEASURED)]
    names = {one: os.path.relpath(now[one].image, root) for one in moved}
    trained_on = tuple(sorted(name for one, name in names.items() if before[one] in _MEASURED))
    return Growth(
        parent_sha256=hashlib.sha256(data).hexdigest(),
        kept=len(kept),
        added=len(now) - len(kept),
        removed=len(before) - len(kept),
        now_trained_on=trained_on,
        now_measured_on=tuple(sorted(set(names.values()) - set(trained_on))),
    )


def refuse_seen(growth: Growth, parent: Path, whose: str) -> None:
    """Fail where a model of the parent's would be measured on what it was trained on.

    Args:
        growth: Against the parent.
        parent: Its lock.
        whose: The model, in words.

    Raises:
        DataSetInvalid: It would; the message names one of the images.
    """
    if not growth.now_measured_on:
        return
    raise DataSetInvalid(
        parent,
        f"{whose} was trained on {len(growth.now_measured_on)} of the images that are measured on "
        f"now, for example {growth.now_measured_on[0]}: its figures would flatter. Leave them in "
        "train (lists as splits, or `split: {by: random}`), or begin from other weights",
    )


def check_parent(lock: Path, parent: Path) -> None:
    """Check that a parent's lock is still the one that a lock names.

    A parent that is gone is none of the run's business: all that was needed of it is in the lock.

    Raises:
        DataChanged: It is another one now.
    """
    named = (json.loads(lock.read_text(encoding="utf-8")).get("parent") or {}).get("sha256")
    if not parent.is_file():
        return
    now = hashlib.sha256(parent.read_bytes()).hexdigest()
    if now != named:
        raise DataChanged(
            parent,
            f"data.parent changed since the run began: SHA-256 {now[:12]}..., locked "
            f"{str(named)[:12]}... Restore it, or start a new run",
        )
