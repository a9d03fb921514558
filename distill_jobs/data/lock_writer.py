"""Writing `data.lock`: every file's digest, and how the data set came to be what it is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.faults import Fault
from distill_jobs.data.intake import Intake
from distill_jobs.data.lineage import Growth
from distill_jobs.data.lock import SCHEMA_VERSION, Files, digest_of, files_of, name_of, root_of
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.files import write_json
from distill_jobs.recipe.data import Data


def write_lock(path: Path, dataset: Dataset) -> None:
    """Record a data set that is used whole: every file's SHA-256, the splits and the class names.

    Args:
        path: The lock file.
        dataset: What is locked; paths are written relative to its `data.yaml`.
    """
    root = root_of(dataset)
    splits: dict[str, Files] = {}
    for split, samples in dataset.splits.items():
        for sample in samples:
            files = splits.setdefault(split if sample.labelled else UNLABELLED, {})
            files.update({name_of(file, root): digest(file) for file in files_of(sample)})
    write_json(path, _content(dataset.class_names, splits))


def write_intake_lock(path: Path, intake: Intake, data: Data, growth: Growth | None) -> None:
    """Record what was taken in, how, what was left, and what it grew from.

    Args:
        path: The lock file.
        intake: What was taken in; paths are written relative to its `data.yaml`.
        data: How: the job's section.
        growth: Against the parent's lock, where the job names one.
    """
    root = root_of(intake.source)
    splits: dict[str, Files] = {split: {} for split in intake.source.splits if intake.split(split)}
    for piece in intake.pieces:
        files = splits.setdefault(piece.split, {})
        files[name_of(piece.image, root)] = piece.picture.file_sha256
        if piece.find.labels is not None:
            files[name_of(piece.find.labels, root)] = digest(piece.find.labels)
    skipped = [fault for fault in intake.faults if fault.line == 0]
    write_json(
        path,
        _content(
            intake.class_map.names,
            splits,
            class_map=intake.class_map.described(),
            split=_split_rule(intake, data),
            parent=growth.described() if growth is not None else None,
            skipped=[_fault(fault, root) for fault in skipped],
            skipped_label_rows=[_fault(fault, root) for fault in intake.faults if fault.line],
            left_out=[
                {"file": name_of(one.find.image, root), "why": one.why} for one in intake.left_out
            ],
            not_taken=_not_taken(intake, skipped, root),
            near_duplicates=_near(intake, data, root),
        ),
    )


def _content(class_names: Iterable[str], splits: dict[str, Files], **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "class_map": None,
        "split": None,
        "parent": None,
        "skipped": [],
        "skipped_label_rows": [],
        "left_out": [],
        "not_taken": {},
        "near_duplicates": None,
        **more,
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "class_names": list(class_names),
        **told,
        "splits": splits,
    }


def _split_rule(intake: Intake, data: Data) -> dict[str, Any] | None:
    if data.split is None:
        return None
    return {**data.split.model_dump(), "groups": intake.groups}


def _fault(fault: Fault, root: Path) -> dict[str, Any]:
    place = {"file": name_of(fault.file, root), "split": fault.split}
    return {**place, **({"line": fault.line} if fault.line else {}), "why": fault.why}


def _not_taken(intake: Intake, skipped: Iterable[Fault], root: Path) -> dict[str, Files]:
    """Return the digests of skipped images and their labels: one that is mended is a change."""
    taken: dict[str, Files] = {}
    samples = {one.image: one for split in intake.source.splits.values() for one in split}
    for fault in skipped:
        sample = samples.get(fault.image)
        files = [fault.image] if sample is None else files_of(sample)
        taken.setdefault(fault.split, {}).update({name_of(f, root): digest_of(f) for f in files})
    return taken


def _near(intake: Intake, data: Data, root: Path) -> dict[str, Any]:
    pairs = [
        {
            "files": [name_of(pair.one.image, root), name_of(pair.other.image, root)],
            "splits": [pair.one.split, pair.other.split],
            "bits": pair.bits,
        }
        for pair in intake.near.closest
    ]
    return {"max_bits": data.near_duplicate_bits, "count": intake.near.count, "closest": pairs}
