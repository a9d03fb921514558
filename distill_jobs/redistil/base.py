"""The data set that harvested frames are added to, and what they must not come near."""

from collections.abc import Sequence
from pathlib import Path

from distill_jobs.data import scenes
from distill_jobs.data.intake import Intake, refuse_duplicates, refuse_faulty, take_in
from distill_jobs.data.lineage import grown_from, refuse_seen
from distill_jobs.data.lock import root_of
from distill_jobs.data.staging import write_description
from distill_jobs.progress import Reporter
from distill_jobs.recipe.data import Data, Scenes
from distill_jobs.redistil.harvest import HarvestFrame
from distill_jobs.redistil.origin import Origin


def take_in_base(origin: Origin, folder: Path, reporter: Reporter) -> Intake:
    """Take in the job's own data, held-out split included.

    Args:
        origin: What is distilled again.
        folder: Gets the scenes of a job that draws them.
        reporter: Told of progress.

    Raises:
        DataSetInvalid: It is refused; or the teacher, which is used as it is, was trained on what
            is now measured on.
    """
    data = origin.job.data
    if data.scenes is not None:
        data = Data(path=_drawn(data.scenes, folder, origin.job.seed))
    intake = take_in(data, reporter)
    refuse_faulty(intake, data)
    refuse_duplicates(intake, data)
    if origin.parent_lock is not None:
        growth = grown_from(origin.parent_lock, intake.pieces, root_of(intake.source))
        refuse_seen(growth, origin.parent_lock, "the run's teacher")
    return intake


def held_out_cameras(
    data: Data, intake: Intake, frames: Sequence[HarvestFrame], reporter: Reporter
) -> frozenset[str]:
    """Return the cameras whose frames would undo a split by camera, and tell what cannot be told.

    Args:
        data: The job's section.
        intake: What came of it.
        frames: Of the harvest.
        reporter: Told where frames cannot be held against the split.
    """
    rule = data.split
    if rule is None or rule.by == "random":
        return frozenset()
    if rule.by == "time":
        reporter.note(
            "the data is split by time, and harvested frames are of another: how the student does "
            "on times that it never saw is no longer measured"
        )
        return frozenset()
    named = {camera for group in intake.groups.values() for camera in group}
    if not named & {frame.camera for frame in frames}:
        reporter.note(
            "no camera of the harvest has a name that data.split finds: frames of cameras that "
            "are held out cannot be told apart"
        )
    return frozenset(intake.groups.get("val", [])) | frozenset(intake.groups.get("test", []))


def _drawn(wanted: Scenes, folder: Path, seed: int) -> Path:
    counts = {"train": wanted.train, "val": wanted.val, "test": wanted.test}
    for split, count in counts.items():
        for _ in scenes.write_split(folder, split, count, wanted.size, seed):
            pass
    unlabelled = list(scenes.write_unlabelled(folder, wanted.unlabelled, wanted.size, seed))
    return write_description(folder, scenes.CLASS_NAMES, tuple(counts), unlabelled=unlabelled).path
