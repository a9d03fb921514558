import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from serving import errors
from serving.dataplane.recorder import MOST_CAMERAS, Recorder
from serving.error_info import CAMERAS_OWN
from serving.store.observations import AgreementSums, ClassAgreement, Window
from serving.store.store import Store
from serving.store.uncut import uncut
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Clock:
    """Stands until it is moved."""

    def __init__(self, now: float = 1_800_000_003.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Shelf:
    """Keeps windows, or is out of order."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.seen: dict[str, datetime] = {}
        self.broken = False

    async def add_windows(self, windows: Sequence[Window]) -> None:
        if self.broken:
            raise ConnectionError
        self.windows.extend(windows)

    async def see_cameras(self, seen: Mapping[str, datetime]) -> None:
        if self.broken:
            raise ConnectionError
        self.seen.update(seen)


class SlowShelf(Shelf):
    """Takes windows when told to; as the store does, it commits before it obeys a cancellation."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def add_windows(self, windows: Sequence[Window]) -> None:
        await uncut(self._added(windows))

    async def _added(self, windows: Sequence[Window]) -> None:
        self.asked.set()
        await self.go_on.wait()
        self.windows.extend(windows)


def answered(recorder: Recorder, code: str = "ok", camera_id: str = "gate-7", **more: Any) -> None:
    fields: dict[str, Any] = {
        "route": "default",
        "revision": 3,
        "arm": "student",
        "release": KEY,
        "kind": "primary",
    }
    recorder.answered(
        camera_id=camera_id,
        code=code,
        latency_s=0.02 if code == "ok" else None,
        **(fields | more),
    )


def test_the_codes_that_are_the_camera_s_own_are_those_of_its_requests() -> None:
    kinds = [errors.RequestError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())

    of_serving = {kind.code for kind in kinds if kind.__module__ == errors.__name__}
    assert of_serving | {"cancelled"} == CAMERAS_OWN


async def test_windows_lie_on_the_epoch_and_reach_the_store(store: Store) -> None:
    clock = Clock()
    recorder = Recorder(store, "gateway-1", clock=clock)
    for code in ("ok", "ok", "worker_failed", "bad_image"):
        answered(recorder, code)

    await recorder.flush()
    early = await store.windows("default", since=LONG_AGO)
    clock.now += 5
    answered(recorder, camera_id="gate-8")
    await recorder.flush()

    (window,) = await store.windows("default", since=LONG_AGO)
    assert early == []
    assert window.start.timestamp() == 1_800_000_000
    assert window.codes == {"ok": 2, "worker_failed": 1, "bad_image": 1}
    assert sum(window.latency.values()) == 2
    camera = window.cameras["gate-7"]
    assert (camera.frames, camera.errors, sum(camera.latency.values())) == (4, 1, 2)
    assert {one.id for one in await store.cameras()} == {"gate-7", "gate-8"}


async def test_revisions_and_kinds_are_told_apart() -> None:
    shelf = Shelf()
    recorder = Recorder(shelf, "gateway-1", clock=Clock())

    answered(recorder)
    answered(recorder, kind="fallback")
    answered(recorder, revision=4)
    await recorder.flush(everything=True)

    told = {(window.revision, window.kind) for window in shelf.windows}
    assert told == {(3, "primary"), (3, "fallback"), (4, "primary")}


async def test_comparisons_add_up() -> None:
    shelf = Shelf()
    recorder = Recorder(shelf, "gateway-1", clock=Clock())
    one = AgreementSums(
        frames=1,
        f1=0.5,
        matched=1,
        iou=0.9,
        score_difference=0.1,
        count_difference=2,
        classes={0: ClassAgreement(matched=1, primary=2, shadow=2)},
    )
    where: dict[str, Any] = {"route": "default", "revision": 3, "arm": "student", "release": KEY}

    for _ in range(3):
        recorder.compared(**where, camera_id="gate-7", agreement=one, latency_s=0.05)
    recorder.shadow_failed(**where, camera_id="gate-7", code="worker_failed")
    await recorder.flush(everything=True)

    (window,) = shelf.windows
    assert window.kind == "shadow"
    assert window.codes == {"ok": 3, "worker_failed": 1}
    assert window.agreement is not None
    assert window.agreement.frames == 3
    assert window.agreement.f1 == pytest.approx(1.5)
    assert window.agreement.classes == {0: ClassAgreement(matched=3, primary=6, shadow=6)}
    assert window.cameras["gate-7"].compared == 3
    assert window.cameras["gate-7"].f1 == pytest.approx(1.5)
    assert window.cameras["gate-7"].errors == 1


async def test_a_store_that_fails_gets_the_last_minute_later_and_the_rest_is_counted() -> None:
    shelf, clock, dropped = Shelf(), Clock(), []
    recorder = Recorder(shelf, "gateway-1", clock=clock, dropped=dropped.append)
    shelf.broken = True

    for _ in range(15):
        answered(recorder)
        clock.now += 5
        await recorder.flush()
    shelf.broken = False
    await recorder.flush()

    assert sum(dropped) == 3
    starts = [window.start.timestamp() for window in shelf.windows]
    assert starts == [1_800_000_000 + 5 * place for place in range(3, 15)]
    assert "gate-7" in shelf.seen


async def test_a_gateway_that_stops_while_windows_are_written_writes_each_once() -> None:
    shelf, clock = SlowShelf(), Clock()
    recorder = Recorder(shelf, "gateway-1", clock=clock)
    answered(recorder)
    clock.now += 5
    answered(recorder)

    following = asyncio.create_task(recorder.flush())
    await shelf.asked.wait()
    following.cancel()
    await asyncio.sleep(0)
    shelf.go_on.set()
    await asyncio.wait([following])
    await recorder.flush(everything=True)

    assert following.cancelled()
    starts = [window.start.timestamp() for window in shelf.windows]
    assert starts == [1_800_000_000, 1_800_000_005]
    assert "gate-7" in shelf.seen


async def test_cameras_beyond_the_bound_are_counted_without_their_names() -> None:
    shelf = Shelf()
    recorder = Recorder(shelf, "gateway-1", clock=Clock())

    for number in range(MOST_CAMERAS + 50):
        answered(recorder, camera_id=f"c{number}")
    answered(recorder, camera_id="c1")
    answered(recorder, camera_id="")
    await recorder.flush(everything=True)

    (window,) = shelf.windows
    assert window.codes == {"ok": MOST_CAMERAS + 52}
    assert len(window.cameras) == MOST_CAMERAS
    assert window.cameras["c1"].frames == 2
    assert len(shelf.seen) == MOST_CAMERAS
