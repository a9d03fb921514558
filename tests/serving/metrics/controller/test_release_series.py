from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.controller.release_series import ReleaseSeries
from serving.store.values import Release, ReleaseKey, ReleaseState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def release(version: str, state: ReleaseState, **values: Any) -> Release:
    return Release(
        key=ReleaseKey(model="yolo", version=version),
        sha256="0" * 64,
        role="student",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=state,
        created=NOW,
        **({"updated": NOW} | values),
    )


def shown(*releases: Release, placed: dict[str, dict[ReleaseKey, int]]) -> CollectorRegistry:
    registry = CollectorRegistry()
    ReleaseSeries(registry).show(releases, placed, NOW)
    return registry


def test_a_release_is_at_one_state_and_at_none_of_the_others() -> None:
    one = release("1.0", ReleaseState.DRAINING)

    registry = shown(one, placed={})

    def at(state: ReleaseState) -> float | None:
        labels = {"model": "yolo", "version": "1.0", "state": state.value}
        return registry.get_sample_value("understudy_release_state", labels)

    assert {state: at(state) for state in ReleaseState} == {
        state: float(state is ReleaseState.DRAINING) for state in ReleaseState
    }


def test_workers_are_told_for_each_backend_and_0_where_none_is_ready() -> None:
    one = release("1.0", ReleaseState.LIVE, workers=3)

    registry = shown(one, placed={"torchserve-1": {one.key: 2}, "torchserve-2": {}})

    def ready(backend: str) -> float | None:
        labels = {"backend": backend, "model": "yolo", "version": "1.0"}
        return registry.get_sample_value("understudy_release_ready_workers", labels)

    assert [ready("torchserve-1"), ready("torchserve-2")] == [2, 0]
    key = {"model": "yolo", "version": "1.0"}
    assert registry.get_sample_value("understudy_release_wanted_workers", key) == 3


def test_what_is_retired_or_failed_long_ago_has_no_series() -> None:
    long_ago = NOW - timedelta(days=2)

    registry = shown(
        release("1.0", ReleaseState.RETIRED),
        release("2.0", ReleaseState.FAILED, updated=long_ago),
        release("3.0", ReleaseState.FAILED),
        placed={"torchserve-1": {}},
    )

    text = generate_latest(registry).decode()
    assert 'version="1.0"' not in text
    assert 'version="2.0"' not in text
    assert 'understudy_release_state{model="yolo",state="failed",version="3.0"} 1.0' in text


def test_what_was_shown_before_and_is_retired_now_is_gone() -> None:
    registry = CollectorRegistry()
    series = ReleaseSeries(registry)
    live = release("1.0", ReleaseState.LIVE)
    series.show([live], {"torchserve-1": {live.key: 1}}, NOW)

    series.show([release("1.0", ReleaseState.RETIRED)], {"torchserve-1": {}}, NOW)

    assert 'version="1.0"' not in generate_latest(registry).decode()
