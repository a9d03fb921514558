"""A request's frames looked at once, for all the models that are asked about them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from distill_jobs.progress import Reporter
from distill_jobs.release.frames import COPIES, Frames
from distill_jobs.release.request import ReleaseRequest


@contextmanager
def looked_at(request: ReleaseRequest, reporter: Reporter) -> Iterator[ReleaseRequest]:
    """Give a request whose `gate.frames` are copied; the copies go when the block ends.

    Within it a camera or a gateway may add frames and remove others: every model is asked about
    the same ones. A request that was looked at before is given back as it is.

    Args:
        request: Its work folder gets the copies.
        reporter: Told of frames that are skipped.

    Raises:
        ReleaseInvalid: `gate.frames` holds no image that decodes.
    """
    if request.frames is not None:
        yield request
        return
    copies = request.work_dir / COPIES
    shutil.rmtree(copies, ignore_errors=True)  # of a killed try
    copies.mkdir(parents=True)
    try:
        frames = Frames.copied(request.gate.frames, copies, request.taught)
        frames.tell(request.work_dir, reporter)
        yield replace(request, frames=frames)
    finally:
        shutil.rmtree(copies, ignore_errors=True)  # they show people, and their folder has limits
