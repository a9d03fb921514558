"""`data.lock`: what a run was trained and measured on, file by file; read and checked."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.errors import DataChanged, DataSetInvalid

SCHEMA_VERSION = 2
_READABLE = (1, 2)
_POOL = "pool"

Files = dict[str, str]


@dataclass(frozen=True)
class Lock:
    """A lock that was read.

    Attributes:
        schema_version: 1 knows splits and classes alone.
        class_names: Of the job; index = class id.
        source_class_names: Of the data set itself.
        splits: SHA-256 by path, by split; "unlabelled" is one.
        not_taken: SHA-256 by path of what was skipped, by the data set's own split.
        is_split_anew: Whether the job made the splits from one pool.
    """

    schema_version: int
    class_names: tuple[str, ...]
    source_class_names: tuple[str, ...]
    splits: dict[str, Files]
    not_taken: dict[str, Files]
    is_split_anew: bool


def read_lock(path: Path) -> Lock:
    """Read a lock of this or an older schema.

    Raises:
        DataSetInvalid: It is no lock, or a newer one than this code knows.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        names, splits = tuple(content["class_names"]), dict(content["splits"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataSetInvalid(path, "is no readable data.lock") from error
    if version not in _READABLE:
        raise DataSetInvalid(
            path,
            f"has schema version {version}; this code reads {' and '.join(map(str, _READABLE))}",
        )
    class_map = content.get("class_map")
    return Lock(
        schema_version=version,
        class_names=names,
        source_class_names=tuple(class_map) if class_map else names,
        splits=splits,
        not_taken=content.get("not_taken", {}),
        is_split_anew=content.get("split") is not None,
    )


def check_lock(path: Path, dataset: Dataset) -> None:
    """Check that a data set is still the locked one.

    Unlabelled images are not looked at again: the run has its own copies, and the folder that they
    came from may go on growing.

    Args:
        path: The lock file.
        dataset: The data set itself, or the drawn one.

    Raises:
        DataChanged: Classes or files differ; the message names the first difference.
    """
    locked = read_lock(path)
    if locked.source_class_names != dataset.class_names:
        raise DataChanged(
            dataset.path,
            f"its classes changed since the run began: locked {list(locked.source_class_names)}, "
            f"now {list(dataset.class_names)}. {_REMEDY}",
        )
    before, after = _locked_places(locked), _places(locked, dataset)
    for place in sorted({*before, *after}):
        _compare(dataset.path, place, before.get(place, {}), after.get(place, {}))


_REMEDY = "Restore it, or start a new run: a student must be measured on the data it is named for"


def _compare(path: Path, place: str, before: Files, after: Mapping[str, Path]) -> None:
    where = f"the {place} split" if place != _POOL else "the data set"
    for name in sorted({*before, *after}):
        file = path.parent / name
        if name not in after:
            raise DataChanged(file, f"is gone from {where} since the lock. {_REMEDY}")
        if name not in before:
            raise DataChanged(file, f"is new in {where} since the lock. {_REMEDY}")
        if before[name] != (now := digest_of(after[name])):
            raise DataChanged(
                file,
                f"changed since the lock: SHA-256 {now[:12]}..., "
                f"locked {before[name][:12]}... {_REMEDY}",
            )


def _locked_places(locked: Lock) -> dict[str, Files]:
    """Return what was there by the data set's own split; the pool has none that counts."""
    places: dict[str, Files] = {}
    for group in (locked.splits, locked.not_taken):
        for split, files in group.items():
            if split != UNLABELLED:
                places.setdefault(_POOL if locked.is_split_anew else split, {}).update(files)
    return places


def _places(locked: Lock, dataset: Dataset) -> dict[str, dict[str, Path]]:
    root = root_of(dataset)
    places: dict[str, dict[str, Path]] = {}
    for split, samples in dataset.splits.items():
        files = places.setdefault(_POOL if locked.is_split_anew else split, {})
        for sample in samples:
            if sample.labelled:
                files.update({name_of(file, root): file for file in files_of(sample)})
    return places


def root_of(dataset: Dataset) -> Path:
    """Return the folder that a lock's paths start from."""
    return dataset.path.resolve().parent


def name_of(file: Path, root: Path) -> str:
    """Return a file's path as a lock writes it."""
    return os.path.relpath(file.absolute(), root)


def digest_of(file: Path) -> str:
    """Return a file's SHA-256, or why there is none: such a file was skipped."""
    try:
        return digest(file)
    except OSError as error:
        return f"unreadable: {error.strerror}"


def files_of(sample: Sample) -> list[Path]:
    """Return an image's file and, if it has one, its label file."""
    return [sample.image] if sample.labels is None else [sample.image, sample.labels]
