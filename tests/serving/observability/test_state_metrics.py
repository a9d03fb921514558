import asyncio
from pathlib import Path

from serving.observability.disk_series import Places
from serving.observability.state_metrics import StateMetrics
from serving.observability.worker_series import Running
from serving.store.store import Store


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
