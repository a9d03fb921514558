"""A DetectResponse as proto3 JSON, some ten times faster than the general converter.

The same text, but for white space, as `json_format.MessageToJson(response,
always_print_fields_with_no_presence=True)`: camelCase names, and class 0, score 0 or an empty list
are written out, so that a reader need not know proto3's defaults. A test holds the two together.
"""

import struct

import orjson

from proto.wire.v1 import detection_pb2 as wire

_FLOAT32 = struct.Struct("f")


def to_json(response: wire.DetectResponse) -> bytes:
    """Return a response that carries an answer, not an error, as proto3 JSON."""
    answered_by, timings = response.answered_by, response.timings
    return orjson.dumps(
        {
            "detections": [_detection(one) for one in response.detections],
            "imageSize": {
                "width": response.image_size.width,
                "height": response.image_size.height,
            },
            "cameraId": response.camera_id,
            "frameId": response.frame_id,
            "answeredBy": {
                "arm": answered_by.arm,
                "model": answered_by.model,
                "version": answered_by.version,
                "variant": answered_by.variant,
                "stoodInFor": answered_by.stood_in_for,
                "backend": answered_by.backend,
            },
            "timings": {
                "totalMs": shortest(timings.total_ms),
                "queueMs": shortest(timings.queue_ms),
                "upstreamMs": shortest(timings.upstream_ms),
                "decodeMs": shortest(timings.decode_ms),
                "preprocessMs": shortest(timings.preprocess_ms),
                "inferenceMs": shortest(timings.inference_ms),
                "postprocessMs": shortest(timings.postprocess_ms),
            },
            "requestId": response.request_id,
            "dropped": response.dropped,
        }
    )


def _detection(one: wire.Detection) -> dict[str, object]:
    box = one.box
    return {
        "box": {
            "x1": shortest(box.x1),
            "y1": shortest(box.y1),
            "x2": shortest(box.x2),
            "y2": shortest(box.y2),
        },
        "classId": one.class_id,
        "label": one.label,
        "score": shortest(one.score),
    }


def shortest(value: float) -> float:
    """Return the decimal with the fewest digits that is this float32: 0.3, not 0.30000001192."""
    for digits in (6, 7, 8):
        candidate = float(f"{value:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(candidate))[0] == value:
            return candidate
    return float(f"{value:.9g}")
