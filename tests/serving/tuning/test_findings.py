"""The front, the best point within a target, and ways that are out of the question."""

from serving.controlplane.wanted import Wanted
from serving.tuning.findings import Findings, Point, Tried, brief, told
from serving.tuning.load import Measured

ONE, TWO = Wanted(threads=2, variant="a-fp32"), Wanted(workers=2, threads=1, variant="a-fp32")
NEVER = float("inf")


def point(rate: float, p99_ms: float, wanted: Wanted = ONE, *, confirmed: bool = False) -> Point:
    return Point(wanted, rate, Measured(rate, p99_ms / 2, p99_ms, 100, 10.0), confirmed)


def found(*points: Point) -> Findings:
    findings = Findings([Tried(ONE, 20.0), Tried(TWO, 30.0)])
    for one in points:
        findings.add(one)
    return findings


def test_the_front_holds_what_no_other_point_beats_in_both() -> None:
    slow, fast, full = point(5, 20), point(20, 90, TWO), point(25, 300, TWO)
    worse, overload = point(10, 100), point(40, NEVER, TWO)

    assert found(overload, full, worse, fast, slow).front() == [slow, fast, full]
    assert Findings().front() == []


def test_the_best_is_the_highest_rate_within_the_target() -> None:
    findings = found(point(5, 20), point(20, 90, TWO), point(25, 300, TWO))

    assert findings.best(100) == point(20, 90, TWO)
    assert findings.best(300) == point(25, 300, TWO)
    assert findings.best(10) is None


def test_a_longer_look_at_a_load_replaces_the_shorter_one() -> None:
    findings = found(point(20, 90), point(20, 120, confirmed=True))

    assert findings.points == [point(20, 120, confirmed=True)]
    assert findings.best(100) is None


def test_a_confirmed_point_goes_before_one_that_is_higher_by_luck() -> None:
    sure, lucky, higher = point(20, 90, confirmed=True), point(21, 90, TWO), point(30, 90, TWO)

    assert found(sure, lucky).best(100) == sure
    assert found(sure, lucky).highest(100) == lucky
    assert found(sure, higher).best(100) == higher


def test_what_a_longer_look_refutes_is_refuted_for_all_higher_rates_of_that_way() -> None:
    refuted = point(20, 120, confirmed=True)

    assert found(refuted, point(22, 90)).best(100) is None
    assert found(refuted, point(18, 90), point(22, 95, TWO)).best(100) == point(22, 95, TWO)


def test_of_equal_rates_the_shorter_p99_is_the_best() -> None:
    assert found(point(20, 95), point(20, 60, TWO)).best(100) == point(20, 60, TWO)


def test_who_cannot_answer_one_frame_in_time_promises_nothing() -> None:
    # One frame at a time, 250 ms each, four workers.
    slow = Tried(Wanted(workers=4, threads=1, batch_size=1, variant="a-fp32"), 16.0)
    quick = Tried(Wanted(workers=1, threads=4, batch_size=1, variant="a-fp32"), 14.0)

    assert slow.promise(200) == 0
    assert 0 < quick.promise(200) < 14
    assert Findings([slow, quick]).near(0.8, 200) == [quick]
    assert Findings([slow, quick]).near(0.8, 10) == [quick]


def test_what_is_rejected_takes_its_points_along() -> None:
    findings = found(point(5, 20), point(20, 90, TWO))

    findings.reject(findings.tried[1], "its worker died")

    assert findings.points == [point(5, 20)]
    assert [one.wanted for one in findings.usable()] == [ONE]
    assert findings.frames_per_s(TWO) == 0
    assert findings.near(0.1, 200) == [findings.tried[0]]


def test_rates_are_told_apart_by_the_target() -> None:
    findings = found(point(5, 20), point(8, 110), point(20, 90, TWO))

    assert findings.rates(ONE, 100) == ([5], [8])


def test_a_way_is_told_in_words() -> None:
    assert told(ONE) == "a-fp32, 1 worker of 2 threads, batch 8"
    assert brief(Wanted(2, 4, 5, 1, "a-fp32")) == "a-fp32, 2 x 1, batch 4 within 5 ms"
