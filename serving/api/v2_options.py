"""Parameters of a V2 request, the same over REST and gRPC."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.api.timeouts import LONGEST_TIMEOUT_S
from serving.api.v2_tensors import OUTPUTS
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import MAX_DETECTIONS
from serving.errors import InvalidField

Parameter = bool | int | float | str
# REST's alone: it says how the answer is written.
BINARY_DATA_OUTPUT = "binary_data_output"
_KNOWN = ("camera_id", "frame_id", "arm", "min_score", "max_detections", "timeout")


@dataclass(frozen=True)
class Options:
    """What a request asks for beside its images; the gateway checks the limits.

    Attributes:
        camera_id: Of all its images, "" for none.
        frame_id: "" for none.
        arm: To force, "" for none.
        min_score: None for the card's thresholds.
        max_detections: None for the card's limit.
        deadline: None for the route's own.
    """

    camera_id: str = ""
    frame_id: str = ""
    arm: str = ""
    min_score: float | None = None
    max_detections: int | None = None
    deadline: Deadline | None = None


def read_options(given: Mapping[str, object]) -> Options:
    """Read a request's parameters.

    Raises:
        InvalidField: One is unknown or of another type.
    """
    for name in given:
        if name not in _KNOWN and name != BINARY_DATA_OUTPUT:
            known = ", ".join(_KNOWN)
            raise InvalidField(
                name[:64], f"parameters: {name[:64]!r} is not one; there are {known}"
            )
    return Options(
        camera_id=_text(given, "camera_id"),
        frame_id=_text(given, "frame_id"),
        arm=_text(given, "arm"),
        min_score=_number(given, "min_score"),
        max_detections=_max_detections(given),
        deadline=_deadline(given),
    )


def read_outputs(names: list[str]) -> tuple[str, ...]:
    """Return the outputs that are asked for; none means all.

    Raises:
        InvalidField: One is unknown or named twice.
    """
    for place, name in enumerate(names):
        if name not in OUTPUTS:
            known = ", ".join(OUTPUTS)
            raise InvalidField("outputs", f"outputs: no output {name[:64]!r}; there are {known}")
        if name in names[:place]:
            raise InvalidField("outputs", f"outputs: {name!r} is named twice")
    return tuple(names) or tuple(OUTPUTS)


def sooner(one: Deadline | None, other: Deadline | None) -> Deadline | None:
    """Return the sooner of two deadlines that may be missing."""
    return min(filter(None, (one, other)), key=lambda deadline: deadline.at, default=None)


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise InvalidField(name, f"{name}: {_shown(value)} is not a string")
    return value


def _number(given: Mapping[str, object], name: str) -> float | None:
    if name not in given:
        return None
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidField(name, f"{name}: {_shown(value)} is not a number")
    return float(value)


def _whole(given: Mapping[str, object], name: str, most: int) -> int | None:
    if name not in given:
        return None
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidField(name, f"{name}: {_shown(value)} is not a whole number")
    if not 0 <= value <= most:
        raise InvalidField(name, f"{name}: {value} is not within 1 to {most}")
    return value


def _max_detections(given: Mapping[str, object]) -> int | None:
    return _whole(given, "max_detections", MAX_DETECTIONS)


def _deadline(given: Mapping[str, object]) -> Deadline | None:
    """Return the deadline of Triton's `timeout`, microseconds; 0 is its word for none."""
    timeout_us = _whole(given, "timeout", int(LONGEST_TIMEOUT_S * 1_000_000))
    return Deadline.after(timeout_us / 1_000_000) if timeout_us else None


def _shown(value: object) -> str:
    return repr(value)[:32] if isinstance(value, bool | int | float | str) else "what was sent"
