"""Models that come from an older run, and what they know by heart.

An older run is known by its `data.lock`: the one that the job names as `data.parent`, and the one
that lies in the run folder of a job's own weights.
"""

from collections.abc import Iterator
from pathlib import Path

from distill_jobs.checkpoints import digest
from distill_jobs.data.intake import Intake
from distill_jobs.data.lineage import Growth, grown_from, refuse_seen
from distill_jobs.data.lock import root_of
from distill_jobs.job import Job
from distill_jobs.release.archived_card import archived_card
from handlers.errors import CardError


def refuse_heirs(job: Job, intake: Intake, growth: Growth | None) -> None:
    """Fail where a model that was trained on an image would be measured on it.

    Images may move when a pool that is split by camera or time grows, or is split by another seed.
    A student that begins from weights of before then passes its gate by heart, and such a teacher
    or live model is better on paper than it is.

    Args:
        job: Names the models and `data.parent`.
        intake: Its data.
        growth: Of its data, against the parent; None where it names none.

    Raises:
        DataSetInvalid: It would, or an older run's lock cannot be read.
    """
    for key, weights in _weights(job):
        if (lock := _lock_beside(weights)) is not None:
            seen = grown_from(lock, intake.pieces, root_of(intake.source))
            refuse_seen(seen, lock, f"{key} ({weights})")
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


def _lock_beside(weights: Path) -> Path | None:
    """Return the lock of the run in whose folder a checkpoint lies; None where it lies in none."""
    for folder in weights.resolve().parents:
        if (folder / "run.json").is_file() and (folder / "data.lock").is_file():
            return folder / "data.lock"
    return None


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
        return archived_card(archive).inner("lineage").text("data_lock_sha256")
    except CardError:
        return None  # the gate says what is wrong with it
