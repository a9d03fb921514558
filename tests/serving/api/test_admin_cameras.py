"""The cameras of the admin API, before a real store."""

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest_asyncio
from admin_server import AdminServer, open_admin

from serving.store.observations import Camera
from serving.store.store import Store
from serving.store.values import Scope


@pytest_asyncio.fixture
async def server(store: Store) -> AsyncIterator[AdminServer]:
    # No call on a camera moves anything.
    async with open_admin(SimpleNamespace(store=store, controller=None)) as opened:
        yield opened


@pytest_asyncio.fixture
async def operator(server: AdminServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.keys[Scope.OPERATE]}"}
    base_url = f"{server.url}/admin/v1"
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:
        yield client


async def test_cameras_ask_for_a_key_of_scope_operate(server: AdminServer) -> None:
    calls = (("GET", ""), ("PUT", ""), ("GET", "/a"), ("PUT", "/a"), ("DELETE", "/a"))
    weaker = {"Authorization": f"Bearer {server.keys[Scope.DETECT]}"}
    async with httpx.AsyncClient(base_url=f"{server.url}/admin/v1/cameras") as client:
        for method, path in calls:
            assert (await client.request(method, path)).status_code == 401, (method, path)
            refused = await client.request(method, path, headers=weaker)
            assert refused.status_code == 403, (method, path)


async def test_a_camera_is_described_seen_and_forgotten(
    server: AdminServer, operator: httpx.AsyncClient, store: Store
) -> None:
    words = {"group": "north gate", "expected_fps": 12.5, "note": "by the oak"}

    put = await operator.put("/cameras/gate-7", json=words)
    assert put.status_code == 200, put.text
    assert put.json() == words | {
        "id": "gate-7",
        "first_seen": None,
        "last_seen": None,
        "silent": True,
    }
    now = await store.now()
    await store.see_cameras({"gate-7": now})
    seen = (await operator.get("/cameras/gate-7")).json()
    assert (seen["silent"], seen["note"]) == (False, "by the oak")
    assert seen["first_seen"] == seen["last_seen"] is not None
    # The operator's words do not touch when it was seen.
    again = (await operator.put("/cameras/gate-7", json={"group": "gate"})).json()
    assert (again["expected_fps"], again["last_seen"]) == (None, seen["last_seen"])

    assert (await operator.delete("/cameras/gate-7")).json()["id"] == "gate-7"
    gone = await operator.delete("/cameras/gate-7")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_camera")
    assert (await operator.get("/cameras/gate-7")).status_code == 404
    assert (await operator.get("/cameras")).json() == []
    audited = [(one.who, one.action, one.subject) for one in await store.audit_log()]
    assert audited[0] == ("the operate key", "camera.forget", "gate-7")
    assert [action for _, action, _ in audited] == ["camera.forget", "camera.put", "camera.put"]


async def test_the_list_is_filtered_by_group_and_by_silence(
    operator: httpx.AsyncClient, store: Store
) -> None:
    now = await store.now()
    ago = {
        "slow": timedelta(seconds=40),  # 5 periods at 0.1 a second are 50 s
        "fast": timedelta(seconds=40),  # 5 periods at 10 a second are less than three windows
        "quick": timedelta(seconds=10),
        "unasked": timedelta(days=1),
    }
    await store.see_cameras({name: now - age for name, age in ago.items()})
    await store.put_cameras(
        [
            Camera(id="slow", group="yard", expected_fps=0.1),
            Camera(id="fast", group="yard", expected_fps=10),
            Camera(id="quick", group="gate", expected_fps=10),
            Camera(id="never", group="gate", expected_fps=1),
        ]
    )

    async def ids(**query: Any) -> list[str]:
        return [one["id"] for one in (await operator.get("/cameras", params=query)).json()]

    assert await ids() == ["fast", "never", "quick", "slow", "unasked"]
    assert await ids(silent=True) == ["fast", "never"]
    assert await ids(silent=False) == ["quick", "slow", "unasked"]
    assert await ids(group="yard") == ["fast", "slow"]
    assert await ids(group="yard", silent=True) == ["fast"]
    assert await ids(group="") == ["unasked"]
    assert await ids(group="nowhere") == []


async def test_an_id_may_hold_any_visible_character(operator: httpx.AsyncClient) -> None:
    for camera_id in ("site/gate/7", "a?b#c%20d", "rtsp://10.0.0.1:554/h264?ch=1"):
        path = f"/cameras/{httpx.QueryParams(i=camera_id)}".replace("/i=", "/")

        put = await operator.put(path, json={"note": "odd"})

        assert put.json()["id"] == camera_id, put.text
        assert (await operator.delete(path)).json()["id"] == camera_id


async def test_what_is_wrong_is_told(operator: httpx.AsyncClient, store: Store) -> None:
    async def error(path: str, body: Any) -> tuple[int, str, str]:
        reply = await operator.put(path, json=body)
        told = reply.json()["error"]
        return reply.status_code, told["code"], told["field"]

    invalid = (400, "invalid_field")
    assert [
        await error("/cameras/a", {"expected_fps": 0}),
        await error("/cameras/a", {"expected_fps": 1001}),
        await error("/cameras/a", {"group": "g" * 65}),
        await error("/cameras/a", {"fps": 5}),
        await error("/cameras/a%20b", {}),
        await error(f"/cameras/{'c' * 129}", {}),
        await error("/cameras", {}),
        await error("/cameras", [{"id": "a"}, {"id": "b", "note": 5}]),
        await error("/cameras", [{"id": "a"}, {"id": "a"}]),
    ] == [
        (*invalid, "expected_fps"),
        (*invalid, "expected_fps"),
        (*invalid, "group"),
        (*invalid, "fps"),
        (*invalid, "camera_id"),
        (*invalid, "camera_id"),
        (*invalid, ""),
        (*invalid, "1.note"),
        (*invalid, "1.id"),
    ]
    assert await store.cameras() == []


async def test_several_are_described_at_once(operator: httpx.AsyncClient, store: Store) -> None:
    await store.put_cameras([Camera(id="a", note="old"), Camera(id="c", note="kept")])

    put = await operator.put("/cameras", json=[{"id": "b", "group": "g"}, {"id": "a"}])

    assert [one["id"] for one in put.json()] == ["a", "b"]
    assert await store.cameras() == [
        Camera(id="a"),
        Camera(id="b", group="g"),
        Camera(id="c", note="kept"),
    ]
