"""What a job's gate will ask for that cannot be had: said before anything is trained, not after."""

import tempfile
from pathlib import Path

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.release import Gate
from distill_jobs.release import sign, standard
from distill_jobs.release.frames import Frames
from distill_jobs.release.parity import MIN_HELD_OUT_IMAGES
from distill_jobs.run_folder import RunFolder


def refuse_hopeless(folder: RunFolder, job: Job, dataset: Dataset, reporter: Reporter) -> None:
    """Fail now where the release would fail after the training, whatever came of it.

    Args:
        folder: Of the run; a run whose release is done already is let be.
        job: Its job.
        dataset: Its data.
        reporter: Told of what will be left out.

    Raises:
        ReleaseInvalid: A limit of the gate has nothing to be measured on, the live archive or the
            frames do not do, or no variant could be judged.
        SignatureError: The key's holder did not sign the live archive.
    """
    if job.archive is None or job.student is None or folder.figures("release-student") is not None:
        return
    _refuse_unmeasurable(job.gate)
    taught = Taught.of(dataset, job.data.near_duplicate_bits)
    _refuse_unfit_frames(job.gate, taught, folder.path / "release", reporter)
    _check_exports(job, dataset, reporter)
    if job.gate.live is not None:
        _refuse_unfit_live(job.gate.live, Path(folder.place("signing_key")), dataset.class_names)


def _refuse_unmeasurable(gate: Gate) -> None:
    for needed, rules in (
        ("live", ("max_live_drop_map50_95", "max_live_drop_f1")),
        ("frames", ("max_live_drop_f1", "min_agreement_f1")),
    ):
        given = gate.model_fields_set.intersection(rules)
        if given and getattr(gate, needed) is None:
            raise ReleaseInvalid(
                f"gate.{min(given)}", f"is measured on gate.{needed}, which is not given"
            )


def _refuse_unfit_frames(gate: Gate, taught: Taught, work_dir: Path, reporter: Reporter) -> None:
    with tempfile.TemporaryDirectory(prefix="understudy-frames-") as scratch:
        frames = Frames.copied(gate.frames, Path(scratch), taught)
    frames.tell(work_dir, reporter)
    if gate.frames is not None and gate.min_agreement_f1 and len(frames.images) < gate.min_frames:
        raise ReleaseInvalid(
            "gate.frames",
            f"{gate.frames} holds {len(frames.images)} sound images not trained on; "
            f"gate.min_agreement_f1 needs {gate.min_frames}: give more, or lower gate.min_frames",
        )


def _check_exports(job: Job, dataset: Dataset, reporter: Reporter) -> None:
    images = len(dataset.split(dataset.held_out_split))
    reduced = [name for name in job.exports if not name.endswith("-fp32")]
    if images >= MIN_HELD_OUT_IMAGES or not reduced:
        return
    why = (
        f"{images} held-out images are too few to judge a reduced precision, which needs "
        f"{MIN_HELD_OUT_IMAGES}"
    )
    if len(reduced) == len(job.exports):
        raise ReleaseInvalid("exports", f"{why}: add a variant of FP32, or held-out images")
    reporter.note(f"exports: {', '.join(reduced)} will be left out: {why}")


def _refuse_unfit_live(archive: Path, signing_key: Path, class_names: tuple[str, ...]) -> None:
    """Check its file, its signature and its classes; no image is asked about."""
    with tempfile.TemporaryDirectory(prefix="understudy-live-") as scratch:
        standard.from_archive(
            archive,
            sign.public_key_of(signing_key),
            Path(scratch),
            standard.Images(),
            class_names,
            on_image=lambda _: None,
        )
