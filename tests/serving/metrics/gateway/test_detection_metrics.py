import pytest
from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.arm_labels import ArmLabels
from serving.metrics.gateway.detections import DetectionMetrics
from serving.store.values import ReleaseKey

OLD, NEW = ReleaseKey(model="yolo", version="1.0"), ReleaseKey(model="yolo", version="2.0")
ARM = ArmLabels.of("default", "main", OLD)
NAMES = ("cell", "plate")


def counted(*frames: tuple[tuple[int, ...], tuple[float, ...]]) -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = DetectionMetrics(registry)
    for class_ids, scores in frames:
        metrics.count(ARM, NAMES, class_ids, scores)
    return registry


def test_detections_are_counted_by_class() -> None:
    registry = counted(((0, 1, 1), (0.9, 0.5, 0.3)), ((1,), (0.4,)))

    def count(name: str) -> float | None:
        return registry.get_sample_value(
            "understudy_detections_total", ARM._asdict() | {"class": name}
        )

    assert [count(name) for name in NAMES] == [1, 3]


@pytest.mark.parametrize(
    ("le", "count"), [("0.1", 0), ("0.2", 1), ("0.3", 2), ("0.9", 2), ("1.0", 3), ("+Inf", 3)]
)
def test_scores_count_up_to_and_with_their_bound(le: str, count: int) -> None:
    registry = counted(((0, 0, 0), (0.15, 0.3, 1.0)))

    bucket = ARM._asdict() | {"le": le}
    assert registry.get_sample_value("understudy_detection_score_bucket", bucket) == count


def test_a_frame_without_detections_is_a_frame() -> None:
    registry = counted(((), ()), ((0, 0), (0.5, 0.5)))

    value, arm = registry.get_sample_value, ARM._asdict()
    assert value("understudy_frame_detections_count", arm) == 2
    assert value("understudy_frame_detections_sum", arm) == 2
    assert value("understudy_frame_detections_bucket", arm | {"le": "0.0"}) == 1


def test_a_card_of_a_thousand_classes_makes_a_hundred_and_one_series() -> None:
    registry = CollectorRegistry()
    names = tuple(f"class{number}" for number in range(1000))

    DetectionMetrics(registry).count(ARM, names, range(1000), [0.5] * 1000)

    text = generate_latest(registry).decode()
    assert text.count("understudy_detections_total{") == 101
    assert 'class="other",model="yolo",route="default",version="1.0"} 900' in text


def test_a_forgotten_release_takes_its_arms_along() -> None:
    registry = CollectorRegistry()
    metrics = DetectionMetrics(registry)
    for key in (OLD, NEW):
        for route in ("default", "night"):
            metrics.count(ArmLabels.of(route, "main", key), NAMES, (0,), (0.5,))

    metrics.forget(OLD)

    text = generate_latest(registry).decode()
    assert 'version="1.0"' not in text
    assert text.count("understudy_detections_total{") == 2
