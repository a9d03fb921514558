"""The admin API over real HTTP, with a real store, controller and TorchServe."""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
import pytest_asyncio
from admin_server import AdminServer, open_admin

from serving.store.values import Scope

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def server(plane: Any) -> AsyncIterator[AdminServer]:
    async with open_admin(plane) as opened:
        yield opened


def client(server: AdminServer, scope: Scope | None = Scope.OPERATE) -> httpx.AsyncClient:
    headers = {} if scope is None else {"Authorization": f"Bearer {server.keys[scope]}"}
    return httpx.AsyncClient(base_url=f"{server.url}/admin/v1", headers=headers, timeout=60)


def error(reply: httpx.Response) -> tuple[int, str, str]:
    said = reply.json()["error"]
    return reply.status_code, said["code"], said["field"]


def arms(**given: tuple[str, float]) -> dict[str, Any]:
    return {
        "arms": [
            {"name": name, "release": release, "weight": weight}
            for name, (release, weight) in given.items()
        ]
    }


async def test_everything_asks_for_a_key_of_its_scope(server: AdminServer) -> None:
    asked = [
        ("GET", "/releases", Scope.OPERATE),
        ("GET", "/releases/student-1.0", Scope.OPERATE),
        ("POST", "/releases", Scope.OPERATE),
        ("DELETE", "/releases/student-1.0", Scope.OPERATE),
        ("GET", "/routes", Scope.OPERATE),
        ("GET", "/routes/default", Scope.OPERATE),
        ("PUT", "/routes/default", Scope.OPERATE),
        ("POST", "/routes/default/promote", Scope.OPERATE),
        ("POST", "/routes/default/rollback", Scope.OPERATE),
        ("GET", "/routes/default/history", Scope.OPERATE),
        ("GET", "/status", Scope.OPERATE),
        ("GET", "/audit", Scope.OPERATE),
        ("GET", "/period/traffic", Scope.OPERATE),
        ("GET", "/period/happened", Scope.OPERATE),
        ("GET", "/keys", Scope.ADMIN),
        ("POST", "/keys", Scope.ADMIN),
        ("PATCH", "/keys/abc", Scope.ADMIN),
        ("POST", "/keys/abc/rotate", Scope.ADMIN),
        ("DELETE", "/keys/abc", Scope.ADMIN),
    ]
    for method, path, needed in asked:
        async with client(server, None) as nobody:
            reply = await nobody.request(method, path)
            assert error(reply)[:2] == (401, "unauthenticated"), (method, path)
        below = Scope.DETECT if needed is Scope.OPERATE else Scope.OPERATE
        async with client(server, below) as weaker:
            reply = await weaker.request(method, path)
            assert error(reply)[:2] == (403, "permission_denied"), (method, path)


async def test_no_call_of_the_admin_api_goes_without_a_key(server: AdminServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        described = (await nobody.get("/openapi.json")).json()["paths"]
        calls = [(method, path) for path, methods in described.items() for method in methods]
        for method, path in calls:
            place = re.sub(r"{\w+}", "x", path)
            reply = await nobody.request(method, place)
            assert error(reply)[:2] == (401, "unauthenticated"), (method, path)

    assert len(calls) > 20


async def test_from_deploy_to_rollback(server: AdminServer) -> None:
    build = server.plane.build
    first = await asyncio.to_thread(build, "student", "1.0")
    await asyncio.to_thread(build, "student", "1.1")
    async with client(server) as operator:
        reply = await operator.post("/releases", json={"path": str(first)})
        assert reply.status_code == HTTPStatus.CREATED
        assert (reply.json()["release"], reply.json()["state"]) == ("student-1.0", "ready")
        reply = await operator.post(
            "/releases", json={"path": "student-1.1.mar", "workers": 1, "batch_size": 4}
        )
        assert (reply.json()["batch_size"], reply.json()["variant"]) == (4, "auto")
        assert (await operator.get("/releases/student-1.1")).json() == reply.json()
        await asyncio.to_thread(build, "student", "1.2")
        unknown = {"path": "student-1.2.mar", "variant": "onnxruntime-int4"}
        assert error(await operator.post("/releases", json=unknown))[:2] == (400, "invalid_field")

        wanted = arms(student=("student-1.0", 100)) | {"why": "first", "expected_revision": 0}
        reply = await operator.put("/routes/default", json=wanted)
        assert reply.json()["revision"] == 1
        assert reply.json()["who"] == "the operate key"
        assert error(await operator.put("/routes/default", json=wanted))[:2] == (
            409,
            "route_conflict",
        )
        both = arms(old=("student-1.0", 100), new=("student-1.1", 0)) | {"timeout_s": 2.5}
        both |= {
            "sticky": "header:x-site",
            "shadow": {"arm": "new", "rate": 0.5},
            "fallback": {"arm": "old", "budget": 0.2},
        }
        told = (await operator.put("/routes/default", json=both)).json()
        assert {name: told[name] for name in both if name != "arms"} == {
            name: value for name, value in both.items() if name != "arms"
        }
        reply = await operator.post("/routes/default/promote", json={"arm": "new", "why": "good"})
        assert [arm["weight"] for arm in reply.json()["arms"]] == [0, 100]
        assert reply.json()["timeout_s"] == 2.5
        reply = await operator.post("/routes/default/rollback", json={"why": "not good"})
        assert [arm["weight"] for arm in reply.json()["arms"]] == [100, 0]
        reply = await operator.post("/routes/default/rollback", json={"revision": 1})
        assert reply.json()["arms"] == wanted["arms"]

        history = (await operator.get("/routes/default/history", params={"limit": 4})).json()
        assert [one["revision"] for one in history] == [5, 4, 3, 2]
        assert history[1]["why"] == "rollback to revision 2: not good"
        assert (await operator.get("/routes/default")).json() == history[0]
        assert (await operator.get("/routes")).json() == history[:1]

        assert error(await operator.delete("/releases/student-1.0"))[:2] == (409, "release_busy")
        reply = await operator.delete("/releases/student-1.1", params={"why": "bad"})
        assert reply.status_code == HTTPStatus.ACCEPTED
        await server.plane.controller.drained()
        status = (await operator.get("/status")).json()
        assert {one["release"]: one["state"] for one in status["releases"]} == {
            "student-1.0": "live",
            "student-1.1": "retired",
        }
        assert [one["release"] for one in status["running"]] == ["student-1.0"]
        assert status["running"][0]["ready_workers"] == 1
        assert status["running"][0]["backend"] == "backend-0"
        assert status["backends"] == [{"name": "backend-0", "answers": True, "here": True}]
        assert status["leads"]
        assert status["revision"] == 5
        actions = [one["action"] for one in (await operator.get("/audit")).json()["entries"]]
        assert actions.count("route.set") == 5
        assert {"release.deploy", "release.retire", "release.retired"} <= set(actions)


async def test_bad_wishes_are_refused_with_their_field(server: AdminServer) -> None:
    path = await asyncio.to_thread(server.plane.build, "student", "1.0")
    (path.parent / (path.name + ".sig")).unlink()
    async with client(server) as operator:
        put, post = operator.put, operator.post
        off = arms(a=("student-1.0", 60), b=("student-1.0", 50))
        one = arms(a=("student-1.0", 100))
        twice = {"arms": arms(a=("s-1", 50))["arms"] * 2}
        assert [
            error(await put("/routes/default", json=off)),
            error(await put("/routes/default", json=twice)),
            error(await put("/routes/default", json=arms(a=("student", 100)))),
            error(await put("/routes/default", json=arms(a=("student-1.0", 100)))),
            error(await put("/routes/default", json={"arms": []})),
            error(await put("/routes/default", json=one | {"shadow": {"arm": "b", "rate": 1}})),
            error(await put("/routes/default", json=one | {"fallback": {"arm": "a", "budget": 2}})),
            error(await put("/routes/default", json=one | {"sticky": "header:X"})),
            error(await put("/routes/Default!", json=arms(a=("student-1.0", 100)))),
            error(await put("/routes/default", json=arms() | {"weights": 1})),
            error(await post("/routes/default/promote", json={"arm": "a"})),
            error(await post("/routes/default/rollback", json={})),
            error(await operator.get("/routes/default/history")),
            error(await operator.get("/releases/nobody-1.0")),
            error(await operator.delete("/releases/nobody")),
            error(await post("/releases", json={"path": "student-1.0.mar"})),
            error(await post("/releases", json={"path": "/etc/passwd"})),
            error(await post("/releases", json={"path": "x.mar", "workers": 0})),
        ] == [
            (400, "invalid_route", "arms.weight"),
            (400, "invalid_route", "arms.name"),
            (400, "invalid_route", "arms.a.release"),
            (400, "invalid_route", "arms.a.release"),
            (400, "invalid_route", "arms"),
            (400, "invalid_route", "shadow.arm"),
            (400, "invalid_route", "fallback.budget"),
            (400, "invalid_route", "sticky"),
            (400, "invalid_route", "name"),
            (400, "invalid_field", "weights"),
            (404, "unknown_route", "route"),
            (404, "unknown_route", "route"),
            (404, "unknown_route", "route"),
            (404, "release_not_found", ""),
            (404, "release_not_found", ""),
            (422, "archive_rejected", ""),
            (422, "archive_rejected", ""),
            (400, "invalid_field", "workers"),
        ]
        outside = await put("/routes/default", json=arms(a=("s-1", 150), b=("s-1", -50)))
        assert error(outside) == (400, "invalid_route", "arms.a.weight")
        said = outside.json()["error"]["message"]
        assert said == "arms.a.weight: 150 must be 0 to 100, in percent"
        odd = await put("/routes/default", json=arms(Teacher=("s-1", 100)))
        assert error(odd) == (400, "invalid_field", "arms.0.name")
        said = odd.json()["error"]["message"]
        assert said.startswith("arms.0.name: 'Teacher' must be 1 to 63 of a-z, 0-9,")
        few = await post("/releases", json={"path": "x.mar", "workers": 0})
        assert few.json()["error"]["message"].endswith("greater than or equal to 1, not 0")
    assert await server.plane.store.routes() == {}
    assert await server.plane.store.releases() == []


async def test_a_key_is_made_told_once_used_and_revoked(server: AdminServer) -> None:
    async with client(server, Scope.ADMIN) as admin:
        wish = {"name": "gate", "scope": "operate", "expires_in_days": 2}
        made = await admin.post("/keys", json=wish)
        assert made.status_code == HTTPStatus.CREATED
        text, key_id = made.json()["key"], made.json()["id"]
        listed = (await admin.get("/keys")).json()
        assert [one["name"] for one in listed][-1] == "gate"
        assert text not in str(listed)
        assert "hash" not in listed[0]

        headers = {"Authorization": f"Bearer {text}"}
        async with httpx.AsyncClient(base_url=f"{server.url}/admin/v1", headers=headers) as user:
            assert (await user.get("/routes")).is_success
            revoked = await admin.delete(f"/keys/{key_id}")
            assert revoked.json()["revoked"] is not None
            async with asyncio.timeout(2):
                while (await user.get("/routes")).is_success:  # noqa: ASYNC110 - as a user sees it
                    await asyncio.sleep(0.05)
        assert error(await admin.delete("/keys/nobody")) == (404, "unknown_key", "id")
    actions = [one.action for one in await server.plane.store.audit_log()]
    assert actions[:2] == ["key.revoke", "key.create"]
