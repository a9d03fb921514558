"""When a silent gateway counts as gone."""

from datetime import UTC, datetime

from serving.api.timeouts import LONGEST_TIMEOUT_S
from serving.controlplane import gone
from serving.controlplane.gone import SILENT_AFTER_S, Silence
from serving.dataplane.heartbeat import LEASE_S
from serving.store.values import GatewayStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def gateway(name: str, beat: int) -> GatewayStatus:
    return GatewayStatus(id=name, started=NOW, heartbeat=NOW, beat=beat, revision=1, in_flight={})


def counted(silence: Silence, now_s: float, **beats: int) -> list[str]:
    seen = [gateway(name, beat) for name, beat in beats.items()]
    return [one.id for one in silence.counted(seen, asked_at_s=now_s, answered_at_s=now_s)]


def test_the_planes_agree_on_lease_and_deadline() -> None:
    assert gone.GATEWAY_LEASE_S == LEASE_S
    assert gone.LONGEST_DEADLINE_S == LONGEST_TIMEOUT_S


def test_one_that_beats_never_goes() -> None:
    silence = Silence(10.0)
    assert [counted(silence, 9.0 * beat, a=beat) for beat in range(5)] == [["a"]] * 5


def test_one_that_stands_still_goes_and_comes_back_with_its_next_beat() -> None:
    silence = Silence(10.0)
    assert counted(silence, 0.0, a=3, b=1) == ["a", "b"]
    assert counted(silence, 9.9, a=3, b=2) == ["a", "b"]
    assert counted(silence, 10.0, a=3, b=2) == ["b"]
    assert counted(silence, 11.0, a=4, b=2) == ["a", "b"]


def test_silence_is_counted_from_the_answer_to_the_question() -> None:
    silence = Silence(10.0)
    silence.counted([gateway("a", 1)], asked_at_s=0.0, answered_at_s=5.0)
    late = silence.counted([gateway("a", 1)], asked_at_s=14.9, answered_at_s=20.0)
    assert [one.id for one in late] == ["a"]


def test_what_was_observed_before_a_drain_counts_for_it() -> None:
    silence = Silence()
    silence.observe([gateway("a", 1)], 0.0)
    assert counted(silence, SILENT_AFTER_S, a=1) == []


def test_one_that_left_is_forgotten() -> None:
    silence = Silence(10.0)
    silence.observe([gateway("a", 1)], 0.0)
    silence.observe([], 5.0)
    assert counted(silence, 12.0, a=1) == ["a"]
