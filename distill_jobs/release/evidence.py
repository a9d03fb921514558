"""What the gate judges by: each model's figures on the same images, and on the same resamples."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from distill_jobs.data.dataset import Sample
from distill_jobs.release.agreement import Agreement, resampled_f1
from distill_jobs.release.average_precision import Counts, Floats, classes_present
from distill_jobs.release.bootstrap import Precisions, as_they_are, draw
from distill_jobs.release.evaluate import match_all
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.operating import Operating
from distill_jobs.release.sizes import match_sizes
from handlers.pipeline import Detections

_SEED = 0


@dataclass(frozen=True)
class Held:
    """The labelled images that figures are taken on, and how they are drawn again.

    Attributes:
        samples: The images, I of them.
        class_names: Index = class id.
        drawn: int64 [B, I]: the same resamples for every model.
    """

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]
    drawn: Counts

    @classmethod
    def out(cls, samples: Sequence[Sample], class_names: Sequence[str], resamples: int) -> "Held":
        """Draw the resamples."""
        drawn = draw(images=len(samples), resamples=resamples, seed=_SEED)
        return cls(tuple(samples), tuple(class_names), drawn)


@dataclass(frozen=True)
class Scores:
    """A figure twice: on the images as they are (B = 1) and in every resample."""

    whole: Precisions
    drawn: Precisions

    @classmethod
    def of(cls, matches: Sequence[ImageMatches], drawn: Counts) -> "Scores":
        """Reckon both, over the classes that the labels hold."""
        present = classes_present(matches)
        whole = Precisions.of(matches, present, as_they_are(len(matches)))
        return cls(whole, Precisions.of(matches, present, drawn))


@dataclass(frozen=True)
class Measured:
    """One model's figures on the held-out images.

    Attributes:
        matches: One an image.
        scores: Over all objects.
        by_size: Over small, medium and large ones.
        objects_by_size: How many labels each size has.
        images_by_size: How many images hold any.
        operating: At its own operating thresholds.
    """

    matches: tuple[ImageMatches, ...]
    scores: Scores
    by_size: dict[str, Scores]
    objects_by_size: dict[str, int]
    images_by_size: dict[str, int]
    operating: Operating

    @classmethod
    def of(
        cls, answers: Sequence[Detections], thresholds: npt.NDArray[np.float32], held: Held
    ) -> "Measured":
        """Reckon a model's figures.

        Args:
            answers: One an image of `held`, scores from 0.001.
            thresholds: float32 [C], its operating thresholds.
            held: The images.

        Raises:
            DataSetInvalid: A label does not fit.
        """
        matches = match_all(answers, held.samples)
        sizes = match_sizes(answers, held.samples)
        return cls(
            matches=matches,
            scores=Scores.of(matches, held.drawn),
            by_size={size: Scores.of(one, held.drawn) for size, one in sizes.items()},
            objects_by_size={
                size: sum(len(image.true_ids) for image in one) for size, one in sizes.items()
            },
            images_by_size={
                size: sum(len(image.true_ids) > 0 for image in one) for size, one in sizes.items()
            },
            operating=Operating.of(matches, thresholds),
        )


@dataclass(frozen=True)
class Accord:
    """How a model agrees with its teacher on unlabelled frames, as F1 at operating thresholds.

    Attributes:
        images: How many frames.
        with_boxes: How many of them have a box, of either model.
        teacher_boxes: How many boxes the teacher has.
        value: 2 pairs / (boxes of both), over all frames; NaN without a box: two that are silent
            have shown nothing.
        drawn: float64 [B], in every resample of the frames; NaN likewise.
    """

    images: int
    with_boxes: int
    teacher_boxes: int
    value: float
    drawn: Floats

    @classmethod
    def of(cls, frames: Sequence[Agreement], resamples: int) -> "Accord":
        """Reckon it from each frame's agreement with the teacher, who is its reference."""
        boxes = np.array([2 * one.pairs + one.missed + one.invented for one in frames], np.int64)
        whole = as_they_are(len(frames))
        counts = draw(images=len(frames), resamples=resamples, seed=_SEED)
        f1, drawn = (
            np.where(times @ boxes > 0, resampled_f1(frames, times), np.nan)
            for times in (whole, counts)
        )
        return cls(
            images=len(frames),
            with_boxes=int((boxes > 0).sum()),
            teacher_boxes=sum(one.pairs + one.missed for one in frames),
            value=float(f1[0]),
            drawn=drawn,
        )


@dataclass(frozen=True)
class Evidence:
    """Everything that the gate judges by; what was not measured is None or empty.

    The gate refuses a limit that the job gives and that nothing here answers.

    Attributes:
        held: The labelled images; None where there are none.
        student: The model to be released.
        teacher: Its teacher.
        live: The model that serves now.
        accord: The student's agreement with the teacher on unlabelled frames.
        live_accord: The live model's, on the same frames.
        file_bytes: Of the default variant's weights.
        teacher_file_bytes: Of the teacher's.
        latency_ratios: float64 [R]: student's time over teacher's for one image, in turns.
    """

    held: Held | None = None
    student: Measured | None = None
    teacher: Measured | None = None
    live: Measured | None = None
    accord: Accord | None = None
    live_accord: Accord | None = None
    file_bytes: int | None = None
    teacher_file_bytes: int | None = None
    latency_ratios: Floats = field(default_factory=lambda: np.zeros(0))
