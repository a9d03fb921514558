import pytest

from serving.client.errors import rebuilt
from serving.dataplane import allowances as module
from serving.dataplane.allowances import Allowances
from serving.dataplane.calls import Call
from serving.dataplane.token_bucket import TokenBucket
from serving.error_info import describe
from serving.errors import RateLimited
from serving.store.values import Scope


def of(key_id: str, frames_per_second: float | None = None) -> Call:
    return Call("r", Scope.DETECT, key_id=key_id, frames_per_second=frames_per_second)


def taken(allowances: Allowances, call: Call, camera_id: str, frames: int) -> int:
    """Return how many of so many frames, sent at once, are let through."""
    let = 0
    for _ in range(frames):
        try:
            allowances.take(call, camera_id)
        except RateLimited:
            continue
        let += 1
    return let


def test_without_a_limit_all_is_let_through_and_nothing_kept() -> None:
    allowances = Allowances()

    assert taken(allowances, of("a"), "gate-7", 1000) == 1000
    assert not allowances._keys._by_key
    assert not allowances._cameras._by_key


def test_a_key_has_two_seconds_worth_at_once_and_not_what_another_has() -> None:
    refused: list[str] = []
    allowances = Allowances(refused=refused.append)

    assert taken(allowances, of("a", 0.001), "", 3) == 1  # one frame is never too many
    assert taken(allowances, of("b", 0.002), "gate-7", 3) == 1
    assert taken(allowances, of("c"), "gate-7", 3) == 3
    assert refused == ["key"] * 4


def test_each_camera_of_each_key_has_its_own_and_frames_of_none_count_for_the_key_alone() -> None:
    refused: list[str] = []
    allowances = Allowances(camera_fps=0.001, refused=refused.append)

    assert [taken(allowances, of("a"), one, 2) for one in ("gate-7", "gate-8")] == [1, 1]
    assert taken(allowances, of("b"), "gate-7", 2) == 1
    assert taken(allowances, of("a"), "", 5) == 5
    assert refused == ["camera"] * 3


def test_what_a_camera_is_refused_is_not_taken_off_its_key() -> None:
    allowances = Allowances(camera_fps=0.001)
    key = of("a", 1.5)  # three at once

    assert taken(allowances, key, "gate-7", 10) == 1
    assert taken(allowances, key, "gate-8", 10) == 1
    assert taken(allowances, key, "", 10) == 1


def test_the_refusal_says_when_there_is_room_again() -> None:
    allowances = Allowances()
    allowances.take(of("a", 0.1), "")

    with pytest.raises(RateLimited, match=r"this key may have 0\.1 frames a second") as refused:
        allowances.take(of("a", 0.1), "")

    assert 9 < refused.value.retry_after_s <= 10
    told = rebuilt(describe(refused.value), retry_after_s=refused.value.retry_after_s)
    assert type(told) is RateLimited


def test_a_new_limit_holds_at_once() -> None:
    allowances = Allowances()
    taken(allowances, of("a", 0.001), "", 5)

    assert taken(allowances, of("a", 2), "", 10) == 4
    assert taken(allowances, of("a"), "", 10) == 10


def test_whoever_was_silent_longest_is_given_up_first() -> None:
    allowances = Allowances(camera_fps=0.001, most=2)
    for camera in ("one", "two", "one", "three"):  # "two" is given up
        taken(allowances, of("a"), camera, 1)

    assert taken(allowances, of("a"), "one", 1) == 0
    assert taken(allowances, of("a"), "two", 1) == 1
    assert len(allowances._cameras._by_key) == 2


def test_two_gateways_count_for_themselves() -> None:
    gateways = [Allowances(), Allowances()]

    assert [taken(one, of("a", 1), "gate-7", 9) for one in gateways] == [2, 2]


def test_tokens_come_back_with_the_clock() -> None:
    now = [0.0]
    bucket = TokenBucket(share=0, most=4, begin=4, floor=4, fill_s=2, clock=lambda: now[0])
    spent = [bucket.spend() for _ in range(5)]
    empty_s = bucket.wait_s()

    now[0] += 0.25
    early_s = bucket.wait_s()
    now[0] += 0.25
    again = (bucket.wait_s(), bucket.spend(), bucket.spend())

    assert spent == [True] * 4 + [False]
    assert (empty_s, early_s) == (0.5, 0.25)
    assert again == (0.0, True, False)
    assert TokenBucket(share=1, most=1).wait_s() == float("inf")
    assert module.MOST_BUCKETS >= 10_000  # a camera each, at the largest deployment
