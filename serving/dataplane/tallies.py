"""Counts that grow while a window is open, and the frozen window they become."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from serving.store.histogram import bucket_of
from serving.store.observations import AgreementSums, CameraWindow, ClassAgreement, Window
from serving.store.values import ReleaseKey

Kind = Literal["primary", "fallback", "shadow"]


class TallyKey(NamedTuple):
    """Whose window it is."""

    route: str
    revision: int
    arm: str
    release: ReleaseKey
    kind: Kind


@dataclass
class CameraTally:
    """One camera's part."""

    frames: int = 0
    errors: int = 0
    latency: Counter[int] = field(default_factory=Counter)
    compared: int = 0
    f1: float = 0.0

    def frozen(self) -> CameraWindow:
        """Return the counts as a value."""
        return CameraWindow(
            frames=self.frames,
            errors=self.errors,
            latency=dict(self.latency),
            compared=self.compared,
            f1=self.f1,
        )


@dataclass
class Tally:
    """One arm's counts."""

    codes: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    agreement: AgreementSums | None = None
    cameras: dict[str, CameraTally] = field(default_factory=dict)

    def count(
        self, code: str, latency_s: float | None, camera: CameraTally | None, *, is_error: bool
    ) -> None:
        """Count one frame's end.

        Args:
            code: What it ended in.
            latency_s: Of an answer, in seconds.
            camera: Whose frame it was, where cameras are told apart.
            is_error: Whether it ended without detections, through no fault of the camera's.
        """
        self.codes[code] += 1
        bucket = None if latency_s is None else bucket_of(latency_s)
        if bucket is not None:
            self.latency[bucket] += 1
        if camera is not None:
            camera.frames += 1
            camera.errors += is_error
            if bucket is not None:
                camera.latency[bucket] += 1

    def compare(self, sums: AgreementSums, camera: CameraTally | None) -> None:
        """Add what two arms' answers to frames of one camera have in common."""
        self.agreement = sums if self.agreement is None else added(self.agreement, sums)
        if camera is not None:
            camera.compared += sums.frames
            camera.f1 += sums.f1

    def frozen(self, gateway: str, start: datetime, key: TallyKey) -> Window:
        """Return the counts as a window."""
        return Window(
            gateway=gateway,
            start=start,
            route=key.route,
            revision=key.revision,
            arm=key.arm,
            release=key.release,
            kind=key.kind,
            codes=dict(self.codes),
            latency=dict(self.latency),
            agreement=self.agreement,
            cameras={name: camera.frozen() for name, camera in self.cameras.items()},
        )


def added(one: AgreementSums, other: AgreementSums) -> AgreementSums:
    """Return the sums over both's frames."""
    none = ClassAgreement()
    classes = {
        class_id: _added(one.classes.get(class_id, none), other.classes.get(class_id, none))
        for class_id in one.classes.keys() | other.classes.keys()
    }
    return AgreementSums(
        frames=one.frames + other.frames,
        f1=one.f1 + other.f1,
        matched=one.matched + other.matched,
        iou=one.iou + other.iou,
        score_difference=one.score_difference + other.score_difference,
        count_difference=one.count_difference + other.count_difference,
        classes=classes,
    )


def _added(one: ClassAgreement, other: ClassAgreement) -> ClassAgreement:
    return ClassAgreement(
        matched=one.matched + other.matched,
        primary=one.primary + other.primary,
        shadow=one.shadow + other.shadow,
    )
