"""A run's last steps: each model measured, and archived where the job says so."""

import json
import warnings
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.release import archive, standard
from distill_jobs.release.answers import ask
from distill_jobs.release.assess import images_of
from distill_jobs.release.build import build_release
from distill_jobs.release.card import as_handlers_read, draft
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.report import gate_figures, threshold_figures
from distill_jobs.release.request import Int8Tuning, Lineage, ReleaseRequest, ReleaseResult
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.standard import Standard
from distill_jobs.release.workbench import ask_checkpoint, keep_answers, stage_of
from distill_jobs.run_folder import RunFolder

Role = Literal["teacher", "student"]
_CALIBRATION_IMAGES = 128


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
        return _quality_figures(_measure(request, reporter))
    if role == "student":
        request = replace(request, teacher=_teacher(folder, job, request, reporter))
    with warnings.catch_warnings():
        # torch 2.14 deprecates the TorchScript that the job asks for; its user cannot act on it.
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        return _release_figures(build_release(request, reporter))


def _request(folder: RunFolder, job: Job, dataset: Dataset, role: Role) -> ReleaseRequest:
    split = dataset.held_out_split
    key = release_key(job, role) or f"{job.name}-{role}-{job.version}"
    return ReleaseRequest(
        checkpoint=folder.checkpoint(role),
        name=key.removesuffix(f"-{job.version}"),
        version=job.version,
        role=role,
        image_size=job.image_size,
        model_store=Path(folder.place("model_store")),
        signing_key=Path(folder.place("signing_key")),
        work_dir=folder.path / "release" / role,
        licences=job.licences,
        exports=job.exports,
        class_names=dataset.class_names,
        samples=dataset.split(split),
        calibration=calibration_images(dataset),
        data=job.data.path.parent.name if job.data.path else "scenes",
        split=split,
        gate=job.gate,
        validation=() if split == "val" else dataset.splits.get("val", ()),
        thresholds=job.thresholds,
        lineage=_lineage(folder, job, role),
        int8_tuning=_int8_tuning(folder, job, dataset, role),
        keep_unmeasured=job.keep_unmeasured,
    )


def _int8_tuning(folder: RunFolder, job: Job, dataset: Dataset, role: Role) -> Int8Tuning | None:
    if job.qat is None or role == "teacher":
        return None
    return Int8Tuning(
        settings=job.qat,
        images=tuple(one.image for one in dataset.split("train")),
        teacher=folder.checkpoint("teacher") if job.distillation is not None else None,
    )


def _teacher(folder: RunFolder, job: Job, request: ReleaseRequest, reporter: Reporter) -> Standard:
    """Return the teacher's answers: those its own release kept, or else anew."""
    work_dir = folder.path / "release" / "teacher"
    key = release_key(job, "teacher") or ""
    kept = standard.from_release(work_dir, stage_of(work_dir, key), images_of(request))
    return kept or ask_checkpoint(folder.checkpoint("teacher"), request, reporter)


def calibration_images(dataset: Dataset) -> tuple[Path, ...]:
    """Return what quantization is calibrated with: the first images of the train split alone."""
    return tuple(sample.image for sample in dataset.split("train")[:_CALIBRATION_IMAGES])


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


def withdraw_unfinished(folder: RunFolder, job: Job, dataset: Dataset, role: Role) -> None:
    """Remove the archive of this very checkpoint that a killed attempt of this step published.

    Archives are immutable and the step refuses to overwrite one; but killed between publishing
    and its marker, it must be able to finish. Anything that is not surely its own stays.
    """
    request = _request(folder, job, dataset, role)
    published = archive.path_in(request.model_store, request.key)
    if job.archive is None or not published.exists():
        return
    try:
        with zipfile.ZipFile(published) as parts:
            lineage = json.loads(parts.read("card.json"))["lineage"]
        found = (lineage["checkpoint_sha256"], lineage["job_sha256"])
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return
    if found == (digest(request.checkpoint), request.lineage.job_sha256):
        archive.remove(published)


def _measure(request: ReleaseRequest, reporter: Reporter) -> Quality:
    from distill_jobs.checkpoints import load_detector  # noqa: PLC0415  # a job that only trains

    reporter.stage(f"measure {request.role}", len(request.samples))
    module = DenseDetector(load_detector(request.checkpoint), request.image_size)
    card = as_handlers_read(draft(request, request.class_names or ()))
    answers = ask(
        card,
        TorchRuntime(module),
        request.image_files,
        request.samples,
        on_image=reporter.advance,
    )
    keep_answers(request, (answers,))
    if answers.quality is None:
        raise RuntimeError("labelled samples were asked about and no quality came back")
    return answers.quality


def _quality_figures(quality: Quality | None) -> dict[str, Any]:
    if quality is None:
        return {}
    return {
        "map50": quality.map50,
        "map50_95": quality.map50_95,
        "images": quality.images,
        "quality": asdict(quality),
    }


def _release_figures(result: ReleaseResult) -> dict[str, Any]:
    variants = [
        {
            "name": one.name,
            "file_bytes": one.file_bytes,
            "map50": one.quality.map50 if one.quality else None,
            "map50_95": one.quality.map50_95 if one.quality else None,
            "p50_ms": one.latency.p50_ms,
            "p99_ms": one.latency.p99_ms,
            "matched_f1": one.matched_f1,
            "strict_f1": one.strict_f1,
        }
        for one in result.variants
    ]
    return {
        **_quality_figures(result.quality),
        "archive": str(result.archive),
        "signature": str(result.signature),
        "archive_bytes": result.file_bytes,
        "sha256": result.sha256,
        "variants": variants,
        "left_out": result.left_out,
        "gate": gate_figures(result.checks),
        "thresholds": threshold_figures(result.thresholds),
    }
