"""What came over the wire, as the arrays that drawing and scoring take."""

from collections.abc import Iterable

import numpy as np

from handlers.pipeline import Detections
from proto.wire.v1 import detection_pb2 as wire


def detections(answer: wire.DetectResponse) -> Detections:
    """Return an answer's detections: corners in pixels of the original image."""
    found = answer.detections
    corners = [[one.box.x1, one.box.y1, one.box.x2, one.box.y2] for one in found]
    return Detections(
        boxes_xyxy_px=np.array(corners, np.float32).reshape(-1, 4),
        scores=np.array([one.score for one in found], np.float32),
        class_ids=np.array([one.class_id for one in found], np.int64),
        width=answer.image_size.width,
        height=answer.image_size.height,
        decode_ms=answer.timings.decode_ms,
        preprocess_ms=answer.timings.preprocess_ms,
        inference_ms=answer.timings.inference_ms,
        postprocess_ms=answer.timings.postprocess_ms,
    )


def names(answers: Iterable[wire.DetectResponse]) -> list[str]:
    """Return class names by id, as far as the answers name them."""
    told = {one.class_id: one.label for answer in answers for one in answer.detections}
    return [told.get(class_id, str(class_id)) for class_id in range(max(told, default=-1) + 1)]
