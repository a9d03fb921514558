"""`data.lock`: what a run was trained and measured on, file by file."""

import json
import os
from pathlib import Path
from typing import Any

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.errors import DataChanged
from distill_jobs.files import write_json

_SCHEMA_VERSION = 1


def write_lock(path: Path, dataset: Dataset) -> None:
    """Record every file's SHA-256, the splits and the class names.

    Args:
        path: The lock file.
        dataset: What is locked; paths are written relative to its `data.yaml`.
    """
    write_json(path, _describe(dataset))


def check_lock(path: Path, dataset: Dataset) -> None:
    """Check that a data set is still the locked one.

    Raises:
        DataChanged: Classes or files differ; the message names the first difference.
    """
    locked: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    now = _describe(dataset)
    if locked["class_names"] != now["class_names"]:
        raise DataChanged(
            dataset.path,
            f"its classes changed since the run began: locked {locked['class_names']}, "
            f"now {now['class_names']}. {_REMEDY}",
        )
    for split in sorted({*locked["splits"], *now["splits"]}):
        before, after = locked["splits"].get(split, {}), now["splits"].get(split, {})
        _compare(dataset.path, split, before, after)


_REMEDY = "Restore it, or start a new run: a student must be measured on the data it is named for"


def _compare(path: Path, split: str, before: dict[str, str], after: dict[str, str]) -> None:
    for name in sorted({*before, *after}):
        file = path.parent / name
        if name not in after:
            raise DataChanged(file, f"is gone from the {split} split since the lock. {_REMEDY}")
        if name not in before:
            raise DataChanged(file, f"is new in the {split} split since the lock. {_REMEDY}")
        if before[name] != after[name]:
            raise DataChanged(
                file,
                f"changed since the lock: SHA-256 {after[name][:12]}..., "
                f"locked {before[name][:12]}... {_REMEDY}",
            )


def _describe(dataset: Dataset) -> dict[str, Any]:
    root = dataset.path.resolve().parent
    splits = {
        name: {
            os.path.relpath(file.absolute(), root): digest(file)
            for sample in samples
            for file in _files(sample)
        }
        for name, samples in dataset.splits.items()
    }
    return {
        "schema_version": _SCHEMA_VERSION,
        "class_names": list(dataset.class_names),
        "splits": splits,
    }


def _files(sample: Sample) -> list[Path]:
    return [sample.image] if sample.labels is None else [sample.image, sample.labels]
