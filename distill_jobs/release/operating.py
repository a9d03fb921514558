"""What cameras hear of: detections at the operating thresholds, and how many of them are right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.release.average_precision import Counts, Floats
from distill_jobs.release.matches import ImageMatches


@dataclass(frozen=True)
class Operating:
    """Detections at or above their class's threshold, image by image, at IoU 0.5.

    The matching goes by falling score, so leaving out the low ones changes nothing above them.

    Attributes:
        found: int64 [I, C]: labels found.
        raised: int64 [I, C]: detections.
        labels: int64 [I, C]: labels.
    """

    found: Counts
    raised: Counts
    labels: Counts

    @classmethod
    def of(
        cls, matches: Sequence[ImageMatches], thresholds: npt.NDArray[np.float32]
    ) -> "Operating":
        """Count them.

        Args:
            matches: One an image.
            thresholds: float32 [C].
        """
        classes = len(thresholds)
        found, raised, labels = np.zeros((3, len(matches), classes), np.int64)
        for place, image in enumerate(matches):
            loud = image.scores >= thresholds[image.class_ids]
            hit = loud & image.hits[:, 0]
            found[place] = np.bincount(image.class_ids[hit], minlength=classes)
            raised[place] = np.bincount(image.class_ids[loud], minlength=classes)
            labels[place] = np.bincount(image.true_ids, minlength=classes)
        return cls(found, raised, labels)

    def of_class(self, class_id: int) -> "Operating":
        """Return one class's counts, C = 1."""
        only = slice(class_id, class_id + 1)
        return Operating(self.found[:, only], self.raised[:, only], self.labels[:, only])

    def recall(self, counts: Counts) -> Floats:
        """Labels found over labels, all classes together.

        Args:
            counts: int64 [B, I]: how often each image is drawn.

        Returns:
            float64 [B], 0 to 1; NaN without labels.
        """
        return _ratio(self.found, self.labels, counts)

    def precision(self, counts: Counts) -> Floats:
        """Labels found over detections, all classes together.

        Args:
            counts: int64 [B, I]: how often each image is drawn.

        Returns:
            float64 [B], 0 to 1; NaN without detections.
        """
        return _ratio(self.found, self.raised, counts)


def _ratio(part: Counts, whole: Counts, counts: Counts) -> Floats:
    drawn = (counts @ whole.sum(axis=1)).astype(np.float64)
    share: Floats = np.divide(
        counts @ part.sum(axis=1), drawn, out=np.full(len(counts), np.nan), where=drawn > 0
    )
    return share
