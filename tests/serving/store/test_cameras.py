import asyncio
from datetime import UTC, datetime, timedelta

from serving.store.observations import Camera
from serving.store.store import Store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=5)


async def test_traffic_makes_cameras_known(store: Store) -> None:
    await store.see_cameras({"yard": NOON, "gate": NOON})
    await store.see_cameras({"yard": LATER})
    await store.see_cameras({})

    assert await store.cameras() == [
        Camera(id="gate", first_seen=NOON, last_seen=NOON),
        Camera(id="yard", first_seen=NOON, last_seen=LATER),
    ]


async def test_what_gateways_tell_out_of_order_does_no_harm(store: Store) -> None:
    await store.see_cameras({"yard": LATER})
    await store.see_cameras({"yard": NOON})

    assert await store.camera("yard") == Camera(id="yard", first_seen=NOON, last_seen=LATER)


async def test_the_operators_words_and_the_traffics_times_stand_apart(store: Store) -> None:
    wanted = Camera(id="yard", group="outside", expected_fps=12.5, note="north wall")
    await store.put_camera(wanted)
    assert await store.camera("yard") == wanted
    await store.see_cameras({"yard": NOON})

    await store.put_camera(wanted.model_copy(update={"group": "inside"}))

    assert await store.camera("yard") == wanted.model_copy(
        update={"group": "inside", "first_seen": NOON, "last_seen": NOON}
    )


async def test_a_camera_is_forgotten_until_it_is_seen_again(store: Store) -> None:
    await store.put_camera(Camera(id="yard", group="outside"))
    await store.forget_camera("yard")
    await store.forget_camera("yard")
    assert await store.camera("yard") is None

    await store.see_cameras({"yard": NOON})

    assert await store.camera("yard") == Camera(id="yard", first_seen=NOON, last_seen=NOON)


async def test_several_gateways_see_the_same_cameras_at_once(store: Store, other: Store) -> None:
    names = [f"camera-{number}" for number in range(40)]
    seen = [
        opened.see_cameras(dict.fromkeys(order, NOON + timedelta(seconds=second)))
        for second in range(10)
        for opened, order in ((store, names), (other, names[::-1]))
    ]

    await asyncio.gather(*seen)

    cameras = await store.cameras()
    assert [camera.id for camera in cameras] == sorted(names)
    assert {camera.first_seen for camera in cameras} == {NOON}
    assert {camera.last_seen for camera in cameras} == {NOON + timedelta(seconds=9)}


async def test_several_are_put_at_once(store: Store) -> None:
    await store.see_cameras({"yard": NOON})

    await store.put_cameras([Camera(id="yard", group="outside"), Camera(id="gate", note="new")])

    assert await store.cameras() == [
        Camera(id="gate", note="new"),
        Camera(id="yard", group="outside", first_seen=NOON, last_seen=NOON),
    ]


async def test_what_nobody_described_or_saw_for_long_is_forgotten(store: Store) -> None:
    await store.see_cameras({"yard": NOON, "stranger": NOON, "newcomer": LATER})
    await store.put_cameras([Camera(id="yard", expected_fps=5), Camera(id="gate")])

    await store.forget_strange_cameras(before=LATER)

    assert [camera.id for camera in await store.cameras()] == ["gate", "newcomer", "yard"]
