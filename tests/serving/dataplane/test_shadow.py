import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import pytest
from harvested_frames import CLASSES, TEACHERS, Found, release, reply
from prometheus_client import CollectorRegistry

from serving.dataplane.endpoints import Endpoints
from serving.dataplane.frames import Frame
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.recorder import Recorder
from serving.dataplane.route_table import RouteTable
from serving.dataplane.shadow import Shadow, ShadowLimits
from serving.dataplane.upstream import Upstream
from serving.errors import WorkerFailed
from serving.metrics.gateway.faults import FaultMetrics
from serving.metrics.gateway.shadow import ShadowMetrics
from serving.store import values
from serving.store.observations import Window
from serving.store.values import Arm, Release, ReleaseKey, Route
from serving.torchserve.inference import WorkerReply

TEACHER, STUDENT = release("teacher"), release("student")
FRAME = Frame(b"image", "gate-7", "frame-1", None, None, "", "")
Sent = tuple[bytes, float | None, int | None]


@dataclass
class Worker:
    """Stands where TorchServe stands: answers when it is told to.

    Attributes:
        found: What it answers.
        error: What it raises instead.
        asked: What it was sent.
        may_answer: Set: it answers at once.
    """

    found: Found = TEACHERS
    error: Exception | None = None
    asked: list[Sent] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

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
        self.asked.append((image, min_score, max_detections))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return reply(self.found)


@dataclass
class Windows:
    """Stands where the store stands."""

    held: list[Window] = field(default_factory=list)

    async def add_windows(self, windows: Sequence[Window]) -> None:
        self.held += windows

    async def see_cameras(self, seen: Mapping[str, datetime]) -> None:
        pass


@dataclass
class Booth:
    """A shadow and everything around it.

    Attributes:
        shadow: Under test.
        worker: Of the shadow arm.
        in_flight: What is counted.
        lanes: Who may be sent.
        route: With the shadow.
        table: That holds the route.
    """

    shadow: Shadow
    worker: Worker
    in_flight: InFlight
    lanes: Lanes
    route: Route
    table: RouteTable
    recorder: Recorder
    windows: Windows
    registry: CollectorRegistry

    def offer(self, *, arm: str = "teacher", frame: Frame = FRAME, found: Found = TEACHERS) -> None:
        chosen = self.route.arm(arm)
        assert chosen is not None
        self.shadow.offer(frame, table=self.table, route=self.route, arm=chosen, reply=reply(found))

    def owed(self) -> int:
        return self.in_flight.of(STUDENT.key)

    def taken(self) -> int:
        return self.lanes.of(STUDENT).taken

    def outcomes(self) -> dict[str, float]:
        found = {}
        for outcome in ("compared", "dropped", "failed"):
            labels = {
                "route": "default",
                "arm": "student",
                "model": "student",
                "version": "1.0",
                "outcome": outcome,
            }
            value = self.registry.get_sample_value("understudy_shadow_frames_total", labels)
            if value:
                found[outcome] = value
        return found

    async def close(self) -> list[Window]:
        """Wait for what is under way; returns the windows that the store has then."""
        self.worker.may_answer.set()
        await self.shadow.close(5)
        await self.recorder.flush(everything=True)
        return self.windows.held


@pytest.fixture
def booth() -> Callable[..., Booth]:
    return open_booth


def open_booth(
    *,
    rate: float = 1.0,
    limits: ShadowLimits | None = None,
    student: Release = STUDENT,
    workers: int = 1,
    gateways: int = 1,
    seed: int = 0,
) -> Booth:
    arms = (
        Arm(name="teacher", release=TEACHER.key, weight=100),
        Arm(name="student", release=student.key, weight=0),
    )
    route = Route(arms=arms, shadow=values.Shadow(arm="student", rate=rate))
    table = RouteTable(
        revision=3,
        routes=MappingProxyType({"default": route}),
        releases=MappingProxyType({one.key: one for one in (TEACHER, student)}),
        revisions=MappingProxyType({"default": 3}),
        placements=MappingProxyType({student.key: {"torchserve-1": workers}}),
    )
    worker, registry, windows = Worker(), CollectorRegistry(), Windows()
    endpoints = Endpoints({"torchserve-1": worker}, lambda endpoint, state: None)
    endpoints.apply(table)
    lanes = Lanes(
        waiting_room=2,
        ready_workers=endpoints.ready_workers,
        live_gateways=lambda: gateways,
        backend_queue=100,
    )
    in_flight = InFlight(lambda key, count: None)
    recorder = Recorder(windows, "gateway-1")
    shadow = Shadow(
        upstream=Upstream(endpoints, FaultMetrics(registry)),
        in_flight=in_flight,
        lanes=lanes,
        recorder=recorder,
        metrics=ShadowMetrics(registry),
        limits=limits,
        seed=seed,
    )
    return Booth(shadow, worker, in_flight, lanes, route, table, recorder, windows, registry)


async def test_a_compared_frame_is_counted_in_the_window_of_the_shadow_arm(
    booth: Callable[..., Booth],
) -> None:
    here = booth()
    here.worker.found = TEACHERS[:1]

    here.offer()
    (window,) = await here.close()

    assert (window.kind, window.arm, window.release) == ("shadow", "student", STUDENT.key)
    assert (window.route, window.revision, window.codes) == ("default", 3, {"ok": 1})
    assert window.agreement is not None
    assert (window.agreement.frames, window.agreement.matched) == (1, 1)
    assert window.agreement.f1 == pytest.approx(2 / 3)
    assert window.cameras["gate-7"].compared == 1
    assert sum(window.latency.values()) == 1
    assert here.outcomes() == {"compared": 1}


async def test_it_is_counted_at_once_and_until_the_worker_has_answered(
    booth: Callable[..., Booth],
) -> None:
    here = booth()

    here.offer()
    counted = (here.owed(), here.taken())
    while not here.worker.asked:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    under_way = (here.owed(), here.taken(), len(here.worker.asked))
    await here.close()

    assert counted == (1, 1)
    assert under_way == (1, 1, 1)
    assert (here.owed(), here.taken()) == (0, 0)


async def test_both_arms_are_asked_the_same(booth: Callable[..., Booth]) -> None:
    here = booth()

    here.offer(frame=replace(FRAME, min_score=0.1, max_detections=7))
    await here.close()

    assert here.worker.asked == [(b"image", 0.1, 7)]


async def test_answers_of_the_shadow_arm_and_forced_arms_are_passed_over(
    booth: Callable[..., Booth],
) -> None:
    here = booth()

    here.offer(arm="student")
    here.offer(frame=replace(FRAME, arm="teacher"))
    await here.close()

    assert here.worker.asked == []
    assert here.outcomes() == {}


async def test_a_route_without_a_shadow_sends_none(booth: Callable[..., Booth]) -> None:
    here = booth()
    here.route = here.route.model_copy(update={"shadow": None})

    here.offer()
    await here.close()

    assert here.worker.asked == []


async def test_frames_are_drawn_at_the_rate_and_the_draw_repeats_by_its_seed(
    booth: Callable[..., Booth],
) -> None:
    asked = []
    for seed in (1, 1, 2):
        here = booth(rate=0.3, seed=seed, workers=500, limits=ShadowLimits(under_way=10_000))
        for _ in range(1000):
            here.offer()
        await here.close()
        # 100 places at the most (the backend's queue), half of them for cameras.
        asked.append(here.outcomes())

    drawn = [sum(one.values()) for one in asked]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(240 < one < 360 for one in drawn)
    assert asked[0]["compared"] == 50


async def test_half_the_places_are_left_to_cameras(booth: Callable[..., Booth]) -> None:
    here = booth()  # 2 x 1 worker x batch 8 = 16 places

    for _ in range(20):
        here.offer()
    taken = here.taken()
    await here.close()

    assert taken == 8
    assert here.outcomes() == {"compared": 8, "dropped": 12}


async def test_an_idle_release_with_one_place_still_gets_a_frame(
    booth: Callable[..., Booth],
) -> None:
    # 2 x 1 worker x batch 1, shared by two gateways.
    here = booth(student=STUDENT.model_copy(update={"batch_size": 1}), gateways=2)

    here.offer()
    here.offer()
    taken = here.taken()
    await here.close()

    assert taken == 1
    assert here.outcomes() == {"compared": 1, "dropped": 1}


async def test_a_release_that_is_busy_with_cameras_gets_none(booth: Callable[..., Booth]) -> None:
    here = booth()
    lane = here.lanes.of(STUDENT)
    for _ in range(8):
        assert lane.try_enter()

    here.offer()
    await here.close()

    assert here.worker.asked == []
    assert here.outcomes() == {"dropped": 1}


@pytest.mark.parametrize(
    "limits", [ShadowLimits(under_way=3), ShadowLimits(image_bytes=3 * len(FRAME.image))]
)
async def test_comparisons_and_the_bytes_they_hold_are_bounded(
    booth: Callable[..., Booth], limits: ShadowLimits
) -> None:
    here = booth(limits=limits)

    for _ in range(5):
        here.offer()
    here.worker.may_answer.set()
    while here.owed():  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    here.offer()
    await here.close()

    assert here.outcomes() == {"compared": 4, "dropped": 2}


@pytest.mark.parametrize(
    ("error", "code"),
    [(WorkerFailed("a worker failed"), "worker_failed"), (ZeroDivisionError(), "internal")],
)
async def test_a_shadow_that_fails_is_counted_by_its_code(
    booth: Callable[..., Booth], error: Exception, code: str
) -> None:
    here = booth()
    here.worker.error = error

    here.offer()
    (window,) = await here.close()

    assert window.codes == {code: 1}
    assert window.agreement is None
    assert here.outcomes() == {"failed": 1}
    assert (here.owed(), here.taken()) == (0, 0)


async def test_a_class_that_its_card_does_not_name_is_the_workers_fault(
    booth: Callable[..., Booth],
) -> None:
    here = booth()
    here.worker.found = (((0, 0, 9, 9), 5, 0.9),)

    here.offer()
    (window,) = await here.close()

    assert window.codes == {"worker_failed": 1}


async def test_arms_with_other_class_lists_are_compared_by_name(
    booth: Callable[..., Booth],
) -> None:
    turned = tuple(reversed(CLASSES))
    here = booth(student=release("student", turned))
    here.worker.found = [(corners, 1 - one, score) for corners, one, score in TEACHERS]

    here.offer()
    (window,) = await here.close()

    assert window.agreement is not None
    assert window.agreement.f1 == 1.0


async def test_closing_waits_takes_no_more_and_gives_up_in_time(
    booth: Callable[..., Booth],
) -> None:
    here = booth()
    here.offer()
    await asyncio.sleep(0)
    here.offer()  # its task has not taken a step when it is cancelled

    await here.shadow.close(0)
    here.offer()

    assert (here.owed(), here.taken()) == (0, 0)
    assert len(here.worker.asked) <= 2
    assert here.outcomes() == {"dropped": 2}


async def test_many_boxes_are_compared_off_the_loop(booth: Callable[..., Booth]) -> None:
    crowd = [((i / 8, 0.0, 8 + i / 8, 8.0), 0, 0.5) for i in range(300)]
    here = booth()
    here.worker.found = crowd

    here.offer(found=crowd)
    (window,) = await here.close()

    assert window.agreement is not None
    assert window.agreement.matched == 300
