from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.breaker import LIMIT, Breaker, BreakerState


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    breaker.failed(breaker.sent(), LIMIT)
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not() -> None:
    steady, broken = Breaker(Clock()), Breaker(Clock())

    for turn in range(20):
        steady.failed(steady.sent())
        if turn % 4 == 3:
            steady.answered()
    for _ in range(5):
        broken.failed(broken.sent())

    assert steady.state is BreakerState.CLOSED
    assert broken.state is BreakerState.OPEN
    assert not broken.lets_through()


def test_failures_far_apart_do_not_open_it() -> None:
    clock = Clock()
    breaker = Breaker(clock)

    for _ in range(50):
        breaker.failed(breaker.sent())
        clock.now += 3

    assert breaker.state is BreakerState.CLOSED


def test_refused_connections_open_it_sooner() -> None:
    breaker = Breaker(Clock())

    for _ in range(2):
        breaker.failed(breaker.sent(), LIMIT / 2)

    assert breaker.state is BreakerState.OPEN


def test_one_probe_at_a_time_after_a_pause_that_grows_to_a_bound() -> None:
    clock = Clock()
    breaker = opened(clock)
    pauses = []

    for _ in range(6):
        pauses.append(breaker.retry_after_s())
        clock.now += pauses[-1]
        assert breaker.lets_through()
        probe = breaker.sent()
        assert breaker.state is BreakerState.HALF_OPEN
        assert not breaker.lets_through()
        breaker.failed(probe)

    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_an_answered_probe_closes_it_and_the_pause_begins_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1
    breaker.failed(breaker.sent())
    clock.now += 1

    breaker.sent()
    breaker.answered()

    assert breaker.state is BreakerState.CLOSED
    assert breaker.lets_through()
    breaker.failed(breaker.sent(), LIMIT)
    assert breaker.retry_after_s() == 0.25


def test_what_was_sent_before_it_opened_says_nothing_of_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    early = [breaker.sent() for _ in range(8)]
    breaker.failed(early[0], LIMIT)
    clock.now += 1
    breaker.sent()

    for passed in early[1:]:
        breaker.failed(passed, LIMIT)

    assert breaker.state is BreakerState.HALF_OPEN


def test_a_probe_that_hangs_lets_another_through_at_last() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1
    breaker.sent()

    clock.now += 6

    assert breaker.lets_through()


def test_a_probe_that_says_nothing_is_repeated_after_the_pause() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1

    breaker.gave_up(breaker.sent())

    assert not breaker.lets_through()
    clock.now += 2
    assert breaker.lets_through()


@given(st.lists(st.tuples(st.sampled_from(["fail", "answer", "give up"]), st.floats(0, 4))))
def test_whatever_happens_a_door_that_is_not_closed_takes_one_at_a_time(
    steps: list[tuple[str, float]],
) -> None:
    clock = Clock()
    breaker = Breaker(clock)
    under_way = []

    for what, passed_s in steps:
        clock.now += passed_s
        if breaker.lets_through():
            under_way.append(breaker.sent())
            if breaker.state is not BreakerState.CLOSED:
                assert not breaker.lets_through()
        if under_way:
            passed = under_way.pop(0)
            if what == "fail":
                breaker.failed(passed, LIMIT / 2)
            elif what == "answer":
                breaker.answered()
            else:
                breaker.gave_up(passed)
        assert breaker.retry_after_s() <= 5
    clock.now += 5
    assert breaker.lets_through()
