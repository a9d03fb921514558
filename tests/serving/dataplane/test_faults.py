"""What the gateway makes of backends that fail: retries, fallback, patience, the fence."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scripted_backends import STUDENT, TEACHER, Scene, open_scene

from serving.error_info import retry_after_s
from serving.errors import (
    BackendUnavailable,
    BadImage,
    DeadlineExceeded,
    InvalidField,
    Overloaded,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
    WorkerFailed,
)
from serving.store.values import Arm, Fallback, Route, Shadow

REFUSED = BackendUnavailable("nobody listens", refused=True)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Two backends, four places for each release."""
    async with open_scene(tmp_path) as opened:
        yield opened


@pytest.fixture
async def lone(tmp_path: Path) -> AsyncIterator[Scene]:
    """One backend."""
    async with open_scene(tmp_path, backends=1) as opened:
        yield opened


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def rename_table(folder: Path, before: str, after: str) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite3", timeout=10)) as database:
        database.execute(f"ALTER TABLE {before} RENAME TO {after}")


def calls(scene: Scene) -> list[int]:
    return [len(backend.asked) for backend in scene.backends.values()]


async def test_backends_take_turns_and_the_answer_names_the_one(scene: Scene) -> None:
    await scene.route()

    answers = [await scene.detect() for _ in range(10)]

    assert calls(scene) == [5, 5]
    assert {one.answered_by.backend for one in answers} == {"backend-0", "backend-1"}
    assert {one.answered_by.stood_in_for for one in answers} == {""}


async def test_the_one_with_more_workers_gets_more(scene: Scene) -> None:
    await scene.route()
    await scene.place("backend-1", teacher=3)
    for backend in scene.backends.values():
        backend.hold[TEACHER] = asyncio.Event()

    under_way = [asyncio.create_task(scene.detect()) for _ in range(16)]
    await turns()

    assert calls(scene) == [4, 12]
    for backend in scene.backends.values():
        backend.hold[TEACHER].set()
    await asyncio.gather(*under_way)


@pytest.mark.parametrize(
    "failure",
    [
        REFUSED,
        BackendUnavailable("reset"),
        StaleRoute("404"),
        WorkerDied("died"),
        Overloaded("no worker", retry_after_s=0.5),
    ],
    ids=lambda failure: failure.code,
)
async def test_another_backend_answers_for_one_that_fails(
    scene: Scene, failure: UnderstudyError
) -> None:
    await scene.route()
    scene.backends["backend-0"].standing[TEACHER] = failure

    answers = [await scene.detect(timeout_s=5) for _ in range(20)]

    assert {one.answered_by.backend for one in answers} == {"backend-1"}
    assert scene.in_flight(TEACHER) == 0
    # The breaker has opened: not every frame went the long way.
    assert calls(scene)[0] < 10


async def test_a_breaker_s_state_is_shown_and_a_worker_that_came_up_closes_it(
    scene: Scene,
) -> None:
    await scene.route()
    scene.backends["backend-0"].standing[TEACHER] = StaleRoute("404")
    labels = {"backend": "backend-0", "model": "teacher", "version": "1.0"}

    for _ in range(4):
        await scene.detect()
    shown = scene.sample("understudy_breaker_state", **labels)
    await scene.place("backend-0", student=1)
    scene.backends["backend-0"].standing.clear()
    await scene.place("backend-0", student=1, teacher=1)

    assert shown == 2
    assert scene.sample("understudy_breaker_state", **labels) == 0
    answers = [await scene.detect() for _ in range(2)]
    assert {one.answered_by.backend for one in answers} == {"backend-0", "backend-1"}


async def test_a_model_that_fails_is_not_asked_again_for_the_frame(scene: Scene) -> None:
    await scene.route()
    for backend in scene.backends.values():
        backend.standing[TEACHER] = WorkerFailed("raised")

    with pytest.raises(WorkerFailed):
        await scene.detect(timeout_s=5)

    assert sum(calls(scene)) == 1


async def test_a_bad_frame_is_the_camera_s_own_and_breaks_nothing(scene: Scene) -> None:
    await scene.route()
    for backend in scene.backends.values():
        backend.once.extend([BadImage("image", "image: no JPEG")] * 20)

    for _ in range(40):
        with pytest.raises(BadImage):
            await scene.detect()

    assert (await scene.detect()).answered_by.arm == "teacher"


async def test_a_version_that_no_backend_knows_is_looked_up_again_and_the_frame_answered(
    scene: Scene,
) -> None:
    await scene.route()
    for backend in scene.backends.values():
        backend.standing[TEACHER] = StaleRoute("404")
    arm = Arm(name="main", release=STUDENT, weight=100)
    # The gateway has not looked at the store by itself yet.
    await scene.store.put_route(Route(arms=(arm,)), who="test", why="test")

    answer = await scene.detect(timeout_s=5)

    assert answer.answered_by.arm == "main"
    assert scene.in_flight(TEACHER) == 0


async def test_a_store_that_fails_does_not_keep_a_stale_route_from_its_fallback(
    lone: Scene, tmp_path: Path
) -> None:
    await lone.route(student=100, fallback=Fallback(arm="teacher", budget=1))
    lone.backends["backend-0"].standing[STUDENT] = StaleRoute("404")
    await asyncio.to_thread(rename_table, tmp_path, "route_revisions", "gone")

    answer = await lone.detect(timeout_s=5)
    await asyncio.to_thread(rename_table, tmp_path, "gone", "route_revisions")

    assert answer.answered_by.stood_in_for == "student"
    assert lone.in_flight(STUDENT) == lone.in_flight(TEACHER) == 0


async def test_a_frame_whose_camera_has_left_is_not_sent_again(scene: Scene) -> None:
    await scene.route()
    for backend in scene.backends.values():
        backend.hold[TEACHER] = asyncio.Event()
        backend.standing[TEACHER] = BackendUnavailable("reset")
    waiting = asyncio.create_task(scene.detect(timeout_s=5))
    await turns()

    waiting.cancel()
    for backend in scene.backends.values():
        backend.hold[TEACHER].set()
    await asyncio.wait([waiting])
    await turns(20)

    assert sum(calls(scene)) == 1
    assert scene.in_flight(TEACHER) == 0


async def test_a_frame_that_only_compares_is_not_sent_twice(scene: Scene) -> None:
    await scene.route(shadow=Shadow(arm="student", rate=1))
    for backend in scene.backends.values():
        backend.standing[STUDENT] = BackendUnavailable("reset")

    await scene.detect()
    await turns(20)

    assert _asked(scene).count(STUDENT) == 1
    assert scene.in_flight(STUDENT) == 0


async def test_a_lone_backend_that_is_back_in_time_answers_everyone(lone: Scene) -> None:
    await lone.route()
    backend = lone.backends["backend-0"]
    backend.standing[TEACHER] = REFUSED
    under_way = [asyncio.create_task(lone.detect(timeout_s=10)) for _ in range(4)]
    await asyncio.sleep(0.3)

    backend.standing.clear()
    answers = await asyncio.gather(*under_way)

    assert {one.answered_by.arm for one in answers} == {"teacher"}
    assert lone.in_flight(TEACHER) == 0


async def test_those_who_wait_for_an_arm_that_is_down_are_bounded(lone: Scene) -> None:
    await lone.route()
    lone.backends["backend-0"].standing[TEACHER] = REFUSED

    ends = await asyncio.gather(
        *[lone.detect(timeout_s=0.6) for _ in range(12)], return_exceptions=True
    )

    assert all(isinstance(end, BackendUnavailable | Overloaded) for end in ends)
    assert all(retry_after_s(end) for end in ends if isinstance(end, Exception))
    assert len(lone.backends["backend-0"].asked) < 12


async def test_a_frame_that_kills_workers_is_sent_three_times_at_most(lone: Scene) -> None:
    await lone.route()
    lone.backends["backend-0"].standing[TEACHER] = WorkerDied("died")

    with pytest.raises(WorkerDied):
        await lone.detect(timeout_s=20)

    assert len(lone.backends["backend-0"].asked) == 3


async def test_nothing_is_sent_without_a_ready_worker(lone: Scene) -> None:
    await lone.route()
    await lone.place("backend-0", student=1)

    with pytest.raises(BackendUnavailable, match=r"no backend answers for teacher-1\.0"):
        await lone.detect(timeout_s=0.05)

    assert lone.backends["backend-0"].asked == []
    assert (lone.plane.ready() or "").startswith("no backend answers for teacher-1.0, arm")
    await lone.place("backend-0", teacher=1)
    assert lone.plane.ready() is None


async def test_the_deadline_travels_with_the_frame(lone: Scene) -> None:
    await lone.route()
    before = time.time()

    await lone.detect(timeout_s=5)

    (deadline_ms,) = lone.backends["backend-0"].deadlines
    assert deadline_ms is not None
    assert 1000 * before < deadline_ms <= 1000 * (time.time() + 5)


async def test_what_has_expired_is_not_sent(lone: Scene) -> None:
    await lone.route()

    with pytest.raises(DeadlineExceeded):
        await lone.detect(timeout_s=-1)

    assert lone.backends["backend-0"].asked == []
    assert lone.in_flight(TEACHER) == 0


class TestFallback:
    async def test_an_arm_that_fails_is_stood_in_for_and_the_answer_says_so(
        self, scene: Scene
    ) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1))
        for backend in scene.backends.values():
            backend.standing[STUDENT] = WorkerFailed("raised")

        answers = [await scene.detect() for _ in range(12)]

        assert {one.answered_by.arm for one in answers} == {"teacher"}
        assert {one.answered_by.stood_in_for for one in answers} == {"student"}
        assert scene.in_flight(STUDENT) == scene.in_flight(TEACHER) == 0
        reasons = ("worker_failed", "backend_unavailable")
        counted = sum(
            scene.sample("understudy_fallbacks_total", route="default", arm="student", reason=one)
            for one in reasons
        )
        assert counted == 12

    async def test_a_full_arm_spills_at_most_to_the_spare_places(self, scene: Scene) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1))
        for backend in scene.backends.values():
            backend.hold = {STUDENT: asyncio.Event(), TEACHER: asyncio.Event()}

        # 8 places and 4 in the waiting room; of the teacher's 8 places 6 may be taken.
        under_way = [asyncio.create_task(scene.detect()) for _ in range(24)]
        await turns(20)
        at_teacher = sum(backend.asked.count(TEACHER) for backend in scene.backends.values())
        for backend in scene.backends.values():
            for held in backend.hold.values():
                held.set()
        ends = await asyncio.gather(*under_way, return_exceptions=True)

        assert at_teacher == 6
        assert sum(isinstance(end, Overloaded) for end in ends) == 24 - 8 - 4 - 6
        refused = {"route": "default", "arm": "student", "reason": "full"}
        assert scene.sample("understudy_fallbacks_refused_total", **refused) == 6

    async def test_never_more_than_the_budget_is_handed_over(self, scene: Scene) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=0.25))
        for backend in scene.backends.values():
            backend.standing[STUDENT] = WorkerFailed("raised")

        ends = []
        for _ in range(20):
            try:
                ends.append((await scene.detect(timeout_s=0.03)).answered_by.arm)
            except UnderstudyError:
                ends.append("failed")

        assert ends.count("teacher") == 5

    async def test_a_forced_arm_answers_for_itself(self, scene: Scene) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1))
        for backend in scene.backends.values():
            backend.standing[STUDENT] = WorkerFailed("raised")

        with pytest.raises(WorkerFailed):
            await scene.detect(timeout_s=0.05, arm="student")

    async def test_when_the_stand_in_fails_too_the_arm_s_own_failure_is_told(
        self, scene: Scene
    ) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1))
        for backend in scene.backends.values():
            backend.standing[STUDENT] = WorkerFailed("the student raised")
            backend.standing[TEACHER] = WorkerFailed("the teacher raised")

        with pytest.raises(WorkerFailed, match="the student raised"):
            await scene.detect(timeout_s=0.05)

        assert scene.in_flight(STUDENT) == scene.in_flight(TEACHER) == 0


class TestStickyHeader:
    async def test_a_header_s_value_keeps_to_one_arm(self, scene: Scene) -> None:
        await scene.route(student=50, sticky="header:x-site")

        arms = {
            site: {
                (await scene.detect(camera_id="", headers={"x-site": site})).answered_by.arm
                for _ in range(3)
            }
            for site in ("north", "south", "east", "west", "dock", "gate", "roof", "yard")
        }

        assert all(len(of_site) == 1 for of_site in arms.values())
        assert {arm for of_site in arms.values() for arm in of_site} == {"teacher", "student"}

    async def test_its_absence_is_named(self, scene: Scene) -> None:
        await scene.route(student=50, sticky="header:x-site")

        with pytest.raises(InvalidField, match="x-site: no such header") as refused:
            await scene.detect()

        assert refused.value.field == "x-site"

    async def test_one_arm_needs_none(self, scene: Scene) -> None:
        await scene.route(sticky="header:x-site")

        assert (await scene.detect()).answered_by.arm == "teacher"


class TestWindows:
    async def test_each_end_is_in_the_window_of_the_arm_that_had_to_do_with_it(
        self, scene: Scene
    ) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1))
        await scene.detect(camera_id="gate-7")
        for backend in scene.backends.values():
            backend.standing[STUDENT] = WorkerFailed("raised")
        await scene.detect(camera_id="gate-7")
        scene.backends["backend-0"].standing[STUDENT] = BadImage("image", "no JPEG")
        scene.backends["backend-1"].standing[STUDENT] = BadImage("image", "no JPEG")
        with pytest.raises(BadImage):
            await scene.detect(camera_id="gate-8")

        await scene.plane._recorder.flush(everything=True)

        windows = await scene.store.windows("default", since=_long_ago())
        kinds = {}
        for window in windows:
            for code, count in window.codes.items():
                kinds[window.kind, window.arm, code] = count
            assert window.revision == 1
        assert kinds == {
            ("primary", "student", "ok"): 1,
            ("primary", "student", "worker_failed"): 1,
            ("primary", "student", "bad_image"): 1,
            ("fallback", "teacher", "ok"): 1,
        }
        (student,) = [window for window in windows if window.arm == "student"]
        assert (student.cameras["gate-7"].frames, student.cameras["gate-7"].errors) == (2, 1)
        assert (student.cameras["gate-8"].frames, student.cameras["gate-8"].errors) == (1, 0)
        assert {camera.id for camera in await scene.store.cameras()} == {"gate-7", "gate-8"}

    async def test_the_shadow_is_asked_and_told_apart(self, scene: Scene) -> None:
        await scene.route(shadow=Shadow(arm="student", rate=1))

        await scene.detect()
        async with asyncio.timeout(5):
            # It tells nobody.
            while scene.in_flight(STUDENT) or STUDENT not in _asked(scene):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await scene.plane._recorder.flush(everything=True)

        windows = await scene.store.windows("default", since=_long_ago())
        shadow = [window for window in windows if window.kind == "shadow"]
        assert [(one.arm, one.codes) for one in shadow] == [("student", {"ok": 1})]
        assert shadow[0].agreement is not None
        assert shadow[0].agreement.f1 == 1


def _long_ago() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)


def _asked(scene: Scene) -> list[object]:
    return [key for backend in scene.backends.values() for key in backend.asked]
