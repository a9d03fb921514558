"""YOLOv8 behind every peer: from JPEGs to detections, a batch at a time.

Needs only the standard library, NumPy, OpenCV and ONNX Runtime: each peer's own interpreter
imports it. It is what the servers' and ultralytics' documentation show for a detector exported to
ONNX (OpenCV decodes, letterbox, one run a batch, cv2.dnn suppresses), vectorised where theirs
loops, with one candidate for each pair of anchor and class, as `handlers` has it.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SETTINGS_VARIABLE = "BENCH_PEER_SETTINGS"
"""Environment variable: the settings file that `PeerSettings.read` takes."""

Answer = dict[str, Any]
"""JSON: width, height (px), boxes (xyxy, pixels of the original), scores, classes."""


@dataclass(frozen=True)
class PeerSettings:
    """What a peer serves, and how it shares the machine.

    Attributes:
        onnx: FP32 graph, [N, 3, side, side] to [N, 4 + C, anchors].
        archive: Extracted archive of ours, whose pipeline takes the detector's place; None for the
            ONNX graph.
        variant: Of the archive; None for its default.
        thresholds: Lowest score kept, a class each.
        iou_threshold: An IoU above it is an overlap.
        max_detections: Kept of a frame.
        side_px: Of the square input.
        workers: Processes (or replicas) that run the model.
        threads: CPU threads of each for the model and for OpenCV.
        spinning: Whether ONNX Runtime's threads may spin between two runs, its default.
        max_batch: Frames a run takes at most.
        port: Where the server listens.
    """

    onnx: str
    archive: str | None
    variant: str | None
    thresholds: tuple[float, ...]
    iou_threshold: float
    max_detections: int
    side_px: int
    workers: int
    threads: int
    spinning: bool
    max_batch: int
    port: int

    @classmethod
    def read(cls) -> "PeerSettings":
        """Read the file that the environment names."""
        values = json.loads(Path(os.environ[SETTINGS_VARIABLE]).read_text(encoding="utf-8"))
        return cls(**{**values, "thresholds": tuple(values["thresholds"])})


class Detector(Protocol):
    """Finds objects in encoded images."""

    def detect(self, images: Sequence[bytes]) -> list[Answer]:
        """Answer a batch of JPEGs, in order."""
        ...


def load(settings: PeerSettings) -> Detector:
    """Load the settings' model and run it once at the largest batch."""
    detector: Detector = OnnxDetector(settings) if settings.archive is None else Ours(settings)
    return detector


class OnnxDetector:
    """The FP32 graph under ONNX Runtime.

    Args:
        settings: Of the peer.
    """

    def __init__(self, settings: PeerSettings) -> None:
        import cv2  # noqa: PLC0415 - line 2c never comes here
        import numpy as np  # noqa: PLC0415 - likewise
        import onnxruntime  # noqa: PLC0415 - likewise

        self._cv2, self._np, self._settings = cv2, np, settings
        cv2.setNumThreads(settings.threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        if not settings.spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            settings.onnx, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._thresholds = np.array(settings.thresholds, np.float32)
        side = settings.side_px
        self._session.run(
            None, {self._input: np.zeros((settings.max_batch, 3, side, side), np.float32)}
        )

    def detect(self, images: Sequence[bytes]) -> list[Answer]:
        """Answer a batch of JPEGs, in order."""
        fitted = [self._fit(image) for image in images]
        batch = self._np.concatenate([one[0] for one in fitted])
        (heads,) = self._session.run(None, {self._input: batch})
        return [self._finish(head, one) for head, one in zip(heads, fitted, strict=True)]

    def _fit(self, data: bytes) -> tuple[Any, int, int, float, float, int, int]:
        """Decode and letterbox; returns the blob and what maps its boxes back."""
        cv2, np, side = self._cv2, self._np, self._settings.side_px
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        ratio = min(side / height, side / width)
        inner = (round(width * ratio), round(height * ratio))
        if inner != (width, height):
            image = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
        spare_x, spare_y = side - inner[0], side - inner[1]
        left, top = round(spare_x / 2 - 0.1), round(spare_y / 2 - 0.1)
        image = cv2.copyMakeBorder(
            image,
            top,
            spare_y - top,
            left,
            spare_x - left,
            cv2.BORDER_CONSTANT,
            value=(114, 114, 114),
        )
        blob = cv2.dnn.blobFromImage(image, 1 / 255, swapRB=True)
        return blob, width, height, inner[0] / width, inner[1] / height, left, top

    def _finish(self, head: Any, fitted: tuple[Any, int, int, float, float, int, int]) -> Answer:
        np, settings = self._np, self._settings
        _, width, height, scale_x, scale_y, left, top = fitted
        anchors = np.flatnonzero(head[4:].max(axis=0) >= self._thresholds.min())
        class_scores = head[4:, anchors]
        classes, columns = np.nonzero(class_scores >= self._thresholds[:, np.newaxis])
        scores = class_scores[classes, columns]
        centre_x, centre_y, wide, high = head[:4, anchors[columns]]
        sized = np.stack([centre_x - wide / 2, centre_y - high / 2, wide, high], axis=1)
        kept = self._cv2.dnn.NMSBoxesBatched(
            sized.astype(np.float64),
            scores,
            classes.astype(np.int32),
            float(self._thresholds.min()),
            settings.iou_threshold,
        )
        kept = np.asarray(kept, np.int64)[: settings.max_detections]
        corners = sized[kept]
        corners[:, 2:] += corners[:, :2]
        boxes = (corners - [left, top, left, top]) / [scale_x, scale_y, scale_x, scale_y]
        return {
            "width": width,
            "height": height,
            "boxes": boxes.clip(0, [width, height, width, height]).round(2).tolist(),
            "scores": scores[kept].astype(float).round(5).tolist(),
            "classes": classes[kept].tolist(),
        }


class Ours:
    """The pipeline of an archive of ours (line 2c): the peer serves, our code computes.

    Args:
        settings: Of the peer.
    """

    def __init__(self, settings: PeerSettings) -> None:
        folder = Path(str(settings.archive))
        sys.path.insert(0, str(folder))  # the archive carries `handlers`
        from handlers.pipeline import Frame, Pipeline  # noqa: PLC0415 - found there alone

        self._frame = Frame
        self._pipeline = Pipeline.load(folder, settings.variant, settings.threads)
        self._pipeline.warm_up(settings.max_batch)

    def detect(self, images: Sequence[bytes]) -> list[Answer]:
        """Answer a batch of JPEGs, in order."""
        return [_as_json(one) for one in self._pipeline.detect([self._frame(i) for i in images])]


def _as_json(found: Any) -> Answer:
    if isinstance(found, Exception):
        raise found
    return {
        "width": found.width,
        "height": found.height,
        "boxes": found.boxes_xyxy_px.astype(float).round(2).tolist(),
        "scores": found.scores.astype(float).round(5).tolist(),
        "classes": found.class_ids.tolist(),
    }
