"""Backends whose behaviour a test writes: what TorchServe would answer, without TorchServe."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Call
from serving.dataplane.plane import DataPlane
from serving.metrics.gateway.metrics import Metrics
from serving.store.store import Store, open_store
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route, Scope
from serving.torchserve.inference import WorkerReply

REPLY = WorkerReply(96, 96, (1.0, 2.0, 3.0, 4.0), (0.9,), (0,), "v", 1.0, 1.0, 1.0, 1.0, 1)
TEACHER = ReleaseKey(model="teacher", version="1.0")
STUDENT = ReleaseKey(model="student", version="1.0")


def release_of(key: ReleaseKey, *, batch_size: int = 2) -> Release:
    """Return a live release."""
    now = datetime.now(UTC)
    return Release(
        key=key,
        sha256="0" * 64,
        role="teacher" if key == TEACHER else "student",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=ReleaseState.LIVE,
        batch_size=batch_size,
        created=now,
        updated=now,
    )


class ScriptedBackend:
    """Answers as told: an error each time one is queued or standing, else `REPLY`.

    Attributes:
        once: Errors to raise, one a call.
        standing: By release: raised at each call.
        hold: Calls wait for this, where it is set.
        asked: The releases that were asked, in order.
        deadlines: Each call's `deadline_unix_ms`.
    """

    def __init__(self) -> None:
        self.once: deque[Exception] = deque()
        self.standing: dict[ReleaseKey, Exception] = {}
        self.hold: dict[ReleaseKey, asyncio.Event] = {}
        self.asked: list[ReleaseKey] = []
        self.deadlines: list[int | None] = []

    async def predict(
        self,
        key: ReleaseKey,
        image: bytes,
        *,
        min_score: float | None = None,
        max_detections: int | None = None,
        timeout_s: float,
        deadline_unix_ms: int | None = None,
    ) -> WorkerReply:
        """Answer as told."""
        self.asked.append(key)
        self.deadlines.append(deadline_unix_ms)
        if key in self.hold:
            await self.hold[key].wait()
        await asyncio.sleep(0)
        if self.once:
            raise self.once.popleft()
        if key in self.standing:
            raise self.standing[key]
        return REPLY


@dataclass(frozen=True)
class Scene:
    """A gateway on a store of its own, before scripted backends.

    Attributes:
        store: Its own.
        plane: The gateway.
        backends: By name.
        metrics: The gateway's.
    """

    store: Store
    plane: DataPlane
    backends: Mapping[str, ScriptedBackend]
    metrics: Metrics

    async def place(self, backend: str, **workers: int) -> None:
        """Place "teacher" and "student" on a backend, and have the gateway know."""
        keys = {"teacher": TEACHER, "student": STUDENT}
        await self.store.put_placements(backend, {keys[name]: n for name, n in workers.items()})
        await self.plane.routes.refresh()

    async def route(self, **options: Any) -> None:
        """Set the default route, and have the gateway know; `student` is its weight."""
        weight = options.pop("student", 0)
        arms = (
            Arm(name="teacher", release=TEACHER, weight=100 - weight),
            Arm(name="student", release=STUDENT, weight=weight),
        )
        await self.store.put_route(Route(arms=arms, **options), who="test", why="test")
        await self.plane.routes.refresh()

    async def detect(
        self, *, timeout_s: float | None = None, camera_id: str = "gate-7", **call: Any
    ) -> wire.DetectResponse:
        """Send one frame."""
        deadline = None if timeout_s is None else Deadline.after(timeout_s)
        arm = call.pop("arm", "")
        return await self.plane.gateway.detect(
            wire.DetectRequest(image=b"image", camera_id=camera_id, arm=arm),
            Call("r", Scope.ADMIN, deadline, **call),
        )

    def sample(self, name: str, **labels: str) -> float:
        """Return a metric's value."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def in_flight(self, key: ReleaseKey) -> float:
        """Return what the gateway owes of a release."""
        return self.sample("understudy_in_flight", model=key.model, version=key.version)


@asynccontextmanager
async def open_scene(
    folder: Path, *, backends: int = 2, waiting_room: int = 4, **options: Any
) -> AsyncIterator[Scene]:
    """Open a gateway with teacher and student placed everywhere, one worker each.

    Args:
        folder: Of the store.
        backends: How many.
        waiting_room: See `DataPlane`.
        options: Likewise.
    """
    scripted = {f"backend-{place}": ScriptedBackend() for place in range(backends)}
    async with open_store(f"sqlite+aiosqlite:///{folder}/store.sqlite3") as store:
        for key in (TEACHER, STUDENT):
            await store.put_release(release_of(key))
        metrics = Metrics()
        plane = DataPlane(
            store=store,
            backends=scripted,
            metrics=metrics,
            limits=FrameLimits(),
            waiting_room=waiting_room,
            **options,
        )
        async with plane.running():
            scene = Scene(store, plane, scripted, metrics)
            for backend in scripted:
                await scene.place(backend, teacher=1, student=1)
            yield scene
