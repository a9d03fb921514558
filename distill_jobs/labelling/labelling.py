"""A labelling from its first frame to its last, as often as it takes."""

from dataclasses import dataclass, field
from pathlib import Path

from distill_jobs.errors import RunFolderInvalid
from distill_jobs.labelling.frames import list_frames
from distill_jobs.labelling.joining import join
from distill_jobs.labelling.plan import LabelFolder, Plan, Shard
from distill_jobs.labelling.ray_run import Cluster, label_on_ray
from distill_jobs.labelling.shard import Counts, counted
from distill_jobs.progress import Reporter


@dataclass
class Labelled:
    """What has been done.

    Attributes:
        counts: Of all frames.
        before: Frames that were finished by an earlier go.
        copies: Frames that are there twice, and were left out once.
    """

    counts: Counts = field(default_factory=Counts)
    before: int = 0
    copies: int = 0


def label(wanted: Plan, path: Path, cluster: Cluster, reporter: Reporter) -> Labelled:
    """Label frames, or go on with it.

    Args:
        wanted: What is to be labelled by whom; its teacher was read.
        path: The folder, new or of an earlier go.
        cluster: Where.
        reporter: Told of the progress.

    Raises:
        JobError: Frames or teacher cannot be used; what was finished is kept.
    """
    folder = LabelFolder(path)
    plan = _begun(folder, wanted, reporter)
    done = Labelled()
    left: list[Shard] = []
    for shard in folder.shards(plan):
        counts = counted(folder.shard_file(shard.number))
        if counts is None:
            left.append(shard)
        else:
            done.counts += counts
    done.before = done.counts.frames
    if done.before:
        reporter.note(f"{done.before} of {plan.frames} frames were labelled before")
    if left:
        reporter.stage("label", sum(shard.frames for shard in left))

        def finished(counts: Counts) -> None:
            done.counts += counts
            reporter.advance(counts.frames)

        label_on_ray(folder, plan, left, cluster, finished)
    reporter.stage("join", 1)
    done.copies = join(folder, plan)
    reporter.advance()
    return done


def _begun(folder: LabelFolder, wanted: Plan, reporter: Reporter) -> Plan:
    """Return the folder's plan; of a new folder, after the frames were found."""
    found = folder.read()
    if found is not None:
        folder.check_same(found, wanted)
        return found
    if not folder.is_fresh:
        raise RunFolderInvalid(folder.path, "is not empty and holds no labels: give another --out")
    reporter.stage("find frames", 1)
    frames = list_frames(wanted.places, folder.frames_file, folder.video_frames, wanted.video_fps)
    plan = wanted.model_copy(update={"frames": frames})
    folder.write(plan)
    reporter.advance()
    return plan
