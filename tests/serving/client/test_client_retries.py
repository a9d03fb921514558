import pytest

from serving.client.lines import Lines, split
from serving.client.retries import Attempts, Reconnects, RetryBudget
from serving.errors import (
    BackendUnavailable,
    BadImage,
    CameraTakenOver,
    DeadlineExceeded,
    Overloaded,
    PermissionDenied,
    StaleRoute,
    StreamEnded,
    Unauthenticated,
    UnderstudyError,
    WorkerDied,
    WorkerFailed,
)

LOST = [BackendUnavailable("x"), StaleRoute("x"), WorkerDied("x"), WorkerFailed("x")]
FINAL = [
    BadImage("image", "x"),
    Unauthenticated("x"),
    PermissionDenied("x"),
    DeadlineExceeded("x"),
    CameraTakenOver("x"),
    UnderstudyError("x"),
]


def attempts(addresses: int = 2, *, timeout_s: float = 60.0, budget: float = 100.0) -> Attempts:
    return Attempts(timeout_s, addresses=addresses, budget=RetryBudget(budget))


@pytest.mark.parametrize("error", LOST, ids=lambda error: error.code)
def test_what_was_lost_is_asked_again_at_once_elsewhere_and_then_ever_later(
    error: UnderstudyError,
) -> None:
    asked = attempts()

    assert asked.pause_s(error, "a") == 0
    assert asked.tried == {"a"}
    pauses = [asked.pause_s(error, "b") for _ in range(5)]
    assert 0 < pauses[0] < pauses[2] < pauses[4] <= 1


def test_a_single_address_is_asked_again_at_once_too() -> None:
    asked = attempts(addresses=1)

    assert asked.pause_s(LOST[0], "a") == 0
    assert asked.tried == set()
    assert asked.pause_s(LOST[0], "a") > 0


def test_too_much_is_asked_again_after_the_time_that_the_server_names() -> None:
    pause_s = attempts().pause_s(Overloaded("full", retry_after_s=2.0), "a")

    assert 2.0 <= pause_s <= 3.0


def test_a_hint_beyond_the_deadline_is_not_waited_for() -> None:
    with pytest.raises(Overloaded):
        attempts(timeout_s=1.0).pause_s(Overloaded("full", retry_after_s=2.0), "a")


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.code)
def test_what_asking_again_does_not_mend_is_told(error: UnderstudyError) -> None:
    with pytest.raises(type(error)):
        attempts().pause_s(error, "a")


def test_a_budget_bounds_what_is_asked_again_and_answers_fill_it() -> None:
    budget = RetryBudget(2, per_success=0.5)
    asked = Attempts(60.0, addresses=9, budget=budget)
    for _ in range(2):
        asked.pause_s(LOST[0], "a")

    with pytest.raises(BackendUnavailable):
        asked.pause_s(LOST[0], "a")
    asked.succeeded()
    asked.succeeded()
    assert asked.pause_s(LOST[0], "a") >= 0


def test_a_stream_gives_up_no_sooner_than_each_address_was_tried() -> None:
    reconnects = Reconnects(addresses=2, patience_s=-1.0)

    assert reconnects.pause_s(LOST[0], "a") == 0
    with pytest.raises(BackendUnavailable):
        reconnects.pause_s(LOST[0], "b")


def test_after_it_a_stream_connects_again_as_long_as_its_patience_lasts() -> None:
    patient, impatient = (Reconnects(addresses=1, patience_s=s) for s in (60.0, -1.0))
    for one in (patient, impatient):
        one.worked()

    assert [patient.pause_s(LOST[0], "a") > 0 for _ in range(3)] == [False, True, True]
    assert patient.pause_s(StreamEnded("old", retry_after_s=0.7), "a") == 0.7
    with pytest.raises(BackendUnavailable):
        impatient.pause_s(LOST[0], "a")
    with pytest.raises(CameraTakenOver):
        patient.pause_s(CameraTakenOver("x"), "a")


class Opened:
    """Connections that know whether they are closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self._made = 0

    def open(self, address: str) -> str:
        self._made += 1
        return f"{address}#{self._made}"

    def lines(self, *addresses: str) -> Lines[str]:
        return Lines(addresses, self.open, self.closed.append)


def test_calls_at_the_same_time_spread_over_the_addresses() -> None:
    lines = Opened().lines("a", "b")

    with lines.line() as one, lines.line() as other:
        assert {one.address, other.address} == {"a", "b"}


def test_an_address_that_failed_is_tried_last_and_one_to_avoid_after_it() -> None:
    lines = Opened().lines("a", "b", "c")
    with lines.line(avoid=("b", "c")) as line:
        lines.failed(line, shun=True)

    with lines.line() as one, lines.line() as other, lines.line(("b",)) as third:
        assert {one.address, other.address} == {"b", "c"}
        assert third.address == "c"
    with lines.line(("b", "c")) as line:
        assert line.address == "a"


def test_a_failed_line_is_replaced_once_and_closed_when_its_last_user_leaves() -> None:
    opened = Opened()
    lines = opened.lines("a")

    with lines.line() as one:
        with lines.line() as other:
            lines.failed(one, shun=False)
            lines.failed(other, shun=False)
            with lines.line() as new:
                assert new.connection == "a#2"
        assert opened.closed == []
    assert opened.closed == ["a#1"]
    lines.close()
    assert opened.closed == ["a#1", "a#2"]
    with pytest.raises(BackendUnavailable, match="closed"), lines.line():
        pass


@pytest.mark.parametrize(
    "given", ["a:1,b:2", " a:1 , b:2/ ,", ["a:1", "b:2"], ("a:1", "b:2", "a:1")]
)
def test_addresses_come_as_text_or_as_a_list(given: str | list[str]) -> None:
    assert split(given) == ("a:1", "b:2")


def test_no_address_is_told() -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        split(" , ")
