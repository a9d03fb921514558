"""Models that come from the parent of a data set, and what they know by heart."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from distill_jobs.checkpoints import digest
from distill_jobs.data.lineage import Growth, refuse_seen
from distill_jobs.job import Job


def refuse_heirs(job: Job, growth: Growth | None) -> None:
    """Fail where a model that was trained on an image would be measured on it.

    Images may move when a pool that is split by camera or time grows. A student that begins from
    the parent's weights then passes its gate by heart, and a teacher or a live model of the
    parent's is better on paper than it is.

    Args:
        job: Names the models and `data.parent`.
        growth: Of its data, against the parent; None where it names none.

    Raises:
        DataSetInvalid: It would.
    """
    parent = job.data.parent
    if growth is None or parent is None or not growth.now_measured_on:
        return
    for key, weights in _weights(job):
        if _is_of(weights, parent):
            refuse_seen(growth, parent, f"{key} ({weights})")
    live = job.gate.live
    if live is not None and _lock_of(live) == growth.parent_sha256:
        refuse_seen(growth, parent, f"gate.live ({live})")


def _weights(job: Job) -> Iterator[tuple[str, Path]]:
    networks = {"student.weights": job.student, "teacher.weights": job.teacher}
    for key, network in networks.items():
        if network is not None and network.weights is not None:
            yield key, network.weights
    for number, teacher in enumerate(job.further_teachers):
        if teacher.weights is not None:
            yield f"further_teachers.{number}.weights", teacher.weights


def _is_of(weights: Path, lock: Path) -> bool:
    """Whether a checkpoint lies in the lock's run folder, or is a copy of one of its models."""
    if weights.resolve().is_relative_to(lock.resolve().parent):
        return True
    models = [lock.with_name(f"{role}.pt") for role in ("teacher", "student")]
    known = {digest(model) for model in models if model.is_file()}
    return bool(known) and weights.is_file() and digest(weights) in known


def _lock_of(archive: Path) -> str | None:
    """Return the SHA-256 of the data.lock that an archive's card names."""
    try:
        with zipfile.ZipFile(archive) as parts:
            named = json.loads(parts.read("card.json"))["lineage"]["data_lock_sha256"]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None  # the gate says what is wrong with it
    return str(named)
