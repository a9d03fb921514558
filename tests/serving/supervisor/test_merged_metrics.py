from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics.gateway.metrics import Metrics
from serving.supervisor.merged_metrics import merge


def process(*, answers: int, seconds: float) -> str:
    registry = CollectorRegistry()
    Counter("answers", "Answers", ("code",), registry=registry).labels("ok").inc(answers)
    Histogram("taken_seconds", "Time", buckets=(0.1, 1.0), registry=registry).observe(seconds)
    return generate_latest(registry).decode()


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_each_series_names_its_process() -> None:
    both = {
        "gateway-1": process(answers=3, seconds=0.05),
        "gateway-2": process(answers=5, seconds=0.5),
    }

    merged = samples(merge(both))

    assert merged["answers_total", (("code", "ok"), ("process", "gateway-1"))] == 3
    assert merged["answers_total", (("code", "ok"), ("process", "gateway-2"))] == 5


def test_a_family_is_told_once_with_its_samples_below() -> None:
    both = {"a": process(answers=1, seconds=0.5), "b": process(answers=1, seconds=0.5)}

    text = merge(both).decode()

    assert text.count("# TYPE taken_seconds histogram") == 1
    assert text.count("# HELP answers_total Answers") == 1


def test_histograms_stay_valid_for_each_process() -> None:
    both = {"a": process(answers=1, seconds=0.05), "b": process(answers=1, seconds=0.5)}

    merged = samples(merge(both))

    def bucket(of: str, le: str) -> float:
        return merged["taken_seconds_bucket", (("le", le), ("process", of))]

    assert [bucket("a", le) for le in ("0.1", "1.0", "+Inf")] == [1, 1, 1]
    assert [bucket("b", le) for le in ("0.1", "1.0", "+Inf")] == [0, 1, 1]
    assert merged["taken_seconds_count", (("process", "b"),)] == 1


def test_a_gateway_s_own_metrics_merge_and_read_back() -> None:
    metrics = Metrics()
    metrics.answers.labels("http", 'quo"te\\').inc()

    merged = samples(merge({"gateway-1": metrics.text().decode()}))

    labels = (("api", "http"), ("code", 'quo"te\\'), ("process", "gateway-1"))
    assert merged["understudy_answers_total", labels] == 1


def test_a_family_of_another_type_is_left_out() -> None:
    merged = samples(merge({"a": "# TYPE x gauge\nx 1\n", "b": "# TYPE x untyped\nx 2\n"}))

    assert merged == {("x", (("process", "a"),)): 1}


def test_a_name_with_a_line_separator_stays_one_line() -> None:
    registry = CollectorRegistry()
    Counter("seen", "Seen", ("class",), registry=registry).labels("a\u2028{b} c").inc()

    merged = samples(merge({"a": generate_latest(registry).decode()}))

    assert merged["seen_total", (("class", "a\u2028{b} c"), ("process", "a"))] == 1
