"""What one arm did, added up from windows: the console's figures and the report's are these."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from serving.error_info import CAMERAS_OWN
from serving.store.histogram import quantile_s


class Side(NamedTuple):
    """Who answered: an arm of a route, and the release that it had then."""

    route: str
    arm: str
    release: str


@dataclass
class Sums:
    """What one side, or several, did in some time.

    Attributes:
        codes: Frames that the split gave it by the code they ended in there.
        stood_in: Frames of other arms that it was handed, likewise.
        latency: Of the answered ones of the split, by bucket of `serving.store.histogram`.
        stood_in_latency: Of the answered ones of other arms, where they lost time first.
        compared: Frames that it answered in the shadow of another arm.
        f1: Sum over those frames.
        matched: Pairs of boxes in them.
        iou: Sum over the pairs.
    """

    codes: Counter[str] = field(default_factory=Counter)
    stood_in: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    stood_in_latency: Counter[int] = field(default_factory=Counter)
    compared: int = 0
    f1: float = 0.0
    matched: int = 0
    iou: float = 0.0

    def count(
        self,
        kind: str,
        codes: Mapping[str, int],
        latency: Mapping[int, int],
        agreement: Mapping[str, float] | None,
    ) -> None:
        """Count windows of one kind.

        Args:
            kind: See `serving.store.observations.Window`.
            codes: Frames by the code they ended in.
            latency: Of the answered ones.
            agreement: See `AgreementSums`; what is 0 may be left out.
        """
        if kind == "shadow":
            self._compare(agreement or {})
            return
        mine = kind == "primary"
        (self.codes if mine else self.stood_in).update(codes)
        (self.latency if mine else self.stood_in_latency).update(latency)

    def add(self, other: "Sums") -> None:
        """Add another's counts."""
        self.codes.update(other.codes)
        self.stood_in.update(other.stood_in)
        self.latency.update(other.latency)
        self.stood_in_latency.update(other.stood_in_latency)
        self.compared += other.compared
        self.f1 += other.f1
        self.matched += other.matched
        self.iou += other.iou

    def _compare(self, agreement: Mapping[str, float]) -> None:
        self.compared += int(agreement.get("frames", 0))
        self.f1 += agreement.get("f1", 0.0)
        self.matched += int(agreement.get("matched", 0))
        self.iou += agreement.get("iou", 0.0)

    @property
    def refused(self) -> int:
        """Frames that ended by the camera's own fault."""
        return sum(count for code, count in self.codes.items() if code in CAMERAS_OWN)

    @property
    def frames(self) -> int:
        """Frames that the split gave it, without those refused."""
        return self.codes.total() - self.refused

    @property
    def handed(self) -> int:
        """All frames that it was to answer: its own, those refused too, and other arms'."""
        return self.codes.total() + self.stood_in.total()

    @property
    def errors(self) -> int:
        """Those of its frames that it did not answer; another arm may have."""
        return self.frames - self.codes["ok"]

    @property
    def unanswered(self) -> int:
        """Of the sums of all arms: frames that failed at their own arm and that no other answered.

        Of one arm alone it says nothing: who stood in for it is in another's sums.
        """
        return max(0, self.errors - self.stood_in["ok"])

    @property
    def error_rate(self) -> float | None:
        """Share of its frames that it did not answer, 0 to 1; None without a frame."""
        return self.errors / self.frames if self.frames else None

    @property
    def agreement(self) -> float | None:
        """Mean F1 with the arm that answered the camera, 0 to 1; None without a comparison."""
        return self.f1 / self.compared if self.compared else None

    def quantile_s(self, share: float) -> float | None:
        """Return the latency that a share of the answers to its own frames stays within, in s."""
        return quantile_s(self.latency, share)

    def answer_quantile_s(self, share: float) -> float | None:
        """Return likewise of all its answers, those to other arms' frames too, in seconds."""
        return quantile_s(self.latency + self.stood_in_latency, share)
