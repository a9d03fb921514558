"""Who served comes back at once; who cannot be started waits longer each time."""

from serving.restarts import Restarts


def test_pauses_grow_while_it_cannot_be_started() -> None:
    restarts = Restarts()
    pauses = [restarts.pause_s(0.0) for _ in range(8)]

    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] == 30


def test_one_that_had_served_comes_back_at_once_however_often_it_is_killed() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.pause_s(0.0)

    assert [restarts.pause_s(6.0) for _ in range(5)] == [0] * 5
    assert restarts.pause_s(0.0) > 0


def test_one_that_dies_of_its_first_requests_comes_back_after_a_second() -> None:
    restarts = Restarts()

    assert [restarts.pause_s(0.5) for _ in range(5)] == [0, 1, 1, 1, 1]
