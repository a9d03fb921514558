"""The job that trains on harvested frames too: what it measures on stays what it was."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from distill_jobs.data.class_map import ClassMap
from distill_jobs.data.intake import Intake
from distill_jobs.data.labels import read_rows
from distill_jobs.data.piece import label_text
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.errors import JobError
from distill_jobs.files import write_atomically
from distill_jobs.job import Job
from distill_jobs.redistil.harvest import HarvestFrame
from distill_jobs.redistil.origin import Origin
from distill_jobs.redistil.review import Verdicts

_SPLITS = ("train", "val", "test")


def write_lists(folder: Path, intake: Intake) -> None:
    """Write where each image of the data set lies, split by split: `train.txt`, `val.txt`...

    A job that splits a pool anew would draw harvested frames into validation or test; lists of
    what it drew before cannot.
    """
    for split in (*_SPLITS, UNLABELLED):
        images = "".join(f"{piece.image.absolute()}\n" for piece in intake.split(split))
        if images:
            write_atomically(folder / f"{split}.txt", images.encode())
    write_atomically(
        folder / "names.yaml", yaml.safe_dump(list(intake.source.class_names)).encode()
    )


def write_job(
    origin: Origin,
    frames: Sequence[HarvestFrame],
    verdicts: Verdicts,
    folder: Path,
    *,
    version: str,
    live: Path | None = None,
) -> Job:
    """Write `job.yaml` and the data set it names.

    Frames that a person accepted train with their labels; the others are unlabelled: the teacher
    alone explains them. Rejected ones are left out.

    Args:
        origin: What is distilled again.
        frames: Kept frames.
        verdicts: Of the review.
        folder: Of the attempt; its `data/` holds the lists of `write_lists`.
        version: Of the archives.
        live: Archive of the model that serves, which the student must not be worse than; None
            leaves what the job says.

    Returns:
        The new job.

    Raises:
        JobError: An accepted frame's labels do not fit.
    """
    data = folder / "data"
    # Of an earlier try: verdicts may have changed since.
    shutil.rmtree(data / "accepted", ignore_errors=True)
    kept = [one for one in frames if one.name not in verdicts.rejected]
    names = tuple(yaml.safe_load((data / "names.yaml").read_text(encoding="utf-8")))
    labelled = [one for one in kept if one.name in verdicts.accepted]
    for number, frame in enumerate(labelled):
        _take_labelled(frame, data / "accepted", number, names, origin.job)
    unlabelled = [str(one.image.absolute()) for one in kept if one not in labelled]
    if unlabelled:
        write_atomically(data / "harvested.txt", "".join(f"{one}\n" for one in unlabelled).encode())
    _write_description(data, names, accepted=bool(labelled))
    content = _content(origin, data, version, harvested=bool(unlabelled))
    if live is not None:
        content["gate"] = {**content.get("gate", {}), "live": str(live)}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(folder / "job.yaml", text.encode())
    return Job.load(folder / "job.yaml")


def _take_labelled(
    frame: HarvestFrame, folder: Path, number: int, names: Sequence[str], job: Job
) -> None:
    """Copy a frame, its labels in the class ids of the job's data set."""
    stem = f"{number:06d}-{frame.image.stem}"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    rows = read_rows(frame.labels, len(frame.class_names))
    if rows.bad:
        line, why = rows.bad[0]
        raise JobError(f"{frame.labels}:{line}: {why}. Mend it, or reject {frame.name}")
    ids = _source_ids(names, job)
    target_rows = [
        type(row)(row.line, ids[frame.class_names[row.class_id]], row.box, row.values)
        for row in rows.good
    ]
    shutil.copyfile(frame.image, folder / "images" / f"{stem}{frame.image.suffix}")
    write_atomically(folder / "labels" / f"{stem}.txt", label_text(target_rows).encode())


def _source_ids(names: Sequence[str], job: Job) -> Mapping[str, int]:
    """Return, by the job's class name, a class id of its data set that becomes that class."""
    class_map = ClassMap.of(job.data.path or Path(), names, job.data.classes)
    ids: dict[str, int] = {}
    for source_id, target in enumerate(class_map.targets):
        if target is not None:
            ids.setdefault(class_map.names[target], source_id)
    return ids


def _write_description(data: Path, names: Sequence[str], *, accepted: bool) -> None:
    content: dict[str, Any] = {
        split: f"{split}.txt" for split in _SPLITS if (data / f"{split}.txt").exists()
    }
    if accepted:
        content["train"] = [content["train"], "accepted/images"]
    content["names"] = dict(enumerate(names))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(data / "data.yaml", text.encode())


def _content(origin: Origin, data: Path, version: str, *, harvested: bool) -> dict[str, Any]:
    job = origin.job
    content = job.model_dump(mode="json", by_alias=True, exclude_unset=True)
    section = {
        key: value
        for key, value in content["data"].items()
        if key not in {"path", "scenes", "split", "unlabelled"}
    }
    section["path"] = str(data / "data.yaml")
    lists = [data / f"{UNLABELLED}.txt", *([data / "harvested.txt"] if harvested else [])]
    section["unlabelled"] = [str(one) for one in lists if one.exists()]
    if origin.parent_lock is not None:
        section["parent"] = str(origin.parent_lock)
    content["data"] = section
    content["version"] = version
    if origin.teacher is not None:
        # A run's teacher has the data set's classes: mapped again they would mean others.
        done = {"weights", "architecture", "depth", "width", "max_channels", "train", "classes"}
        voice = {key: value for key, value in content["teacher"].items() if key not in done}
        content["teacher"] = {"weights": str(origin.teacher), **voice}
    return content
