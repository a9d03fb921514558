"""A harvest becomes training data: chosen, reviewed where a person wants to, distilled again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from distill_jobs.data.intake import Intake
from distill_jobs.errors import (
    DataChanged,
    DataSetInvalid,
    GateRefused,
    HeadsDiffer,
    JobError,
    LossNotFinite,
    NoVariantLeft,
)
from distill_jobs.progress import Reporter
from distill_jobs.redistil.attempt import Attempt
from distill_jobs.redistil.base import held_out_cameras, take_in_base
from distill_jobs.redistil.choice import Choice, Limits, choose
from distill_jobs.redistil.extended_job import write_job, write_lists
from distill_jobs.redistil.harvest import read_harvest
from distill_jobs.redistil.memory import Memory
from distill_jobs.redistil.origin import Origin
from distill_jobs.redistil.pictures import remove_pictures
from distill_jobs.redistil.review import Verdicts, read_review, write_review
from distill_jobs.redistil.versions import newest_student, next_version
from distill_jobs.run_folder import RunFolder

# The data, the teachers' classes, the training or the gate says no, and would again. Anything else
# (a full disk, another key, a checkpoint that is not there) leaves the attempt to be gone on with.
_FINAL = (DataSetInvalid, HeadsDiffer, LossNotFinite, GateRefused, NoVariantLeft)


@dataclass(frozen=True)
class Wish:
    """What a redistillation is asked for.

    Attributes:
        origin: What is distilled again.
        harvest: The gateways' folder.
        root: Keeps the attempts, and `frames.json`, their memory.
        model_store: Where the archives will lie.
        limits: How much of the harvest is taken.
        min_frames: With fewer new frames nothing is done; 0 distils again without any.
        review: Whether a person looks at the frames first.
        reviewed: A person has looked at those that wait, whether the list says so or not.
        version: Of the archives; the next free one when None.
        live: Archive of the model that serves; the student's newest in the model store when None.
    """

    origin: Origin
    harvest: Path
    root: Path
    model_store: Path
    limits: Limits = field(default_factory=Limits)
    min_frames: int = 20
    review: bool = False
    reviewed: bool = False
    version: str | None = None
    live: Path | None = None


def redistil(
    wish: Wish,
    run: Callable[[Attempt], None],
    resume: Callable[[Attempt], None],
    reporter: Reporter,
) -> Attempt | None:
    """Begin an attempt, or go on with one that was killed or was reviewed.

    Args:
        wish: What is asked for.
        run: Runs an attempt's job.
        resume: Goes on with its run.
        reporter: Told of progress.

    Returns:
        The attempt, in whatever state it is now; None where there are too few new frames.

    Raises:
        RunFolderInvalid: Another process works under the root.
        JobError: The harvest, the data or the run is refused. An attempt that would be refused
            again has ended: the next call begins another.
    """
    wish.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with RunFolder(wish.root).alone():
        memory = Memory(wish.root)
        attempt = _unfinished(wish.root)
        if attempt is None:
            attempt = _begin(wish, memory, reporter)
            if attempt is None or wish.review:
                return attempt
        if attempt.state != "running":
            verdicts = _verdicts(attempt, reviewed=wish.reviewed)
            if verdicts is None or not _finish_choice(wish, attempt, verdicts, memory, reporter):
                return attempt
        _distil(attempt, run, resume, reporter)
    return attempt


def _unfinished(root: Path) -> Attempt | None:
    attempt = Attempt.latest(root)
    if attempt is None:
        return None
    if attempt.state == "ended":
        remove_pictures(attempt.path)  # a kill may have left some
        return None
    if attempt.state == "choosing":
        attempt.discard()  # killed while it copied frames
        return None
    return attempt


def _distil(
    attempt: Attempt,
    run: Callable[[Attempt], None],
    resume: Callable[[Attempt], None],
    reporter: Reporter,
) -> None:
    try:
        (resume if attempt.state == "running" else run)(attempt)
    except JobError as error:
        if isinstance(error, _FINAL) and not isinstance(error, DataChanged):
            attempt.end(error.message)
        else:
            reporter.note(
                f"{attempt.relative()} can go on: give the same command again, or remove that "
                "folder to begin anew"
            )
        raise
    attempt.end("done")


def _begin(wish: Wish, memory: Memory, reporter: Reporter) -> Attempt | None:
    attempt = Attempt.begin(wish.root)
    try:
        intake = take_in_base(wish.origin, attempt.path / "scenes", reporter)
        frames = read_harvest(wish.harvest, intake.class_map.names)
        held_out = held_out_cameras(wish.origin.job.data, intake, frames, reporter)
        reporter.stage("choose frames", len(frames))
        choice = choose(frames, intake.pieces, wish.limits, memory, held_out)
        _tell(choice, reporter)
        kept = attempt.keep_frames(choice.taken)
        if gone := len(choice.taken) - len(kept):
            reporter.note(f"{gone} of them were removed from the harvest meanwhile")
        new = sum(name not in choice.old for name in kept)
        if new < wish.min_frames or not kept:
            least = f"fewer than --min-frames {wish.min_frames}"
            reporter.note(f"{new} of them are new, {least}: nothing to do")
            attempt.discard()
            return None
        _keep_choice(wish, attempt, choice, memory, intake)
    except BaseException:
        attempt.discard()
        raise
    return attempt


def _tell(choice: Choice, reporter: Reporter) -> None:
    reporter.note(f"{len(choice.taken)} of {choice.looked_at} harvested frames are taken")
    for reason, count in sorted(choice.left_out.items()):
        reporter.note(f"{count} left out: {reason}")


def _keep_choice(
    wish: Wish, attempt: Attempt, choice: Choice, memory: Memory, intake: Intake
) -> None:
    """Write all that an attempt needs when the harvest is gone; the note of it last."""
    write_lists(attempt.path / "data", intake)
    names = list(intake.class_map.names)
    kept = {frame.name: frame for frame in attempt.frames(names)}
    frames = [kept[frame.name] for frame in choice.taken if frame.name in kept]
    accepted = memory.restore_labels(frames)
    if wish.review:
        write_review(attempt.path, frames, accepted)
    note: dict[str, object] = {
        "looked_at": choice.looked_at,
        "taken": len(frames),
        "left_out": choice.left_out,
        "class_names": names,
        "accepted_before": sorted(accepted),
    }
    attempt.keep_note(note)


def _verdicts(attempt: Attempt, *, reviewed: bool) -> Verdicts | None:
    """Return what a person said of the frames; None where nobody has looked yet."""
    before = attempt.note().get("accepted_before", [])
    said = Verdicts(frozenset(before if isinstance(before, list) else []))
    if attempt.state == "chosen":
        return said
    verdicts = read_review(attempt.review_list)
    return verdicts if reviewed or verdicts != said else None


def _finish_choice(
    wish: Wish, attempt: Attempt, verdicts: Verdicts, memory: Memory, reporter: Reporter
) -> bool:
    """Write the attempt's job; False, and the attempt ends, where every frame was rejected."""
    names = attempt.note()["class_names"]
    if not isinstance(names, list):
        raise JobError(f"{attempt.path / 'choice.json'} is damaged: remove {attempt.path}")
    frames = attempt.frames(names)
    if attempt.state == "in review":
        reporter.note(
            f"review: {len(verdicts.accepted)} accepted, {len(verdicts.rejected)} rejected"
        )
    job, store = wish.origin.job, wish.model_store
    if any(frame.name not in verdicts.rejected for frame in frames):
        write_job(
            wish.origin,
            frames,
            verdicts,
            attempt.path,
            version=wish.version or next_version(job, store),
            live=wish.live or newest_student(job, store, names),
        )
        memory.remember(frames, verdicts)
        attempt.discard_run()
        return True
    memory.remember(frames, verdicts)
    reporter.note("every frame was rejected: there is nothing to learn from")
    attempt.end("every frame was rejected")
    return False
