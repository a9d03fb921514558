"""The default variants of a student and its teacher, weighed and timed side by side."""

from pathlib import Path

import numpy as np

from distill_jobs.release.answers import tensor_of
from distill_jobs.release.average_precision import Floats
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import device_for
from distill_jobs.release.runtimes import latency_ratios, torch_threads_kept
from distill_jobs.release.standard import Standard
from handlers.card import Card
from handlers.runtimes import Runtime, load_runtime


def default_bytes(model: Standard | None) -> int | None:
    """Return the bytes of a model's default variant; None where it is not exported."""
    if model is None or model.folder is None:
        return None
    return (model.folder / Card.read(model.folder).variants[0].file).stat().st_size


def in_turns(request: ReleaseRequest, card: Card, stage: Path, variant: str) -> Floats:
    """Time a release and its teacher on one image, in turns.

    Args:
        request: With its teacher.
        card: Of the release.
        stage: Where its exported files lie.
        variant: Its default one.

    Returns:
        float64 [R]: the release's time over the teacher's, turn by turn; [0] where the teacher is
        not exported.
    """
    teacher = request.teacher
    if teacher is None or teacher.folder is None:
        return np.zeros(0)
    theirs = Card.read(teacher.folder)
    with torch_threads_kept():
        runtimes = (
            _runtime(card, stage, request.threads, variant),
            _runtime(theirs, teacher.folder, request.threads, theirs.variants[0].name),
        )
        return latency_ratios(*runtimes, tensor_of(card, request.image_files[0])[None])


def _runtime(card: Card, folder: Path, threads: int, name: str) -> Runtime:
    return load_runtime(card, folder, name, threads, device_for(name))
