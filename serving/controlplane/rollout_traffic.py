"""Windows, added up a camera and a side, as the guardrails take them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from serving.controlplane.guardrails import BUCKETS, Sides, Traffic
from serving.controlplane.sequential import Floats
from serving.store.observations import CameraWindow, Window
from serving.store.rollouts_values import Rollout


@dataclass(frozen=True)
class Compared:
    """Frames that both arms answered; a camera in each place.

    Attributes:
        frames: (cameras,) how many.
        f1: (cameras,) sums of their F1.
    """

    frames: Floats
    f1: Floats


class RolloutTraffic:
    """What cameras have met since shortly before a rollout; it grows as windows are added.

    A window's revision tells whether it is the present stage's or an earlier one's, so that the
    sums are the same whether they grew or were added up at once after a restart.

    Args:
        rollout: At its present stage.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._arm = rollout.arm
        self._started = rollout.started
        self._two_arms = len(rollout.before.arms) == 2
        self._releases = {arm.name: arm.release for arm in rollout.before.arms}
        self._revision = rollout.revision
        self._candidate = _Cameras()
        self._control = _Cameras()
        self._before = _Cameras()
        self._compared: dict[str, Floats] = {}

    def enter(self, revision: int) -> None:
        """Begin another stage: what the others have answered so far was before it."""
        self._revision = revision
        self._before.merge(self._control)
        self._candidate, self._control = _Cameras(), _Cameras()

    def add(self, windows: Iterable[Window]) -> None:
        """Add windows of the route; those of other releases than its arms' are passed over."""
        for window in windows:
            if self._releases.get(window.arm) != window.release:
                continue
            if window.kind == "shadow":
                self._compare(window)
            elif window.kind == "primary":
                self._side(window).add(window.cameras)

    @property
    def cameras(self) -> frozenset[str]:
        """Every camera that any arm of the split has answered."""
        return self._candidate.names | self._control.names | self._before.names

    @property
    def samples(self) -> int:
        """How many frames the raised arm was sent in this stage."""
        return int(self._candidate.frames)

    def sides(self) -> Sides:
        """Return the present stage's comparison."""
        names = sorted(self.cameras)
        return Sides(
            *(one.traffic(names) for one in (self._candidate, self._control, self._before))
        )

    def compared(self) -> Compared:
        """Return what both arms answered since the rollout began."""
        sums = np.stack([np.zeros(2), *self._compared.values()])
        return Compared(frames=sums[:, 0], f1=sums[:, 1])

    def _side(self, window: Window) -> "_Cameras":
        if window.arm == self._arm:
            # Earlier stages' are no evidence on this one; they go nowhere.
            return self._candidate if window.revision == self._revision else _Cameras()
        return self._control if window.revision == self._revision else self._before

    def _compare(self, window: Window) -> None:
        if window.start < self._started:
            return
        for name, camera in window.cameras.items():
            # Another arm in the shadow of one of three: only where the raised arm was the one.
            raised = window.arm == self._arm or self._two_arms or name in self._candidate.names
            if raised and camera.compared:
                sums = self._compared.setdefault(name, np.zeros(2))
                sums += (camera.compared, camera.f1)


class _Cameras:
    """One side: frames, errors and a latency histogram a camera."""

    def __init__(self) -> None:
        self._rows: dict[str, Floats] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._rows)

    @property
    def frames(self) -> float:
        return float(sum(row[0] for row in self._rows.values()))

    def add(self, cameras: Mapping[str, CameraWindow]) -> None:
        for name, camera in cameras.items():
            row = self._row(name)
            row[0] += camera.frames
            row[1] += camera.errors
            for bucket, count in camera.latency.items():
                row[2 + min(bucket, BUCKETS - 1)] += count

    def merge(self, other: "_Cameras") -> None:
        for name, row in other._rows.items():
            self._row(name)[:] += row

    def traffic(self, names: Iterable[str]) -> Traffic:
        nothing = np.zeros(2 + BUCKETS)
        # One camera of nothing, so that there is an axis where there is no camera yet.
        rows = np.stack([nothing, *(self._rows.get(name, nothing) for name in names)])
        return Traffic(frames=rows[:, 0], errors=rows[:, 1], latency=rows[:, 2:])

    def _row(self, name: str) -> Floats:
        return self._rows.setdefault(name, np.zeros(2 + BUCKETS))
