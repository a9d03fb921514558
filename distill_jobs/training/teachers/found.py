"""Finished detections of one image, and who finds them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from ultralytics.utils.patches import imread

from distill_jobs.errors import DataSetInvalid, TrainingFailed
from distill_jobs.training.teachers.classes import ClassMap
from handlers.boxes import Candidates, read_dense_head, suppress, to_original
from handlers.errors import BadModelOutput
from handlers.fitting import Geometry

# Ultralytics' own defaults for predictions, but for fewer boxes: an image rarely shows 300 objects.
IOU_THRESHOLD = 0.7
MAX_DETECTIONS = 100
_MAX_CANDIDATES = 3000


@dataclass(frozen=True)
class Found:
    """What a teacher found in one image of the data set.

    Attributes:
        boxes_xyxy_px: float32 [K, 4], corners in pixels of the original image, turned upright.
        scores: float32 [K], 0 to 1.
        class_ids: int64 [K], in the student's classes.
        width: Of the original image, pixels.
        height: Of the original image, pixels.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    width: int
    height: int


@dataclass(frozen=True)
class SourceImage:
    """An image of the data set, as it lies on disk.

    Attributes:
        path: The staged file.
    """

    path: Path

    @cached_property
    def sha256(self) -> str:
        """Of its bytes, in hex."""
        return sha256(self.path.read_bytes()).hexdigest()

    def read(self) -> NDArray[np.uint8]:
        """Decode it as ultralytics' loader does: uint8 [H, W, 3], RGB, turned upright.

        Raises:
            DataSetInvalid: It does not decode.
        """
        image = imread(self.path)
        if image is None:
            raise DataSetInvalid(self.path, "not an image that can be opened: mend or remove it")
        return np.ascontiguousarray(image[..., ::-1])


class BoxFinder(Protocol):
    """A teacher that gives finished boxes; asked once about each image of the data set."""

    @property
    def identity(self) -> str:
        """Hex digest of all that its answers depend on but the image."""

    def find(self, image: SourceImage) -> Found:
        """Find the objects of an image."""


def identity(**parts: object) -> str:
    """Return one digest of named parts; their order does not matter."""
    text = json.dumps({"schema": 1, **parts}, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Selection:
    """How raw scores become finished boxes.

    Attributes:
        class_map: From the teacher's classes to the student's.
        min_score: The lowest score kept.
    """

    class_map: ClassMap
    min_score: float

    @property
    def parts(self) -> Mapping[str, object]:
        """What an identity must cover."""
        return {
            "targets": self.class_map.targets,
            "class_count": self.class_map.class_count,
            "min_score": self.min_score,
            "iou_threshold": IOU_THRESHOLD,
            "max_detections": MAX_DETECTIONS,
        }

    def from_dense(self, head: NDArray[np.float32], geometry: Geometry) -> Found:
        """Pick from a score a class at each anchor.

        Args:
            head: float32 [4 + C_t, A]: cx, cy, w, h in input pixels, then scores 0 to 1.
            geometry: How the image was fitted into the input.

        Raises:
            TrainingFailed: The teacher gave numbers that are none.
        """
        scores = self._in_student_classes(head[4:])
        thresholds = np.full(len(scores), max(self.min_score, 1e-3), np.float32)
        try:
            candidates = read_dense_head(
                np.concatenate((head[:4], scores)), thresholds, _MAX_CANDIDATES
            )
        except BadModelOutput as error:
            raise TrainingFailed(f"a teacher cannot be listened to: {error}") from error
        kept = suppress(candidates, IOU_THRESHOLD, MAX_DETECTIONS)
        boxes = to_original(kept.boxes_xyxy_px, geometry)
        return _visible(boxes, kept.scores, kept.class_ids, geometry.width, geometry.height)

    def from_finished(
        self,
        boxes_xyxy_px: NDArray[np.float32],
        scores: NDArray[np.float32],
        teacher_class_ids: NDArray[np.int64],
        *,
        width: int,
        height: int,
    ) -> Found:
        """Pick from boxes that were suppressed already, or never needed it.

        Where several classes of the teacher become one, boxes of one object may become rivals:
        they are suppressed anew.

        Args:
            boxes_xyxy_px: float32 [K, 4], pixels of the original image.
            scores: float32 [K].
            teacher_class_ids: int64 [K].
            width: Of the original image, pixels.
            height: Of the original image, pixels.
        """
        class_ids = np.array(self.class_map.targets, np.int64)[teacher_class_ids]
        wanted = np.flatnonzero((class_ids >= 0) & (scores >= self.min_score))
        best = wanted[np.argsort(-scores[wanted], kind="stable")]
        found = Candidates(boxes_xyxy_px[best], scores[best], class_ids[best])
        if self.class_map.merges and len(best):
            found = suppress(found, IOU_THRESHOLD, MAX_DETECTIONS)
        found = found.take(np.arange(min(len(found.scores), MAX_DETECTIONS)))
        boxes = found.boxes_xyxy_px.clip(0, np.array([width, height] * 2, np.float32))
        return _visible(boxes, found.scores, found.class_ids, width, height)

    def _in_student_classes(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        merged = np.zeros((self.class_map.class_count, scores.shape[1]), np.float32)
        for source, target in enumerate(self.class_map.targets):
            if target >= 0:
                np.maximum(merged[target], scores[source], out=merged[target])
        return merged


def _visible(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    width: int,
    height: int,
) -> Found:
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Found(boxes[inside], scores[inside], class_ids[inside], width, height)
