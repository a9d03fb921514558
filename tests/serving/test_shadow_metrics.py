from prometheus_client import CollectorRegistry, generate_latest

from serving.shadow_metrics import ShadowMetrics
from serving.store.observations import AgreementSums, ClassAgreement
from serving.store.values import ReleaseKey

TEACHER = ReleaseKey(model="teacher", version="1.0")
STUDENT = ReleaseKey(model="student", version="2.0")


def agreement(*classes: int) -> AgreementSums:
    return AgreementSums(
        frames=1,
        f1=0.5,
        matched=2,
        iou=1.5,
        count_difference=3,
        classes={one: ClassAgreement(matched=1, primary=2, shadow=3) for one in classes},
    )


def test_a_compared_frame_is_told_for_the_pair_and_by_class() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)

    metrics.show_agreement("default", STUDENT, TEACHER, agreement(1), ("cell", "plate"))

    pair = {
        "route": "default",
        "model": "student",
        "version": "2.0",
        "primary_model": "teacher",
        "primary_version": "1.0",
    }
    value = registry.get_sample_value
    assert value("understudy_agreement_f1_sum", pair) == 0.5
    assert value("understudy_agreement_iou_sum", pair) == 0.75
    assert value("understudy_agreement_count_difference_sum", pair) == 3
    text = generate_latest(registry).decode()
    for side, count in (("matched", 1), ("primary", 2), ("shadow", 3)):
        labels = f'class="plate",model="student",route="default",side="{side}",version="2.0"'
        assert f"understudy_agreement_class_detections_total{{{labels}}} {count}.0" in text


def test_classes_beyond_a_hundred_or_the_card_share_one_series() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)
    names = tuple(f"class{number}" for number in range(1000))

    metrics.show_agreement("default", STUDENT, TEACHER, agreement(*range(1001)), names)

    text = generate_latest(registry).decode()
    assert text.count('side="matched"') == 2 * 101  # the value and its creation time
    assert 'class="other",model="student",route="default",side="matched",version="2.0"} 901' in text


def test_a_release_that_is_gone_leaves_no_series_on_either_side() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)
    for key, other in ((STUDENT, TEACHER), (TEACHER, STUDENT)):
        metrics.count_frame("default", "arm", key, "compared")
        metrics.show_agreement("default", key, other, agreement(0), ("cell",))

    metrics.forget(STUDENT)

    text = generate_latest(registry).decode()
    assert "student" not in text
    assert 'model="teacher"' in text
