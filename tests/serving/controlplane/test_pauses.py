"""What failed waits; who is short of workers gets time first."""

from serving.controlplane.pauses import Pauses
from serving.controlplane.shortage import Shortage
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")


def test_a_failure_is_told_again_until_its_pause_is_over_and_pauses_grow() -> None:
    pauses, error = Pauses(), ValueError("no")
    assert pauses.pending("a", 0.0) is None
    pauses.failed("a", error, 0.0)
    assert pauses.pending("a", 3.9) is error
    assert pauses.pending("b", 3.9) is None
    assert pauses.pending("a", 4.0) is None
    pauses.failed("a", error, 4.0)
    assert pauses.pending("a", 11.9) is error
    assert pauses.pending("a", 12.0) is None
    for _ in range(20):
        pauses.failed("a", error, 100.0)
    assert pauses.pending("a", 220.0) is None
    pauses.failed("a", error, 300.0)
    pauses.forget("a")
    assert pauses.pending("a", 300.0) is None


def test_a_shortage_is_due_when_it_has_lasted_and_then_half_as_often() -> None:
    shortage = Shortage(20.0)
    looks = {now_s: shortage.due([KEY], float(now_s)) for now_s in range(0, 130, 2)}
    assert [now_s for now_s, due in looks.items() if due] == [22, 64]


def test_a_worker_that_came_back_in_time_is_no_shortage() -> None:
    shortage = Shortage(20.0)
    assert shortage.due([KEY], 0.0) == []
    assert shortage.due([], 10.0) == []
    assert shortage.due([KEY], 21.0) == []
    assert shortage.due([KEY], 42.0) == [KEY]
