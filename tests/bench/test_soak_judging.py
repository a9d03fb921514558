from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from bench.soak.judging import Failure, Fault, by_cause, growth, growths
from bench.soak.report import is_met, report

MIB = 1024 * 1024
AT_S = np.arange(0.0, 1800.0, 5.0)
DICE = np.random.default_rng(0)
Planted = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def noise(size: float) -> np.ndarray[Any, Any]:
    return DICE.normal(0.0, size, len(AT_S))


def peaks(at_s: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(at_s % 100 < 10, 50.0 * MIB, 0.0)


def saw(at_s: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A garbage collector's: it takes 40 MiB in two minutes and gives them back."""
    return 40 * MIB * (at_s % 120) / 120


FLAT: dict[str, Planted] = {
    "level": lambda at_s: 150 * MIB + 0 * at_s,
    "noise": lambda at_s: 150 * MIB + noise(3 * MIB),
    "saw": lambda at_s: 400 * MIB + saw(at_s),
    "peaks": lambda at_s: 150 * MIB + peaks(at_s),
    "one percent": lambda at_s: 150 * MIB * (1 + 0.01 * at_s / 1800) + noise(MIB / 10),
    "falls": lambda at_s: 150 * MIB - 10 * MIB * at_s / 1800,
}
LEAKS: dict[str, Planted] = {
    "line": lambda at_s: 150 * MIB * (1 + 0.03 * at_s / 1800),
    "noisy line": lambda at_s: 150 * MIB * (1 + 0.03 * at_s / 1800) + noise(MIB),
    "at each swap": lambda at_s: 150 * MIB + 0.5 * MIB * (at_s // 60),
    "under a saw": lambda at_s: 400 * MIB * (1 + 0.06 * at_s / 1800) + saw(at_s),
    "under peaks": lambda at_s: 150 * MIB * (1 + 0.03 * at_s / 1800) + peaks(at_s),
}


@pytest.mark.parametrize("planted", FLAT.values(), ids=FLAT)
def test_what_is_flat_is_no_leak(planted: Planted) -> None:
    assert not growth(list(AT_S), list(planted(AT_S)), MIB).grew


@pytest.mark.parametrize("planted", LEAKS.values(), ids=LEAKS)
def test_what_leaks_is_found(planted: Planted) -> None:
    found = growth(list(AT_S), list(planted(AT_S)), MIB)

    assert found.grew
    assert found.share == pytest.approx(found.at_last / found.at_first - 1)


def test_a_line_s_growth_is_its_own() -> None:
    found = growth([0.0, 10.0, 20.0, 30.0], [100.0, 101.0, 102.0, 103.0], 1.0)

    assert (found.at_first, found.at_last) == (pytest.approx(100), pytest.approx(103))
    assert found.share == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("descriptors", "grew"),
    [
        (np.full(360, 20.0), False),
        (20.0 + (AT_S % 60 < 20), False),  # one more while a swap is under way
        (20.0 + AT_S // 300, True),  # one that stays, again and again
    ],
    ids=["none", "for a while", "for ever"],
)
def test_descriptors_are_whole(descriptors: np.ndarray[Any, Any], grew: bool) -> None:
    assert growth(list(AT_S), list(descriptors), 1.0).grew is grew


def sample(at_s: float, **values: Mapping[str, float]) -> dict[str, Any]:
    return {"at_s": at_s, "values": values}


def test_only_what_lived_all_the_while_is_judged_and_nothing_before_it_was_warm() -> None:
    steep = [sample(at, gateway={"threads": 10 * at}, old={"threads": 1.0}) for at in range(5)]
    flat = [sample(at, gateway={"threads": 40.0}) for at in range(5, 20)]
    with_another = [
        sample(at, gateway={"threads": 40.0}, new={"threads": at}) for at in range(20, 40)
    ]

    (judged,) = growths(steep + flat + with_another, from_s=5.0)

    assert (judged["subject"], judged["measure"], judged["grew"]) == ("gateway", "threads", False)


def test_a_failure_belongs_to_the_fault_that_it_met_and_to_no_other() -> None:
    faults = [Fault("gateway killed", 10.0, 20.0), Fault("store locked", 50.0, 54.0)]
    failures = [
        Failure("deadline_exceeded", 8.0, 11.0),  # under way when it began
        Failure("internal", 21.0, 21.5),  # in its last moments
        Failure("backend_unavailable", 52.0, 53.0),
        Failure("internal", 30.0, 31.0),
    ]

    injected, others = by_cause(failures, faults)

    assert injected == {
        "gateway killed": {"deadline_exceeded": 1, "internal": 1},
        "store locked": {"backend_unavailable": 1},
    }
    assert others == [failures[3]]


def soaked(threads: Callable[[float], float], *failures: Failure) -> dict[str, Any]:
    """Return the report of a run in which one process has so many threads."""
    held = {"resident_bytes": 1e8, "descriptors": 30.0}
    samples = [
        sample(
            float(at),
            gateway=held | {"threads": threads(at)},
            metrics={"series": 900.0},
        )
        for at in range(0, 1800, 5)
    ]
    faults = [Fault("store locked", 100.0, 105.0)]
    return report(samples, failures, faults, began_s=0.0, warm_s=300.0)


def test_a_run_in_which_nothing_grew_and_nothing_failed_by_itself_is_met() -> None:
    found = soaked(lambda _: 12.0, Failure("deadline_exceeded", 101.0, 103.0))

    assert is_met(found)
    assert found["failures_by_fault"] == {"store locked": {"deadline_exceeded": 1}}
    assert found["judged_s"] == 1495.0


def test_a_thread_that_is_left_behind_every_few_minutes_is_not_met_and_named() -> None:
    found = soaked(lambda at: 12.0 + at // 400)

    assert not is_met(found)
    assert [goal["grew"] for goal in found["goals"] if goal.get("grew")] == [["gateway"]]


def test_an_error_that_nothing_was_made_to_cause_is_not_met_and_told() -> None:
    found = soaked(lambda _: 12.0, Failure("log: internal error", 700.0, 700.0))

    assert not is_met(found)
    assert found["failures_of_no_fault"]["first"] == [
        {"after_s": 700.0, "what": "log: internal error"}
    ]


def test_a_run_that_looked_at_nothing_shows_nothing() -> None:
    assert not is_met(report([], [], [], began_s=0.0, warm_s=300.0))
