"""A run's last steps: each model measured, and archived where the job says so."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.release import archive, claim
from distill_jobs.release.asking import ask_checkpoint, measure_checkpoint
from distill_jobs.release.build import build_release, publish_staged
from distill_jobs.release.int8_images import Int8Images, int8_images
from distill_jobs.release.looking import looked_at
from distill_jobs.release.marker import archive_figures, quality_figures, release_figures
from distill_jobs.release.request import Int8Tuning, Lineage, ReleaseRequest
from distill_jobs.release.standard import Standard
from distill_jobs.release.workbench import stage_of
from distill_jobs.run_folder import RunFolder

Role = Literal["teacher", "student"]


def release_key(job: Job, role: str) -> str | None:
    """Return NAME-VERSION of a model's archive, or None when the job releases nothing."""
    if job.archive is None:
        return None
    name = job.archive.teacher_name if role == "teacher" else job.archive.student_name
    return f"{name}-{job.version}"


def refuse_taken(job: Job, model_store: Path) -> None:
    """Fail before the training, not after it, where an archive's name is taken.

    Raises:
        ReleaseExists: The model store has this name and version already.
    """
    for role in ("teacher", "student"):
        key = release_key(job, role)
        if key is not None:
            archive.refuse_taken(model_store, key)


def refuse_unfit(job: Job, dataset: Dataset) -> None:
    """Fail before the training where the gate would have nothing to judge by.

    Raises:
        ReleaseInvalid: The only split beside train is the one that chooses the checkpoint.
    """
    if job.archive is None or job.gate.accept_val or dataset.held_out_split != "val":
        return
    raise ReleaseInvalid(
        "gate.accept_val",
        f"{dataset.path} has no `test:` split, and `val` chooses the checkpoint: figures on it "
        "flatter. Add a `test:` split, or accept that with `gate: {accept_val: true}`",
    )


def measure_or_release(
    folder: RunFolder, job: Job, dataset: Dataset, role: Role, reporter: Reporter
) -> dict[str, Any]:
    """Measure a model on the held-out split and, where the job says so, archive and sign it.

    A teacher's archive waits for its student to pass: a refusal leaves the model store as it was.

    Args:
        folder: Of the run; the model's checkpoint lies in it.
        job: The run's job.
        dataset: Its data: the test split is held out, or val where there is none.
        role: Which model.
        reporter: Told of progress.

    Returns:
        The step's figures.
    """
    request = _request(folder, job, dataset, role)
    if job.archive is None:
        return quality_figures(measure_checkpoint(request, reporter))
    with looked_at(request, reporter) as looked, _no_deprecations():
        teacher = _teacher(folder, job, looked, reporter) if role == "student" else None
        result = build_release(replace(looked, teacher=teacher), reporter)
    figures = release_figures(result)
    if role == "student" and not _is_published(folder):
        with archive.undone_on_failure(result.archive):
            figures["teacher_archive"] = archive_figures(
                publish_staged(_request(folder, job, dataset, "teacher"))
            )
    return figures


@contextlib.contextmanager
def _no_deprecations() -> Iterator[None]:
    """Be silent about torch 2.14's, of the TorchScript that a job asks for: no user can act."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        yield


def _request(folder: RunFolder, job: Job, dataset: Dataset, role: Role) -> ReleaseRequest:
    split = dataset.held_out_split
    validation = () if split == "val" else dataset.splits.get("val", ())
    images = int8_images(dataset.split("train"), validation)
    key = release_key(job, role) or f"{job.name}-{role}-{job.version}"
    return ReleaseRequest(
        checkpoint=folder.checkpoint(role),
        name=key.removesuffix(f"-{job.version}"),
        version=job.version,
        role=role,
        image_size=job.image_size,
        model_store=Path(folder.place("model_store")),
        signing_key=Path(folder.place("signing_key")),
        work_dir=_work_dir(folder, role),
        licences=job.licences,
        exports=job.exports,
        class_names=dataset.class_names,
        samples=dataset.split(split),
        calibration=images.calibration,
        choosing=images.choosing,
        data=job.data.path.parent.name if job.data.path else "scenes",
        split=split,
        gate=job.gate,
        validation=validation,
        thresholds=job.thresholds,
        taught=Taught.of(dataset, job.data.near_duplicate_bits),
        lineage=_lineage(folder, job, role),
        int8_tuning=_int8_tuning(folder, job, dataset, role, images),
        keep_unmeasured=job.keep_unmeasured,
        rectangular=job.rectangular,
        publish=role == "student" or job.student is None,
    )


def _int8_tuning(
    folder: RunFolder, job: Job, dataset: Dataset, role: Role, images: Int8Images
) -> Int8Tuning | None:
    if job.qat is None or role == "teacher":
        return None
    choosing = {one.image for one in images.choosing}
    return Int8Tuning(
        settings=job.qat,
        images=tuple(one.image for one in dataset.split("train") if one.image not in choosing),
        teacher=folder.checkpoint("teacher") if job.distillation is not None else None,
    )


def _teacher(folder: RunFolder, job: Job, request: ReleaseRequest, reporter: Reporter) -> Standard:
    """Return the teacher's answers: those its own release kept, the others asked anew."""
    stage = stage_of(_work_dir(folder, "teacher"), release_key(job, "teacher") or "")
    return ask_checkpoint(folder.checkpoint("teacher"), request, reporter, stage=stage)


def _work_dir(folder: RunFolder, role: Role) -> Path:
    return folder.path / "release" / role


def _lineage(folder: RunFolder, job: Job, role: Role) -> Lineage:
    is_student = role == "student"
    return Lineage(
        teacher=(release_key(job, "teacher") or "") if is_student else "",
        teacher_sha256=digest(folder.checkpoint("teacher")) if is_student else "",
        data_lock_sha256=digest(folder.data_lock),
        job=job.name,
        job_sha256=digest(folder.job_file),
        seed=job.seed,
    )


def withdraw_unfinished(folder: RunFolder, job: Job, role: Role) -> None:
    """Remove the archives that a killed attempt of this very step published.

    Archives are immutable and the step refuses to overwrite one; but killed between publishing
    and its marker, it must be able to finish. Anything that is not surely its own stays.
    """
    if job.archive is None:
        return
    _withdraw(folder, job, role)
    if role == "student" and not _is_published(folder):
        _withdraw(folder, job, "teacher")


def _is_published(folder: RunFolder) -> bool:
    """Whether the teacher's own step published it: in runs that were begun by an older version."""
    return "archive" in (folder.figures("release-teacher") or {})


def _withdraw(folder: RunFolder, job: Job, role: Role) -> None:
    store, key = Path(folder.place("model_store")), release_key(job, role) or ""
    claim.withdraw(archive.path_in(store, key), _work_dir(folder, role))
