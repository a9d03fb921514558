"""What gateways tell of traffic: windows of five seconds, and the cameras they saw."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import Field

from serving.store.values import Frozen, ReleaseKey

WINDOW_S = 5.0
WINDOWS_KEPT = timedelta(days=30)

# A camera is silent for so many of the periods in which one frame is expected...
SILENT_PERIODS = 5
# ... and not for less than this: gateways tell of their cameras once a window.
LEAST_SILENCE_S = 3 * WINDOW_S

Histogram = dict[int, int]
"""Counts by bucket of `serving.store.histogram`: two are merged by adding."""


class ClassAgreement(Frozen):
    """Detections of one class, by either arm.

    Attributes:
        matched: Pairs.
        primary: Of the arm that answered the camera.
        shadow: Of the arm that answered unheard.
    """

    matched: int = 0
    primary: int = 0
    shadow: int = 0


class AgreementSums(Frozen):
    """How far two arms agreed on the same frames; sums, so that two are merged by adding.

    Attributes:
        frames: Frames compared.
        f1: Sum over the frames of 2 * matched / (primary + shadow), 1 where neither found any.
        matched: Pairs of one class that overlap enough.
        iou: Sum over the pairs of their intersection over union.
        score_difference: Sum over the pairs of |score - score|.
        count_difference: Sum over the frames of |primary detections - shadow detections|.
        classes: By class id.
    """

    frames: int = 0
    f1: float = 0.0
    matched: int = 0
    iou: float = 0.0
    score_difference: float = 0.0
    count_difference: int = 0
    classes: dict[int, ClassAgreement] = Field(default_factory=dict)


class CameraWindow(Frozen):
    """One camera's part of a window.

    Attributes:
        frames: Requests.
        errors: Requests that did not end in detections and were not the camera's own fault.
        latency: Of the answered ones.
        compared: Frames that both arms answered.
        f1: Sum over those frames of their F1.
    """

    frames: int = 0
    errors: int = 0
    latency: Histogram = Field(default_factory=dict)
    compared: int = 0
    f1: float = 0.0


class Window(Frozen):
    """What one gateway saw of one arm of one route in five seconds.

    Attributes:
        gateway: Its id.
        start: UTC.
        route: Name.
        revision: Of the route, under which the requests were sent.
        arm: Who answered (or failed to).
        release: The arm's.
        kind: Whether the split chose the arm, it stood in for another, or it was compared unheard.
        codes: Requests by the code they ended in; "ok" is an answer.
        latency: Of the answered ones, from a checked frame to its answer.
        agreement: With the arm that answered the camera; only of kind shadow.
        cameras: By camera id; kept for a shorter time than the rest.
    """

    gateway: str
    start: datetime
    route: str
    revision: int
    arm: str
    release: ReleaseKey
    kind: Literal["primary", "fallback", "shadow"]
    codes: dict[str, int]
    latency: Histogram = Field(default_factory=dict)
    agreement: AgreementSums | None = None
    cameras: dict[str, CameraWindow] = Field(default_factory=dict)


class Sighting(NamedTuple):
    """When a camera was last seen, and what was expected; light, for there are thousands.

    Attributes:
        group: The operator's word, "" for none.
        expected_fps: Frames a second that the operator expects; None: nothing is expected.
        last_seen: UTC; None where traffic has not shown it yet.
    """

    group: str
    expected_fps: float | None
    last_seen: datetime | None

    def is_silent(self, now: datetime) -> bool:
        """Whether frames are expected and do not come, at a time of the store's clock."""
        if self.expected_fps is None:
            return False
        if self.last_seen is None:
            return True
        patience_s = max(SILENT_PERIODS / self.expected_fps, LEAST_SILENCE_S)
        return (now - self.last_seen).total_seconds() > patience_s


class Camera(Frozen):
    """A camera, as traffic and the operator have made it known.

    Attributes:
        id: As in its requests.
        group: The operator's word, "" for none.
        expected_fps: Frames a second that the operator expects; None: nothing is expected.
        first_seen: UTC; None where traffic has not shown it yet.
        last_seen: UTC; None likewise.
        note: The operator's words.
    """

    id: str = Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
    group: str = Field(default="", max_length=64)
    expected_fps: float | None = Field(default=None, gt=0, le=1000)
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    note: str = Field(default="", max_length=1000)
