"""Cameras before a rollout: windows as gateways write them, and a clock that the test moves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from serving.controlplane.rollouts import Rollouts
from serving.dataplane.routing import pick
from serving.store.histogram import bucket_of
from serving.store.observations import WINDOW_S, AgreementSums, CameraWindow, Window
from serving.store.rollouts_values import Hold, RolloutPlan
from serving.store.store import Store
from serving.store.values import Arm, ReleaseKey, Route, RouteRevision

TEACHER = ReleaseKey(model="teacher", version="1.0")
STUDENT = ReleaseKey(model="student", version="1.0")
BEFORE = Route(
    arms=(
        Arm(name="teacher", release=TEACHER, weight=100),
        Arm(name="student", release=STUDENT, weight=0),
    )
)
PLAN = RolloutPlan(arm="student", hold=Hold(seconds=60, samples=500))
FRAMES = 20


@dataclass
class Student:
    """How the raised arm behaves."""

    errors: float = 0.0
    seconds: float = 0.01
    f1: float = 0.9


@dataclass
class RolloutFleet:
    """Cameras whose gateway writes windows to the store while the clock moves.

    Attributes:
        store: Holds routes, windows and rollouts.
        cameras: How many.
        student: How the raised arm behaves.
        now: The clock; it runs ahead of the store's.
    """

    store: Store
    cameras: int = 40
    student: Student = field(default_factory=Student)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def names(self) -> list[str]:
        return [f"cam-{number}" for number in range(self.cameras)]

    async def clock(self) -> datetime:
        return self.now

    def rollouts(self) -> Rollouts:
        """Return what a controller that has just started works with."""
        return Rollouts(self.store, self.set_route, pick, clock=self.clock)

    async def set_route(
        self, route: Route, *, who: str, why: str, expected_revision: int | None = None
    ) -> RouteRevision:
        """Write to the store, at this clock's time."""
        added = await self.store.put_route(
            route, who=who, why=why, expected_revision=expected_revision
        )
        return added.model_copy(update={"at": self.now})

    async def route(self) -> RouteRevision:
        return (await self.store.routes())["default"]

    async def weights(self) -> dict[str, float]:
        return {arm.name: arm.weight for arm in (await self.route()).route.arms}

    async def pass_windows(self, windows: int) -> None:
        """Let time pass, and traffic by the route as it stands."""
        revision = await self.route()
        for _ in range(windows):
            await self.store.add_windows(self._window(revision))
            self.now += timedelta(seconds=WINDOW_S)

    async def run(self, rollouts: Rollouts, windows: int) -> None:
        """Let time and traffic pass with a tick a window."""
        for _ in range(windows):
            await self.pass_windows(1)
            await rollouts.tick()

    def _window(self, revision: RouteRevision) -> list[Window]:
        route, made = revision.route, []
        for arm in route.arms:
            mine = [name for name in self.names if pick(route, name).name == arm.name]
            if mine:
                cameras = {name: self._camera(arm.name == "student") for name in mine}
                made.append(self._of(revision, arm, "primary", cameras))
            if route.shadow is not None and route.shadow.arm == arm.name:
                others = [name for name in self.names if name not in mine]
                compared = {name: self._compared() for name in others}
                made.append(self._of(revision, arm, "shadow", compared))
        return made

    def _of(
        self, revision: RouteRevision, arm: Arm, kind: str, cameras: dict[str, CameraWindow]
    ) -> Window:
        return Window.model_validate(
            {
                "gateway": "gateway-1",
                "start": self.now,
                "route": revision.route.name,
                "revision": revision.revision,
                "arm": arm.name,
                "release": arm.release,
                "kind": kind,
                "codes": {"ok": FRAMES * len(cameras)},
                "agreement": AgreementSums() if kind == "shadow" else None,
                "cameras": cameras,
            }
        )

    def _camera(self, raised: bool) -> CameraWindow:
        behaviour = self.student if raised else Student()
        errors = int(self.rng.binomial(FRAMES, behaviour.errors))
        seconds = behaviour.seconds * self.rng.lognormal(0, 0.2, FRAMES - errors)
        latency: dict[int, int] = {}
        for one in seconds:
            latency[bucket_of(one)] = latency.get(bucket_of(one), 0) + 1
        return CameraWindow(frames=FRAMES, errors=errors, latency=latency)

    def _compared(self) -> CameraWindow:
        f1 = float(np.clip(self.rng.normal(self.student.f1, 0.05, 5), 0, 1).sum())
        return CameraWindow(frames=5, compared=5, f1=f1)
