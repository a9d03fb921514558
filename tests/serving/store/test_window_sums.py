"""Sums over windows, which the database and Python make together: held against the windows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.store.histogram import merged
from serving.store.observations import AgreementSums, ClassAgreement, Window
from serving.store.store import Store, open_store
from serving.store.values import Arm, ReleaseKey, Route
from serving.store.window_sums import WindowSums

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNTS = st.dictionaries(st.integers(0, 250), st.integers(1, 1000), max_size=6)
CODES = st.dictionaries(st.sampled_from(["ok", "overloaded", "internal"]), st.integers(1, 99))
AGREEMENTS = st.builds(
    AgreementSums,
    frames=st.integers(1, 9),
    f1=st.floats(0, 9).map(lambda value: round(value, 3)),
    matched=st.integers(0, 99),
    classes=st.just({0: ClassAgreement(matched=1, primary=1, shadow=1)}),
)


def window(place: int, **changes: Any) -> Window:
    values: dict[str, Any] = {
        "gateway": f"gateway-{place % 2}",
        "start": START + timedelta(seconds=5 * place),
        "route": "default",
        "revision": 3 + place % 3,
        "arm": "student",
        "release": ReleaseKey(model="student", version="1.0"),
        "kind": "primary",
        "codes": {"ok": 1},
    }
    return Window.model_validate(values | changes)


def added(windows: list[Window]) -> WindowSums:
    """One arm's windows, added up the slow way."""
    codes: Counter[str] = Counter()
    for one in windows:
        codes.update(one.codes)
    agreements = [one.agreement for one in windows if one.agreement is not None]
    agreement = None
    if agreements:
        agreement = AgreementSums(
            frames=sum(one.frames for one in agreements),
            f1=sum(one.f1 for one in agreements),
            matched=sum(one.matched for one in agreements),
        )
    first = windows[0]
    return WindowSums(
        route=first.route,
        arm=first.arm,
        release=first.release,
        kind=first.kind,
        codes=dict(codes),
        latency=merged(one.latency for one in windows),
        agreement=agreement,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    parts=st.lists(st.tuples(CODES, COUNTS, st.none() | AGREEMENTS), min_size=1, max_size=8),
)
async def test_the_sums_are_the_windows(
    store: Store, parts: list[tuple[dict[str, int], dict[int, int], AgreementSums | None]]
) -> None:
    await store.forget_windows(before=START + HOUR, cameras_before=START + HOUR)
    windows = [
        window(place, codes=codes, latency=latency, agreement=agreement)
        for place, (codes, latency, agreement) in enumerate(parts)
    ]
    await store.add_windows(windows)

    (found,) = await store.window_sums(since=START, until=START + HOUR)
    expected = added(windows)
    assert found.agreement is None or found.agreement.f1 == pytest.approx(expected.agreement.f1)
    without = {"agreement": found.agreement}
    assert found == expected.model_copy(update=without if found.agreement else {})
    if found.agreement and expected.agreement:
        assert found.agreement.frames == expected.agreement.frames
        assert found.agreement.matched == expected.agreement.matched


async def both_ends_and_each_side(store: Store) -> None:
    await store.add_windows(
        [
            window(-1, codes={"ok": 100}),
            window(0, codes={"ok": 1}),
            window(1, codes={"ok": 2}, kind="shadow"),
            window(2, codes={"ok": 4}, release=ReleaseKey(model="student", version="1.1")),
            window(3, codes={"ok": 8}, route="night"),
            window(4, codes={"ok": 16}, arm="teacher"),
            window(720, codes={"ok": 200}),
        ]
    )

    found = await store.window_sums(since=START, until=START + HOUR)
    told = [(one.route, one.arm, str(one.release), one.kind, one.codes["ok"]) for one in found]
    assert told == [
        ("default", "student", "student-1.0", "primary", 1),
        ("default", "student", "student-1.0", "shadow", 2),
        ("default", "student", "student-1.1", "primary", 4),
        ("default", "teacher", "student-1.0", "primary", 16),
        ("night", "student", "student-1.0", "primary", 8),
    ]


async def test_each_side_of_the_time_asked_for_is_told_apart(store: Store) -> None:
    await both_ends_and_each_side(store)


@pytest.mark.slow
async def test_so_it_is_on_postgresql(postgres_url: str) -> None:
    async with open_store(postgres_url) as store:
        await both_ends_and_each_side(store)


async def test_what_happened_in_a_time_begins_with_what_held_before(store: Store) -> None:
    def route(weight: float) -> Route:
        key = ReleaseKey(model="student", version="1.0")
        arms = (Arm(name="a", release=key, weight=weight), Arm(name="b", release=key, weight=0))
        return Route(arms=(arms[0], arms[1].model_copy(update={"weight": 100 - weight})))

    for weight in (100, 50, 0):
        await store.put_route(route(weight), who="ann", why=f"to {weight}")
    now = datetime.now(UTC)
    await store.audit("ben", "key.create", "abc", "gate, scope detect")
    until = datetime.now(UTC) + HOUR

    everything = await store.happened(since=START - HOUR, until=until, audit_limit=100)
    assert [one.why for one in everything.revisions] == ["to 100", "to 50", "to 0"]
    since_now = await store.happened(since=now, until=until, audit_limit=100)
    assert [one.why for one in since_now.revisions] == ["to 0"]
    assert [(one.who, one.action) for one in since_now.audit] == [("ben", "key.create")]
    newest = await store.happened(since=START - HOUR, until=until, audit_limit=1)
    assert [one.action for one in newest.audit] == ["key.create"]
    nothing = await store.happened(since=until, until=until + HOUR, audit_limit=100)
    assert ([one.why for one in nothing.revisions], nothing.audit) == (["to 0"], ())
