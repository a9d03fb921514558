import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_backends import TEACHER, ScriptedBackend, release_of

from serving.dataplane.deadline import Deadline
from serving.dataplane.endpoints import Endpoints
from serving.dataplane.frames import Frame
from serving.dataplane.route_table import RouteTable
from serving.dataplane.token_bucket import TokenBucket
from serving.dataplane.upstream import MOST_TRIES, Upstream
from serving.errors import (
    BackendUnavailable,
    BadImage,
    DeadlineExceeded,
    Overloaded,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
    WorkerFailed,
)
from serving.metrics.gateway.metrics import Metrics

FRAME = Frame(b"image", "gate-7", "f", None, None, "", "")
RELEASE = release_of(TEACHER)
FAILURES: list[Exception | None] = [
    None,
    BackendUnavailable("refused", refused=True),
    BackendUnavailable("reset"),
    StaleRoute("404"),
    WorkerDied("died"),
    WorkerFailed("raised"),
    Overloaded("no worker", retry_after_s=1),
    BadImage("image", "no JPEG"),
    DeadlineExceeded("late"),
]


def built(backends: dict[str, ScriptedBackend], retries: TokenBucket | None = None) -> Upstream:
    endpoints = Endpoints(backends, lambda endpoint, state: None)
    endpoints.apply(RouteTable(placements={TEACHER: dict.fromkeys(backends, 1)}))
    return Upstream(endpoints, Metrics().faults, retries)


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(st.lists(st.sampled_from(FAILURES), min_size=5, max_size=5), max_size=12),
    share=st.floats(0, 1),
)
async def test_whatever_fails_tries_and_retries_are_bounded(
    script: list[list[Exception | None]], share: float
) -> None:
    backends = {f"b{place}": ScriptedBackend() for place in range(5)}
    upstream = built(backends, TokenBucket(share=share, most=100, clock=lambda: 0.0))

    for outcomes in script:
        before = [len(backend.asked) for backend in backends.values()]
        for backend, failure in zip(backends.values(), outcomes, strict=True):
            backend.standing = {} if failure is None else {TEACHER: failure}
        try:
            returned = await upstream.predict(RELEASE, FRAME, Deadline.after(5))
            assert backends[returned.backend].standing == {}
        except UnderstudyError:
            pass
        after = [len(backend.asked) for backend in backends.values()]
        asked = [now - then for now, then in zip(after, before, strict=True)]
        assert sum(asked) <= MOST_TRIES
        assert max(asked) <= 1


async def test_frames_that_were_sent_go_again_only_within_the_budget() -> None:
    backends = {"b0": ScriptedBackend(), "b1": ScriptedBackend()}
    upstream = built(backends, TokenBucket(share=0.2, most=100, clock=lambda: 0.0))
    died = 0

    for turn in range(100):
        # Each backend in turn loses one frame, and answers the next: no breaker opens for long.
        for backend in backends.values():
            backend.once.clear()
            backend.once.append(BackendUnavailable("reset"))
        try:
            await upstream.predict(RELEASE, FRAME, Deadline.after(5))
        except BackendUnavailable:
            died += 1
        for backend in backends.values():
            backend.once.clear()
        await upstream.predict(RELEASE, FRAME, Deadline.after(5))
        assert sum(len(one.asked) for one in backends.values()) <= 1.2 * 2 * (turn + 1) + 1

    assert died > 0


async def test_all_that_do_not_know_the_version_mean_a_stale_route() -> None:
    backends = {"b0": ScriptedBackend(), "b1": ScriptedBackend()}
    for backend in backends.values():
        backend.standing[TEACHER] = StaleRoute("404")

    with pytest.raises(StaleRoute):
        await built(backends).predict(RELEASE, FRAME, Deadline.after(5))

    assert [len(backend.asked) for backend in backends.values()] == [1, 1]


async def test_one_that_is_down_beside_one_without_the_version_is_no_stale_route() -> None:
    backends = {"b0": ScriptedBackend(), "b1": ScriptedBackend()}
    backends["b0"].standing[TEACHER] = StaleRoute("404")
    backends["b1"].standing[TEACHER] = BackendUnavailable("refused", refused=True)

    with pytest.raises(BackendUnavailable) as told:
        await built(backends).predict(RELEASE, FRAME, Deadline.after(5))

    assert told.value.refused
    assert told.value.retry_after_s


async def test_a_placement_elsewhere_is_not_for_this_gateway() -> None:
    endpoints = Endpoints({"b0": ScriptedBackend()}, lambda endpoint, state: None)
    endpoints.apply(RouteTable(placements={TEACHER: {"elsewhere": 4}}))

    assert not endpoints.is_up(TEACHER)
    assert endpoints.ready_workers(TEACHER) == []


def hanging() -> dict[str, ScriptedBackend]:
    backends = {"b0": ScriptedBackend(), "b1": ScriptedBackend()}
    for backend in backends.values():
        backend.hold[TEACHER] = asyncio.Event()
    return backends


async def asked(backends: dict[str, ScriptedBackend], count: int) -> list[str]:
    """Wait until so many were asked; return all, those that were asked first."""
    while sum(bool(backend.asked) for backend in backends.values()) < count:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    return sorted(backends, key=lambda name: not backends[name].asked)


async def test_a_frame_that_hangs_is_given_company_by_another_backend() -> None:
    backends = hanging()
    waiting = asyncio.create_task(built(backends).predict(RELEASE, FRAME, Deadline.after(1.0)))
    first, other = await asked(backends, 1)

    backends[other].hold[TEACHER].set()
    returned = await waiting
    backends[first].hold[TEACHER].set()

    assert returned.backend == other
    assert [len(backend.asked) for backend in backends.values()] == [1, 1]


async def test_a_frame_that_hangs_everywhere_waits_for_the_first_answer() -> None:
    backends = hanging()
    waiting = asyncio.create_task(built(backends).predict(RELEASE, FRAME, Deadline.after(1.0)))
    first, _ = await asked(backends, 1)
    await asked(backends, 2)

    backends[first].hold[TEACHER].set()
    returned = await waiting
    for backend in backends.values():
        backend.hold[TEACHER].set()

    assert returned.backend == first


async def test_company_is_paid_from_the_retry_budget() -> None:
    backends = hanging()
    upstream = built(backends, TokenBucket(share=0.0, most=1, clock=lambda: 0.0))
    waiting = asyncio.create_task(upstream.predict(RELEASE, FRAME, Deadline.after(0.2)))
    first, other = await asked(backends, 1)

    await asyncio.wait([waiting], timeout=0.3)
    backends[first].hold[TEACHER].set()
    returned = await waiting

    assert returned.backend == first
    assert backends[other].asked == []
