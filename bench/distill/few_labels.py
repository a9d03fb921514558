"""A quarter of the labels: what a teacher is for when people labelled few of the frames.

The teacher is the fold's own, who saw all labels, as a camera company's teacher has seen what is no
longer at hand. Its students know a quarter of them; the other training images have none.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.distill.few_arms import Rest
from bench.distill.folds import Fold, quarter
from bench.distill.measuring import card_of
from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Sample
from distill_jobs.release.answers import ask
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.runtimes import TorchRuntime
from handlers.pipeline import Detections

# Ultralytics' own threshold for what a detector says it sees.
MIN_SCORE = 0.25


def few_labelled(
    fold: Fold, rest: Rest, *, teacher: Path | None, side_px: int, folder: Path
) -> Fold:
    """Take three of four training images' labels away; who judges and who is held out stay.

    Args:
        fold: With all its labels.
        rest: What becomes of the images that lose theirs.
        teacher: Whose boxes they get; asked as a release is, boxes from a score of 0.25.
        side_px: Of its input.
        folder: Gets label files of the teacher's boxes.

    Returns:
        The same fold with other training images.

    Raises:
        ValueError: The teacher's boxes are wanted of no teacher.
    """
    kept = quarter(fold)
    others = [sample for sample in fold.train if sample not in kept]
    if rest is Rest.NOTHING:
        return replace(fold, train=kept)
    if rest is Rest.IMAGES:
        bare = [replace(sample, labels=None, labelled=False) for sample in others]
        return replace(fold, train=_by_name([*kept, *bare]))
    if teacher is None:
        raise ValueError("the teacher's boxes are wanted, but no teacher is given")
    told = _told(fold, others, teacher, side_px, folder)
    return replace(fold, train=_by_name([*kept, *told]))


def _told(
    fold: Fold, samples: Sequence[Sample], teacher: Path, side_px: int, folder: Path
) -> list[Sample]:
    runtime = TorchRuntime(DenseDetector(load_detector(teacher), side_px))
    images = [sample.image for sample in samples]
    answers = ask(card_of(fold, side_px), runtime, images, [], on_image=lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for sample, found in zip(samples, answers.detections, strict=True):
        file = folder / f"{sample.image.stem}.txt"
        file.write_text("".join(_rows(found)), encoding="utf-8")
        told.append(replace(sample, labels=file))
    return told


def _rows(found: Detections) -> list[str]:
    """Return YOLO's rows, `class cx cy w h` as fractions, of what is surely seen."""
    rows: list[str] = []
    seen: Any = zip(found.class_ids, found.boxes_xyxy_px, found.scores, strict=True)
    for class_id, (x1, y1, x2, y2), score in seen:
        if score >= MIN_SCORE:
            centre = (x1 + x2) / 2 / found.width, (y1 + y2) / 2 / found.height
            size = (x2 - x1) / found.width, (y2 - y1) / found.height
            rows.append(f"{class_id} {' '.join(f'{one:.6f}' for one in (*centre, *size))}\n")
    return rows


def _by_name(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda one: one.image.name))
