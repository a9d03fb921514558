"""One evaluator over any source of detections: a pipeline in this process, or the gateway.

The matching and the average precision are those of ultralytics' validator, so the figures compare
with published ones: detections take the labels in order of score, each the free label of its class
with the highest IoU, at ten IoU thresholds; the precision envelope is read at 101 recalls (COCO).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.data.dataset import Sample
from distill_jobs.environment import offline
from distill_jobs.release.overlap import iou_matrix
from handlers.pipeline import Detections

# What the detections to be scored are asked with; a higher score floor costs recall and so mAP.
SCORING_MIN_SCORE = 0.001
SCORING_MAX_DETECTIONS = 300
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class ClassQuality:
    """How well one class is found.

    Attributes:
        class_id: Its id.
        name: Its name.
        objects: How many the labels hold.
        ap50: Average precision at IoU 0.5, 0 to 1.
        ap50_95: Mean of the average precisions at IoU 0.5 to 0.95.
    """

    class_id: int
    name: str
    objects: int
    ap50: float
    ap50_95: float


@dataclass(frozen=True)
class Quality:
    """How well a detector does on labelled images.

    Attributes:
        map50: Mean over the classes that occur in the labels of the AP at IoU 0.5, 0 to 1.
        map50_95: The same at IoU 0.5 to 0.95.
        images: How many images were scored.
        objects: How many labels they hold.
        per_class: The classes that occur, by id.
    """

    map50: float
    map50_95: float
    images: int
    objects: int
    per_class: tuple[ClassQuality, ...]


@dataclass(frozen=True)
class ImageMatches:
    """What one image adds to the score; resampling these bounds the score's error.

    Attributes:
        hits: bool [K, 10]: whether detection k found a label at each IoU threshold.
        scores: float32 [K].
        class_ids: int [K].
        true_ids: int [L], the labels' classes.
    """

    hits: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    true_ids: npt.NDArray[np.int64]


def evaluate(
    detect: Callable[[bytes], Detections],
    samples: Sequence[Sample],
    class_names: Sequence[str],
    *,
    on_image: Callable[[int], None] = lambda _: None,
) -> Quality:
    """Score a detector.

    Args:
        detect: Encoded image to detections at `SCORING_MIN_SCORE`, at most
            `SCORING_MAX_DETECTIONS`; boxes are corners in pixels of the image.
        samples: Labelled images.
        class_names: Index = class id.
        on_image: Told 1 after each image.

    Returns:
        The quality.

    Raises:
        DataSetInvalid: A label does not fit.
    """

    def answers() -> Iterable[Detections]:
        for sample in samples:
            yield detect(sample.image.read_bytes())
            on_image(1)

    return score(answers(), samples, class_names)


def score(
    answers: Iterable[Detections], samples: Sequence[Sample], class_names: Sequence[str]
) -> Quality:
    """Score answers that were already given, one a sample and in their order."""
    matches = [match(answer, sample) for answer, sample in zip(answers, samples, strict=True)]
    return quality_of(matches, class_names)


def match(answer: Detections, sample: Sample) -> ImageMatches:
    """Compare one image's detections with its labels."""
    true_ids, true_boxes = sample.read_labels(answer.width, answer.height)
    order = np.argsort(-answer.scores, kind="stable")
    class_ids = answer.class_ids[order].astype(np.int64)
    overlaps = iou_matrix(true_boxes, answer.boxes_xyxy_px[order])
    overlaps *= true_ids[:, None] == class_ids[None, :]
    return ImageMatches(_hits(overlaps), answer.scores[order], class_ids, true_ids)


def quality_of(matches: Sequence[ImageMatches], class_names: Sequence[str]) -> Quality:
    """Reduce the images' matches to the quality; 0 where there is no label."""
    offline()
    from ultralytics.utils.metrics import ap_per_class  # noqa: PLC0415 - after offline()

    true_ids = np.concatenate([one.true_ids for one in matches] or [np.zeros(0, np.int64)])
    if not true_ids.size:
        return Quality(0.0, 0.0, len(matches), 0, ())
    result = ap_per_class(
        np.concatenate([one.hits for one in matches]),
        np.concatenate([one.scores for one in matches]),
        np.concatenate([one.class_ids for one in matches]),
        true_ids,
    )
    precisions, present = result[5], result[6]
    per_class = tuple(
        ClassQuality(
            int(class_id),
            class_names[class_id],
            int((true_ids == class_id).sum()),
            float(row[0]),
            float(row.mean()),
        )
        for class_id, row in zip(present, precisions, strict=True)
    )
    return Quality(
        float(precisions[:, 0].mean()),
        float(precisions.mean()),
        len(matches),
        int(true_ids.size),
        per_class,
    )


def _hits(overlaps: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Give labels (rows) to detections (columns, best first), each threshold for itself."""
    labels, detections = overlaps.shape
    hits = np.zeros((detections, len(IOU_THRESHOLDS)), bool)
    if not labels:
        return hits
    taken = np.zeros((labels, len(IOU_THRESHOLDS)), bool)
    thresholds = np.arange(len(IOU_THRESHOLDS))
    for column in np.flatnonzero((overlaps >= IOU_THRESHOLDS[0]).any(axis=0)):
        free = np.where(taken, 0.0, overlaps[:, column, None])
        best = free.argmax(axis=0)
        hits[column] = free[best, thresholds] >= IOU_THRESHOLDS
        taken[best, thresholds] |= hits[column]
    return hits
