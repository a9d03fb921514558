import pytest
from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.controller.worker_series import WorkerSeries
from serving.store.values import ReleaseKey
from serving.torchserve.registration import Registration, Worker

OLD, NEW = (ReleaseKey(model="yolo", version=version) for version in ("1.0", "2.0"))
OF_OLD = {"backend": "torchserve-1", "model": "yolo", "version": "1.0"}


def runs(key: ReleaseKey, *pids: int, ready: bool = True) -> Registration:
    workers = tuple(
        Worker(id=str(9000 + place), ready=ready, pid=pid) for place, pid in enumerate(pids)
    )
    return Registration(key=key, archive="a.mar", batch_size=8, batch_delay_ms=0, workers=workers)


def opened(*, here: bool = True) -> tuple[WorkerSeries, CollectorRegistry]:
    registry = CollectorRegistry()
    return WorkerSeries(registry, here=here, memory=lambda pid: 1000 + pid), registry


def test_a_worker_with_another_process_was_started_again() -> None:
    series, registry = opened()

    for pids in ((11, 12), (11, 12), (11, 13), (14, 15)):
        series.show({"torchserve-1": [runs(OLD, *pids)]})

    assert registry.get_sample_value("understudy_worker_restarts_total", OF_OLD) == 3


def test_a_worker_that_is_added_or_still_starts_was_not_started_again() -> None:
    series, registry = opened()

    for pids in ((11,), (11, 0), (11, 12)):
        series.show({"torchserve-1": [runs(OLD, *pids)]})

    assert registry.get_sample_value("understudy_worker_restarts_total", OF_OLD) == 0


def test_workers_are_told_by_whether_they_take_frames_and_with_their_memory() -> None:
    series, registry = opened()

    series.show({"torchserve-1": [runs(OLD, 1, 2), runs(NEW, 0, ready=False)]})

    value = registry.get_sample_value
    assert value("understudy_workers", OF_OLD | {"state": "ready"}) == 2
    assert value("understudy_workers", OF_OLD | {"version": "2.0", "state": "starting"}) == 1
    assert value("understudy_worker_memory_bytes", OF_OLD) == 2003


def test_a_backend_that_is_down_is_told_and_its_restarts_are_kept() -> None:
    series, registry = opened()
    for pid in (1, 2):
        series.show({"torchserve-1": [runs(OLD, pid)]})

    series.show({"torchserve-1": None})

    assert registry.get_sample_value("understudy_backend_up", {"backend": "torchserve-1"}) == 0
    assert registry.get_sample_value("understudy_worker_restarts_total", OF_OLD) == 1


@pytest.mark.parametrize("between", [None, []], ids=["down", "not refilled"])
def test_a_backend_that_was_started_again_is_no_restart_of_its_workers(
    between: list[Registration] | None,
) -> None:
    series, registry = opened()
    series.loaded("torchserve-1", OLD, 4.2)
    for pids in ((1, 2), (1, 3)):
        series.show({"torchserve-1": [runs(OLD, *pids)]})

    series.show({"torchserve-1": between})
    series.keep({OLD})
    series.show({"torchserve-1": [runs(OLD, 11, 12)]})

    value = registry.get_sample_value
    assert value("understudy_worker_restarts_total", OF_OLD) == 1
    assert value("understudy_model_load_seconds", OF_OLD) == 4.2
    series.show({"torchserve-1": [runs(OLD, 11, 13)]})
    assert value("understudy_worker_restarts_total", OF_OLD) == 2


def test_of_workers_on_another_machine_no_memory_is_told() -> None:
    series, registry = opened(here=False)

    series.show({"far": [runs(OLD, 1)]})

    far = OF_OLD | {"backend": "far"}
    assert registry.get_sample_value("understudy_workers", far | {"state": "ready"}) == 1
    assert registry.get_sample_value("understudy_worker_memory_bytes", far) is None


def test_a_release_that_is_gone_leaves_no_series() -> None:
    series, registry = opened()
    for key in (OLD, NEW):
        series.loaded("torchserve-1", key, 4.2)
    series.show({"torchserve-1": [runs(OLD, 1), runs(NEW, 2)]})
    assert registry.get_sample_value("understudy_model_load_seconds", OF_OLD) == 4.2

    series.show({"torchserve-1": [runs(NEW, 2)]})
    series.keep({NEW})

    text = generate_latest(registry).decode()
    assert 'version="1.0"' not in text
    assert text.count('version="2.0"') >= 5
