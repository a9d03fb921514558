from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.controller.camera_series import MOST_GROUPS, CameraSeries
from serving.store.observations import Camera, Sighting
from serving.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def seen(group: str, seconds_ago: float | None, fps: float | None = 5.0) -> Sighting:
    last_seen = None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago)
    return Sighting(group, fps, last_seen)


def shown(*sightings: Sighting) -> CollectorRegistry:
    registry = CollectorRegistry()
    CameraSeries(registry).show(sightings, NOW)
    return registry


@pytest.mark.parametrize(
    ("camera", "silent"),
    [
        (seen("gate", 1), 0),
        (seen("gate", 14), 0),  # gateways tell of their cameras every five seconds
        (seen("gate", 16), 1),
        (seen("gate", None), 1),
        (seen("gate", None, fps=None), 0),  # nothing is expected
        (seen("gate", 40, fps=0.1), 0),  # a frame in ten seconds is expected
        (seen("gate", 60, fps=0.1), 1),
    ],
)
def test_a_camera_is_silent_when_it_is_late_by_several_frames(
    camera: Sighting, silent: int
) -> None:
    registry = shown(camera)

    assert registry.get_sample_value("understudy_silent_cameras", {"group": "gate"}) == silent


def test_cameras_are_counted_by_group() -> None:
    registry = shown(seen("gate", 1), seen("gate", 99), seen("yard", 1, fps=None), seen("", 1))

    def counts(name: str) -> list[float | None]:
        groups = ("gate", "yard", "ungrouped")
        return [registry.get_sample_value(name, {"group": group}) for group in groups]

    assert counts("understudy_cameras") == [2, 1, 1]
    assert counts("understudy_expected_cameras") == [2, 0, 1]
    assert counts("understudy_silent_cameras") == [1, 0, 0]


def test_groups_beyond_a_hundred_are_told_together() -> None:
    registry = shown(*(seen(f"group {n}", None) for n in range(MOST_GROUPS + 20)))

    text = generate_latest(registry).decode()
    assert text.count("understudy_silent_cameras{") == MOST_GROUPS + 1
    assert registry.get_sample_value("understudy_silent_cameras", {"group": "other"}) == 20


def test_a_group_that_is_no_more_has_no_series() -> None:
    registry = CollectorRegistry()
    series = CameraSeries(registry)
    series.show([seen("gate", 1)], NOW)

    series.show([], NOW)

    assert "gate" not in generate_latest(registry).decode()


async def test_sightings_are_what_the_store_knows_of_cameras(store: Store) -> None:
    await store.put_camera(Camera(id="a", group="gate", expected_fps=5))
    await store.see_cameras({"a": NOW, "b": NOW - timedelta(hours=1)})

    found = await store.camera_sightings()

    assert sorted(found, key=lambda one: one.group, reverse=True) == [
        Sighting("gate", 5.0, NOW),
        Sighting("", None, NOW - timedelta(hours=1)),
    ]
