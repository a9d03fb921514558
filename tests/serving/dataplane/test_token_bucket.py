from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.token_bucket import TokenBucket


@given(share=st.floats(0, 1), steps=st.lists(st.booleans(), max_size=400))
def test_never_more_than_the_share_of_what_was_asked(share: float, steps: list[bool]) -> None:
    bucket = TokenBucket(share=share, most=max(1.0, share * 100), clock=lambda: 0.0)
    spent = 0

    for asked, wants in enumerate(steps, start=1):
        bucket.earn()
        while wants and bucket.spend():
            spent += 1
        assert spent <= asked * share + 1e-6


def test_a_fifth_of_the_requests_is_every_fifth() -> None:
    bucket = TokenBucket(share=0.2, most=20, clock=lambda: 0.0)
    spent = []

    for _ in range(15):
        bucket.earn()
        spent.append(bucket.spend())

    assert [place for place, one in enumerate(spent, start=1) if one] == [5, 10, 15]


def test_a_quiet_hour_saves_up_no_flood() -> None:
    bucket = TokenBucket(share=0.5, most=10, clock=lambda: 0.0)
    for _ in range(10_000):
        bucket.earn()

    assert sum(bucket.spend() for _ in range(100)) == 10


def test_time_fills_it_to_its_floor_and_no_further() -> None:
    now = 0.0
    bucket = TokenBucket(share=0, most=100, begin=4, floor=4, fill_s=10, clock=lambda: now)
    assert sum(bucket.spend() for _ in range(10)) == 4

    now = 5.0
    assert sum(bucket.spend() for _ in range(10)) == 2
    now = 1000.0
    assert sum(bucket.spend() for _ in range(10)) == 4
