import pytest

from serving.store.store import Store


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["b", "100%_x", "a"]),
        (["ANN"], ["100%_x", "a"]),
        (["ann", "student"], ["a"]),
        # Neither is a wildcard.
        (["%"], ["100%_x"]),
        (["0_x"], []),
        (["nobody"], []),
    ],
)
async def test_entries_are_found_by_what_they_hold(
    store: Store, words: list[str], found: list[str]
) -> None:
    await store.audit("ann", "route.set", "a", "student to 25 percent")
    await store.audit("ann", "route.set", "100%_x", "")
    await store.audit("ben", "release.deploy", "b", "student-1.0")

    assert [one.subject for one in await store.audit_log(10, words)] == found


async def test_all_of_the_trail_is_searched(store: Store) -> None:
    await store.audit("ann", "route.set", "the first", "")
    for number in range(5):
        await store.audit("ben", "route.set", str(number), "")

    assert [one.subject for one in await store.audit_log(2, ["first"])] == ["the first"]
