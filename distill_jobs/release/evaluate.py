"""One evaluator over any source of detections: a pipeline in this process, or the gateway.

The matching (`matches`) and the average precision (`average_precision`) are those of ultralytics'
validator, so the figures compare with published ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distill_jobs.data.dataset import Sample
from distill_jobs.release.average_precision import classes_present
from distill_jobs.release.bootstrap import Precisions, as_they_are
from distill_jobs.release.matches import ImageMatches, match
from handlers.pipeline import Detections

# What the detections to be scored are asked with; a higher score floor costs recall and so mAP.
SCORING_MIN_SCORE = 0.001
SCORING_MAX_DETECTIONS = 300


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


def score(
    answers: Iterable[Detections], samples: Sequence[Sample], class_names: Sequence[str]
) -> Quality:
    """Score answers that were already given, one a sample and in their order."""
    return quality_of(match_all(answers, samples), class_names)


def match_all(answers: Iterable[Detections], samples: Sequence[Sample]) -> tuple[ImageMatches, ...]:
    """Compare answers with the labels, image by image: what a bootstrap resamples.

    Args:
        answers: One a sample and in their order, scores from `SCORING_MIN_SCORE`.
        samples: Labelled images.

    Returns:
        One an image; `quality_of` reduces them, `bootstrap.Precisions` resamples them.
    """
    return tuple(match(answer, sample) for answer, sample in zip(answers, samples, strict=True))


def quality_of(matches: Sequence[ImageMatches], class_names: Sequence[str]) -> Quality:
    """Reduce the images' matches to the quality; 0 where there is no label."""
    present = classes_present(matches)
    whole = Precisions.of(matches, present, as_they_are(len(matches)))
    objects = {one: sum(int((image.true_ids == one).sum()) for image in matches) for one in present}
    return Quality(
        map50=float(whole.map50[0]) if present else 0.0,
        map50_95=float(whole.map50_95[0]) if present else 0.0,
        images=len(matches),
        objects=sum(objects.values()),
        per_class=tuple(
            ClassQuality(
                one,
                class_names[one],
                objects[one],
                float(whole.ap50(one)[0]),
                float(whole.ap50_95(one)[0]),
            )
            for one in present
        ),
    )
