import pytest

from serving.metrics.arm_labels import ArmLabels
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import Arm, ReleaseKey, Route

OLD, NEW = ReleaseKey(model="yolo", version="1.0"), ReleaseKey(model="yolo", version="2.0")
MAIN = ArmLabels.of("default", "main", OLD)


def fill(metrics: Metrics, key: ReleaseKey) -> None:
    arm = ArmLabels.of("default", "main", key)
    metrics.count_request(arm, "ok", 0.02)
    answer(metrics, arm, "openvino-int8")
    metrics.detections.count(arm, ("cell", "plate"), (0, 1, 1), (0.9, 0.5, 0.3))
    metrics.faults.count_retry(key, "worker_died")
    metrics.faults.count_expired(key, "gateway")
    metrics.faults.breaker_state.labels("backend-1", key.model, key.version).set(2)
    metrics.in_flight.labels(key.model, key.version).set(1)


def answer(metrics: Metrics, arm: ArmLabels, variant: str) -> None:
    metrics.count_reply(
        arm,
        variant=variant,
        queue_s=0.01,
        upstream_s=0.02,
        batch=4,
        stages_ms={"inference": 12.0},
    )


def test_two_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()

    one.count_answer("http", None)

    assert b'api="http"' in one.text()
    assert b'api="http"' not in other.text()


def test_milliseconds_become_seconds() -> None:
    metrics = Metrics()

    fill(metrics, OLD)

    labels = MAIN._asdict() | {"stage": "inference"}
    name = "understudy_worker_stage_seconds_sum"
    assert metrics.registry.get_sample_value(name, labels) == pytest.approx(0.012)


def test_answers_are_counted_by_the_variant_that_gave_them() -> None:
    metrics = Metrics()

    for variant in ("openvino-int8", "onnxruntime-fp32", "openvino-int8"):
        answer(metrics, MAIN, variant)

    counts = {
        variant: metrics.registry.get_sample_value(
            "understudy_variant_answers_total", MAIN._asdict() | {"variant": variant}
        )
        for variant in ("openvino-int8", "onnxruntime-fp32")
    }
    assert counts == {"openvino-int8": 2, "onnxruntime-fp32": 1}


def test_a_forgotten_version_leaves_no_series() -> None:
    metrics = Metrics()
    for key in (OLD, NEW):
        fill(metrics, key)
    metrics.show_routes(1, [Route(arms=(Arm(name="main", release=OLD, weight=100),))])

    metrics.forget(OLD)

    assert b'version="1.0"' not in metrics.text()
    assert metrics.text().count(b'version="2.0"') > 5


def test_the_routes_shown_are_the_present_ones() -> None:
    metrics = Metrics()
    for revision, key in enumerate((OLD, NEW), start=1):
        route = Route(arms=(Arm(name="main", release=key, weight=100),))
        metrics.show_routes(revision, [route])

    text = metrics.text().decode()
    weights = [line for line in text.splitlines() if line.startswith("understudy_route_weight")]
    assert len(weights) == 1
    assert 'version="2.0"} 1.0' in weights[0]
    assert "understudy_route_revision 2.0" in text


def test_no_series_has_a_label_for_cameras_or_keys() -> None:
    metrics = Metrics()
    fill(metrics, OLD)
    metrics.count_answer("grpc", None)

    labels = {
        label
        for family in metrics.registry.collect()
        for sample in family.samples
        for label in sample.labels
    }

    allowed = {"route", "arm", "model", "version", "code", "api", "stage", "le", "python"}
    allowed |= {"backend", "reason", "variant", "where", "class", "limit"}
    assert labels <= allowed
