"""Takes harvested pictures out of an attempt that ended: they show people, and have limits."""

import shutil
from pathlib import Path

from distill_jobs.data.staging import UNLABELLED_LIST
from distill_jobs.files import write_atomically
from distill_jobs.release.frames import COPIES as FRAME_COPIES


def remove_pictures(attempt: Path) -> None:
    """Remove every harvested picture of an attempt; what its run measured on stays.

    A gateway's harvest is emptied by age, by size and by `understudy harvest purge`, none of which
    knows of copies. What is left, and the data set's own images, is enough to show the run and to
    compare it; it cannot be trained again. Done twice it does no harm.

    Args:
        attempt: Its folder.
    """
    frames, data, run = attempt / "frames", attempt / "data", attempt / "run"
    pictures = [*frames.glob("*/images/*/*"), *data.glob("accepted/images/*")]
    _take_out(run / "data", {picture.stem for picture in pictures})
    for picture in (attempt / "review.html", run / "near_duplicates.jpg"):
        picture.unlink(missing_ok=True)
    for copies in run.glob(f"release/*/{FRAME_COPIES}"):  # a killed release left them
        shutil.rmtree(copies, ignore_errors=True)
    for folder in (data / "accepted", frames):  # last: they say what to take out of the run
        shutil.rmtree(folder, ignore_errors=True)


def _take_out(copy: Path, stems: set[str]) -> None:
    """Remove images from the train split of a run's working copy: see `staging`."""
    for image in (copy / "images/train").glob("*"):
        if image.stem.partition("-")[2] in stems:
            image.unlink()
            (copy / "labels/train" / f"{image.stem}.txt").unlink(missing_ok=True)
    listing = copy / UNLABELLED_LIST
    if listing.is_file():
        lines = listing.read_text(encoding="utf-8").splitlines()
        left = [f"{line}\n" for line in lines if (copy / line).is_file()]
        write_atomically(listing, "".join(left).encode())
