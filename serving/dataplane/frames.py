"""A request's fields, checked once for every way a frame can come in."""

import re
from dataclasses import dataclass

from proto.wire.v1 import detection_pb2 as wire
from serving.errors import BadImage, ImageTooLarge, InvalidField

MIN_SCORE = 0.001
MAX_DETECTIONS = 1000
MAX_NAME_LENGTH = 128
_NAME = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True)
class FrameLimits:
    """What a frame may be.

    Attributes:
        image_bytes: Largest encoded image.
    """

    image_bytes: int = 6 * 1024 * 1024


@dataclass(frozen=True)
class Frame:
    """A request that keeps to the limits.

    Attributes:
        image: Encoded; whether it decodes, the worker finds out.
        camera_id: "" where the request named none.
        frame_id: Returned untouched.
        min_score: 0.001 to 1, or None for the card's thresholds.
        max_detections: 1 to 1000, or None for the card's limit.
        route: "" for the default route.
        arm: The arm to force, or "".
    """

    image: bytes
    camera_id: str
    frame_id: str
    min_score: float | None
    max_detections: int | None
    route: str
    arm: str

    @property
    def has_own_thresholds(self) -> bool:
        """Whether the answer is not at the card's: it tells of who asked, not of what was seen."""
        return self.min_score is not None or self.max_detections is not None


def check(request: wire.DetectRequest, limits: FrameLimits) -> Frame:
    """Return the request's frame.

    Raises:
        InvalidField: A field breaks its limit; its subclasses `BadImage` for an empty image and
            `ImageTooLarge` for one with too many bytes.
    """
    min_score = request.min_score if request.HasField("min_score") else None
    max_detections = request.max_detections if request.HasField("max_detections") else None
    _check_image(request.image, limits)
    _check_min_score(min_score)
    _check_max_detections(max_detections)
    for field in ("camera_id", "frame_id", "route", "arm"):
        _check_name(field, getattr(request, field))
    return Frame(
        image=request.image,
        camera_id=request.camera_id,
        frame_id=request.frame_id,
        min_score=min_score,
        max_detections=max_detections,
        route=request.route,
        arm=request.arm,
    )


def too_large(limit_bytes: int, found: str) -> ImageTooLarge:
    """Return the error for an image of more bytes than allowed.

    Args:
        limit_bytes: The most that is taken.
        found: What came: "7000000 bytes".
    """
    return ImageTooLarge(
        "image",
        f"image: {found}, and at most {limit_bytes} are taken; send a smaller or more strongly "
        "compressed image",
    )


def _check_image(image: bytes, limits: FrameLimits) -> None:
    if not image:
        raise BadImage("image", "image: empty; send the bytes of a JPEG, PNG or WebP file")
    if len(image) > limits.image_bytes:
        raise too_large(limits.image_bytes, f"{len(image)} bytes")


def _check_min_score(value: float | None) -> None:
    # A comparison with NaN is false, so NaN is refused too. 0.001 as float32 lies above 0.001.
    if value is not None and not MIN_SCORE <= value <= 1:
        raise InvalidField("min_score", f"min_score: {value:g} is not within {MIN_SCORE} to 1")


def _check_max_detections(value: int | None) -> None:
    if value is not None and not 1 <= value <= MAX_DETECTIONS:
        raise InvalidField(
            "max_detections", f"max_detections: {value} is not within 1 to {MAX_DETECTIONS}"
        )


def _check_name(field: str, value: str) -> None:
    if len(value) > MAX_NAME_LENGTH:
        raise InvalidField(
            field, f"{field}: {len(value)} characters, and at most {MAX_NAME_LENGTH} are taken"
        )
    if not _NAME.fullmatch(value):
        raise InvalidField(
            field, f"{field}: {value!r} holds more than visible ASCII characters without spaces"
        )
