"""What TorchServe hands a handler, and the JSON that goes back."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from handlers.errors import BadFrame
from handlers.frames import Detections, Frame, invalid_field

REPLY_VERSION = 1
CONTENT_TYPE = "application/json"

# By the error's code; every other bad frame is a 400.
_STATUS = {
    "image_too_large": (413, "Payload Too Large"),
    "deadline_exceeded": (504, "Gateway Timeout"),
    "out_of_memory": (507, "Insufficient Storage"),
}
_BAD_REQUEST = (400, "Bad Request")
# No frame waits so long: one that is later comes from a machine whose clock goes otherwise, or this
# one's was set. Were it refused, so would be every frame until somebody sets the clocks.
_CLOCKS_DIFFER_MS = 120_000

N = TypeVar("N", int, float)


class Context(Protocol):
    """The part of TorchServe's `ts.context.Context` that is used here."""

    @property
    def system_properties(self) -> Mapping[str, Any]:
        """`model_dir`, `gpu_id`, `batch_size`..."""
        ...

    def get_all_request_header(self, idx: int) -> Mapping[str, object]:
        """Return the headers of the batch's item `idx`, their names as they were sent."""
        ...

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the HTTP status of the batch's item `idx`."""

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the media type of the batch's item `idx`."""


def read_item(item: Mapping[str, object], headers: Mapping[str, object]) -> Frame:
    """Read one item of a batch.

    TorchServe drops the query of /predictions, so there options come as headers; a multipart form,
    and the endpoints that keep the query, bring them as fields of the item.

    Args:
        item: "body" (or "data", as a form may name it), perhaps "min_score", "max_detections".
        headers: Perhaps X-Min-Score, X-Max-Detections and X-Deadline-Unix-Ms, in any case.

    Raises:
        BadFrame: "deadline_exceeded" if nobody waits for the answer any more, "not_an_image" if
            the body came as text or JSON, "invalid_field" if an option is no number.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    _hold_deadline(sent.get("x-deadline-unix-ms"))
    body = item.get("body", item.get("data", b""))
    if not isinstance(body, bytes | bytearray):
        raise BadFrame(
            "not_an_image",
            "image: came as text or JSON; send the encoded image itself, as image/jpeg, image/png, "
            "image/webp or application/octet-stream",
        )
    min_score = item.get("min_score", sent.get("x-min-score"))
    max_detections = item.get("max_detections", sent.get("x-max-detections"))
    return Frame(
        body,
        min_score=_number("min_score", min_score, float, "a number"),
        max_detections=_number("max_detections", max_detections, int, "a whole number"),
    )


def write_detections(
    found: Detections, *, variant: str, threads: int | None = None, batch_size: int
) -> bytes:
    """Return the reply to a good frame.

    Boxes are flat (x1, y1, x2, y2, x1...) in pixels of the upright original, to a hundredth; scores
    to 1e-5, which moves none across a threshold given to as many places.

    Args:
        found: The detections.
        variant: Who found them.
        threads: That a run may use; None: as many as the engine likes.
        batch_size: How many frames arrived together.
    """
    return _json(
        {
            "v": REPLY_VERSION,
            "width": found.width,
            "height": found.height,
            "boxes": np.round(found.boxes_xyxy_px.astype(np.float64), 2).ravel().tolist(),
            "scores": np.round(found.scores.astype(np.float64), 5).tolist(),
            "classes": found.class_ids.tolist(),
            "variant": variant,
            "threads": threads,
            "ms": {
                "decode": round(found.decode_ms, 3),
                "preprocess": round(found.preprocess_ms, 3),
                "inference": round(found.inference_ms, 3),
                "postprocess": round(found.postprocess_ms, 3),
            },
            "batch": batch_size,
        }
    )


def write_error(bad: BadFrame) -> bytes:
    """Return the reply to a bad frame."""
    error = {"code": bad.code, "message": bad.message, "field": bad.field}
    return _json({"v": REPLY_VERSION, "error": error})


def status_of(bad: BadFrame) -> tuple[int, str]:
    """Return the HTTP status and phrase of a bad frame."""
    return _STATUS.get(bad.code, _BAD_REQUEST)


def _hold_deadline(value: object) -> None:
    """Refuse an item whose sender has stopped waiting: the batch is spent on the others."""
    deadline_ms = _number("deadline_unix_ms", value, int, "a whole number")
    if deadline_ms is None:
        return
    # Whole numbers: one of a thousand digits fits into no float.
    late_ms = time.time_ns() // 1_000_000 - deadline_ms
    if 0 <= late_ms < _CLOCKS_DIFFER_MS:
        raise BadFrame(
            "deadline_exceeded",
            f"deadline: passed {late_ms} ms before the worker came to the frame; allow more "
            "time or send fewer frames",
            "deadline_unix_ms",
        )


def _number(name: str, value: object, parse: Callable[[str], N], wanted: str) -> N | None:
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
    try:
        return parse(text)
    except ValueError:
        raise invalid_field(name, wanted, text) from None


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
