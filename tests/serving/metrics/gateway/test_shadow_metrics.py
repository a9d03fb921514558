from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.arm_labels import ArmLabels
from serving.metrics.gateway.shadow import ShadowMetrics
from serving.store.observations import AgreementSums, ClassAgreement
from serving.store.values import ReleaseKey

TEACHER = ReleaseKey(model="teacher", version="1.0")
STUDENT = ReleaseKey(model="student", version="2.0")
SHADOW = ArmLabels.of("default", "shadow", STUDENT)


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

    metrics.show_agreement(SHADOW, TEACHER, agreement(1), ("cell", "plate"))

    pair = SHADOW._asdict() | {"primary_model": "teacher", "primary_version": "1.0"}
    value = registry.get_sample_value
    assert value("understudy_agreement_f1_sum", pair) == 0.5
    assert value("understudy_agreement_iou_sum", pair) == 0.75
    assert value("understudy_agreement_count_difference_sum", pair) == 3
    for side, count in (("matched", 1), ("primary", 2), ("shadow", 3)):
        labels = SHADOW._asdict() | {"class": "plate", "side": side}
        assert value("understudy_agreement_class_detections_total", labels) == count
    plate = SHADOW._asdict() | {"class": "plate"}
    assert value("understudy_agreement_class_difference_total", plate) == 1


def test_classes_beyond_a_hundred_or_the_card_share_one_series() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)
    names = tuple(f"class{number}" for number in range(1000))

    metrics.show_agreement(SHADOW, TEACHER, agreement(*range(1001)), names)

    text = generate_latest(registry).decode()
    assert text.count("understudy_agreement_class_detections_total{") == 3 * 101
    other = 'class="other",model="student",route="default",side="matched",version="2.0"'
    assert f'{{arm="shadow",{other}}} 901' in text


def test_a_release_that_is_gone_leaves_no_series_on_either_side() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)
    for key, other in ((STUDENT, TEACHER), (TEACHER, STUDENT)):
        arm = ArmLabels.of("default", "shadow", key)
        metrics.count_frame(arm, "compared")
        metrics.show_agreement(arm, other, agreement(0), ("cell",))

    metrics.forget(STUDENT)

    text = generate_latest(registry).decode()
    assert "student" not in text
    assert 'model="teacher"' in text
