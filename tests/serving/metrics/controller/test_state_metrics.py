import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from serving.access.keys import mint
from serving.metrics.controller.disk_series import Places
from serving.metrics.controller.state_metrics import StateMetrics
from serving.metrics.controller.worker_series import Running
from serving.store.rollouts_values import Rollout, RolloutPlan, RolloutState
from serving.store.store import Store
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route, Scope


class Leader:
    """A controller with one backend; `asked` tells that it was."""

    leads = True

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def running(self) -> Running:
        self.asked.set()
        return {"torchserve-1": []}


async def test_the_disks_the_leader_and_the_time_are_told(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"
    metrics = StateMetrics(store, Places({"state": tmp_path, "none": tmp_path / "none"}, file))

    await metrics.read()
    await metrics.measure()
    await metrics.look(Leader())

    value = metrics.registry.get_sample_value
    size = value("understudy_disk_size_bytes", {"folder": "state"})
    free = value("understudy_disk_free_bytes", {"folder": "state"})
    assert free is not None
    assert size is not None
    assert 0 < free <= size
    assert value("understudy_disk_size_bytes", {"folder": "none"}) is None
    assert (value("understudy_store_size_bytes") or 0) >= file.stat().st_size > 0
    assert value("understudy_controller_leading") == 1
    assert (value("understudy_state_read_timestamp_seconds") or 0) > 1.7e9
    assert b"understudy_build_info{" in metrics.text()


async def test_a_store_that_fails_is_counted_and_costs_the_workers_nothing(tmp_path: Path) -> None:
    class Away:
        async def now(self) -> None:
            raise OSError("the store is away")

    metrics, leader = StateMetrics(Away(), Places({}, tmp_path)), Leader()  # type: ignore[arg-type]

    async with metrics.followed(leader), asyncio.timeout(5):
        await leader.asked.wait()

    value = metrics.registry.get_sample_value
    assert value("understudy_state_reads_failed_total", {"of": "state"}) == 1
    assert value("understudy_backend_up", {"backend": "torchserve-1"}) == 1


class CutOff:
    """A store that can be cut off; `asked` tells that it was asked then.

    Args:
        store: The real one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.cut = False
        self.asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        if self.cut:
            self.asked.set()
            raise OSError("the store is away")
        return getattr(self._store, name)


KEY = ReleaseKey(model="student", version="1.0")
ROUTE = Route(
    arms=(
        Arm(name="main", release=ReleaseKey(model="teacher", version="1.0"), weight=100),
        Arm(name="new", release=KEY, weight=0),
    )
)


async def with_a_release(store: Store) -> None:
    now = await store.now()
    release = Release(
        key=KEY,
        sha256="0" * 64,
        role="student",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=ReleaseState.READY,
        created=now,
        updated=now,
    )
    await store.put_release(release)


async def test_who_is_cut_off_from_the_store_is_silent_about_it(
    store: Store, tmp_path: Path
) -> None:
    await with_a_release(store)
    await store.add_key(mint("gate", Scope.DETECT)[0])
    away, now = CutOff(store), [100.0]
    metrics = StateMetrics(
        away,  # type: ignore[arg-type]
        Places({"state": tmp_path}, None),
        clock=lambda: now[0],
    )
    await metrics.read()
    told = ("understudy_release_state{", "understudy_keys{", "understudy_gateways 0.0")
    read = metrics.text().decode()
    assert all(one in read for one in told)

    away.cut = True
    for later_s in (20, 20):
        now[0] += later_s
        away.asked.clear()
        before = metrics.text().decode()
        async with metrics.followed(Leader()), asyncio.timeout(5):
            await away.asked.wait()

    # After twenty seconds it still told what it knew.
    assert all(one in before for one in told)
    assert not any(one in metrics.text().decode() for one in told)
    assert metrics.registry.get_sample_value("understudy_state_read_timestamp_seconds")
    away.cut = False
    await metrics.read()
    assert all(one in metrics.text().decode() for one in told)


async def test_a_rollout_under_way_is_shown_however_many_came_after(
    store: Store, tmp_path: Path
) -> None:
    await with_a_release(store)
    now = await store.now()

    def rollout(number: int, route: str, state: RolloutState) -> Rollout:
        return Rollout(
            id=f"{number:03}",
            plan=RolloutPlan(route=route, arm="new"),
            started=now + timedelta(seconds=number),
            updated=now,
            stage_started=now,
            who="test",
            before=ROUTE,
            revision=1,
            stage=0,
            state=state,
        )

    await store.put_rollout(rollout(0, "slow", RolloutState.RUNNING))
    for number in range(1, 52):
        await store.put_rollout(rollout(number, "busy", RolloutState.DONE))
    metrics = StateMetrics(store, Places({}, tmp_path))

    await metrics.read()

    labels = {"route": "slow", "arm": "new", "model": "student", "version": "1.0"}
    value = metrics.registry.get_sample_value
    assert value("understudy_rollout_state", labels | {"state": "running"}) == 1
