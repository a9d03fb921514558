"""A harvest becomes training data: chosen, reviewed where a person wants to, distilled again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill_jobs.data import scenes
from distill_jobs.data.intake import Intake, refuse_duplicates, refuse_faulty, take_in
from distill_jobs.data.staging import write_description
from distill_jobs.errors import JobError
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.data import Data, Scenes
from distill_jobs.redistil.attempt import Attempt
from distill_jobs.redistil.choice import Choice, Limits, choose
from distill_jobs.redistil.extended_job import Origin, write_job, write_lists
from distill_jobs.redistil.harvest import read_harvest
from distill_jobs.redistil.review import Verdicts, read_review, write_review
from distill_jobs.redistil.versions import next_version
from distill_jobs.run_folder import RunFolder


@dataclass(frozen=True)
class Wish:
    """What a redistillation is asked for.

    Attributes:
        origin: What is distilled again.
        harvest: The gateways' folder.
        root: Keeps the attempts.
        model_store: Where the archives will lie.
        limits: How much of the harvest is taken.
        min_frames: With fewer new frames nothing is done.
        review: Whether a person looks at the frames first.
        version: Of the archives; the next free one when None.
    """

    origin: Origin
    harvest: Path
    root: Path
    model_store: Path
    limits: Limits = field(default_factory=Limits)
    min_frames: int = 20
    review: bool = False
    version: str | None = None


def read_origin(place: Path) -> Origin:
    """Read what is distilled again.

    Args:
        place: A job file; or the folder of a finished run of it, whose teacher is used as it is
            and whose `data.lock` becomes the parent.

    Raises:
        JobError: Neither, or the job has no student to distil.
    """
    if place.is_dir():
        folder = RunFolder.open(place)
        origin = _from_run(folder)
    else:
        origin = Origin(Job.load(place))
    if origin.job.student is None or origin.job.distillation is None:
        raise JobError(
            f"{place}: redistil needs a job with `student:` and `distillation:`: harvested frames "
            "have no labels, the teacher explains them"
        )
    return origin


def redistil(
    wish: Wish,
    run: Callable[[Attempt], None],
    resume: Callable[[Attempt], None],
    reporter: Reporter,
) -> Attempt | None:
    """Begin an attempt, or go on with one that was killed or waits for its review.

    Args:
        wish: What is asked for.
        run: Runs an attempt's job.
        resume: Goes on with its run.
        reporter: Told of progress.

    Returns:
        The attempt, in whatever state it is now; None where there are too few new frames.

    Raises:
        JobError: The harvest, the data or the run is refused. An attempt whose run was refused has
            ended: the next call begins another.
    """
    attempt = Attempt.latest(wish.root)
    if attempt is not None and attempt.state == "choosing":
        attempt.discard()  # killed while it copied frames
        attempt = None
    if attempt is None or attempt.state == "ended":
        attempt = _begin(wish, reporter)
        if attempt is None or wish.review:
            return attempt
    if attempt.state == "in review":
        _finish_choice(wish, attempt, reporter)
    try:
        (resume if attempt.state == "running" else run)(attempt)
    except JobError as error:
        attempt.end(error.message)
        raise
    attempt.end("done")
    return attempt


def _begin(wish: Wish, reporter: Reporter) -> Attempt | None:
    attempt = Attempt.begin(wish.root)
    try:
        intake = _base(wish.origin.job, attempt, reporter)
        frames = read_harvest(wish.harvest, intake.class_map.names)
        reporter.stage("choose frames", len(frames))
        choice = choose(frames, intake.pieces, wish.limits)
        _tell(choice, reporter)
        if len(choice.taken) < wish.min_frames:
            reporter.note(f"fewer than {wish.min_frames} frames are new: nothing to do")
            attempt.discard()
            return None
        write_lists(attempt.path / "data", intake)
        note: dict[str, object] = {
            "looked_at": choice.looked_at,
            "taken": len(choice.taken),
            "left_out": choice.left_out,
            "class_names": list(intake.class_map.names),
        }
        if wish.review:
            write_review(attempt.path, choice.taken)
        attempt.keep_frames(choice.taken, note)
    except BaseException:
        attempt.discard()
        raise
    return attempt


def _base(job: Job, attempt: Attempt, reporter: Reporter) -> Intake:
    """Take in the job's own data, held-out split included."""
    data = job.data
    if data.scenes is not None:
        data = Data(path=_drawn(data.scenes, attempt.path / "scenes", job.seed))
    intake = take_in(data, reporter)
    refuse_faulty(intake, data)
    refuse_duplicates(intake, data)
    return intake


def _drawn(wanted: Scenes, folder: Path, seed: int) -> Path:
    counts = {"train": wanted.train, "val": wanted.val, "test": wanted.test}
    for split, count in counts.items():
        for _ in scenes.write_split(folder, split, count, wanted.size, seed):
            pass
    return write_description(folder, scenes.CLASS_NAMES, tuple(counts)).path


def _tell(choice: Choice, reporter: Reporter) -> None:
    reporter.note(f"{len(choice.taken)} of {choice.looked_at} harvested frames are taken")
    for reason, count in sorted(choice.left_out.items()):
        reporter.note(f"{count} left out: {reason}")


def _finish_choice(wish: Wish, attempt: Attempt, reporter: Reporter) -> None:
    names = attempt.note()["class_names"]
    if not isinstance(names, list):
        raise JobError(f"{attempt.path / 'choice.json'} is damaged: remove {attempt.path}")
    verdicts = Verdicts()
    if attempt.review_list.exists():
        verdicts = read_review(attempt.review_list)
        reporter.note(
            f"review: {len(verdicts.accepted)} accepted, {len(verdicts.rejected)} rejected"
        )
    version = wish.version or next_version(wish.origin.job, wish.model_store)
    write_job(wish.origin, attempt.frames(names), verdicts, attempt.path, version)


def _from_run(folder: RunFolder) -> Origin:
    job = folder.job()
    teacher = folder.checkpoint("teacher")
    if folder.figures("teacher") is None or not teacher.exists():
        raise JobError(f"{folder.path}: its teacher is not finished; give the job file instead")
    if job.data.scenes is not None:
        job = job.model_copy(update={"data": Data(path=folder.data / "data.yaml")})
    return replace(Origin(job), teacher=teacher, parent_lock=folder.data_lock)
