"""The door, before a room that only says who is in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.console.door import COOKIE, SESSION, Door
from serving.console.sessions import Session, Sessions
from serving.store import values
from serving.store.store import Store

HOST = "console.example:8081"
HERE, ELSEWHERE = f"https://{HOST}", "https://evil.example"


async def room(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope[SESSION].key.name.encode()})


async def opened() -> Any:
    return room


@pytest_asyncio.fixture
async def key(store: Store) -> str:
    made, text = mint("somebody", values.Scope.DETECT)
    await store.add_key(made)
    return text


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def door(store: Store, sessions: Sessions) -> Door:
    return Door(opened, Authenticator(store), sessions)


@pytest_asyncio.fixture
async def browser(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(door, root_path="/console")
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        yield client


async def signed_in(browser: httpx.AsyncClient, key: str, origin: str = HERE) -> httpx.Response:
    return await browser.post("/console/sign-in", data={"key": key}, headers={"Origin": origin})


async def shaken(door: Door, cookie: str, origin: str | None) -> str:
    """What a WebSocket's handshake is answered with."""
    said: list[str] = []
    headers = [(b"host", HOST.encode()), (b"cookie", f"{COOKIE}={cookie}".encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message["type"])

    scope = {"type": "websocket", "path": "/console/x", "root_path": "/console"}
    await door(scope | {"headers": headers, "scheme": "wss"}, receive, send)
    return said[0]


async def test_who_is_not_in_is_sent_to_the_sign_in(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/console/releases")
    part = await browser.get("/console/_nicegui/x.js")

    assert (page.status_code, page.headers["location"]) == (303, "/console/sign-in")
    assert part.status_code == 401


async def test_a_key_opens_the_door_and_leaves_no_trace_in_the_cookie(
    browser: httpx.AsyncClient, key: str
) -> None:
    answer = await signed_in(browser, key)

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure"))
    assert "Path=/console" in cookie
    assert key not in cookie
    assert (await browser.get("/console/")).text == "somebody"


@pytest.mark.parametrize("text", ["", "nonsense", "us_0_nonsense", "x" * 5000])
async def test_what_is_no_key_is_refused_in_words(browser: httpx.AsyncClient, text: str) -> None:
    answer = await signed_in(browser, text)

    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_page_of_another_site_can_neither_sign_in_nor_act(
    browser: httpx.AsyncClient, door: Door, key: str
) -> None:
    assert (await signed_in(browser, key, ELSEWHERE)).status_code == 403
    await signed_in(browser, key)
    cookie = browser.cookies[COOKIE]

    acted = await browser.post("/console/_nicegui/upload", headers={"Origin": ELSEWHERE})
    unsaid = await browser.post("/console/_nicegui/upload")

    assert (acted.status_code, unsaid.status_code) == (403, 403)
    assert await shaken(door, cookie, ELSEWHERE) == "websocket.close"
    assert await shaken(door, cookie, None) == "websocket.close"
    assert await shaken(door, cookie, HERE) == "websocket.accept"
    assert await shaken(door, "guessed", HERE) == "websocket.close"


async def test_who_signs_out_is_out(browser: httpx.AsyncClient, door: Door, key: str) -> None:
    await signed_in(browser, key)
    cookie = browser.cookies[COOKIE]

    answer = await browser.post("/console/sign-out", headers={"Origin": HERE})

    assert answer.headers["location"] == "/console/sign-in?said=out"
    assert await shaken(door, cookie, HERE) == "websocket.close"


async def test_a_socket_ends_with_its_session(
    browser: httpx.AsyncClient, sessions: Sessions, store: Store, key: str
) -> None:
    await signed_in(browser, key)
    cookie = browser.cookies[COOKIE]
    inside, said = asyncio.Event(), []

    async def waiting_room() -> Any:
        async def wait(scope: Scope, receive: Receive, send: Send) -> None:
            inside.set()
            said.append((await receive())["type"])
            # What it would still like to tell stays here.
            await send({"type": "websocket.send", "text": "gate-1"})

        return wait

    async def send(message: Any) -> None:
        said.append(message["type"])

    async def receive() -> Any:
        await asyncio.Event().wait()

    headers = [
        (b"host", HOST.encode()),
        (b"cookie", f"{COOKIE}={cookie}".encode()),
        (b"origin", HERE.encode()),
    ]
    scope = {"type": "websocket", "path": "/console/x", "root_path": "/console"}
    door = Door(waiting_room, Authenticator(store), sessions)
    visit = asyncio.create_task(door(scope | {"headers": headers, "scheme": "wss"}, receive, send))
    await inside.wait()

    sessions.end(cookie)

    await visit
    assert said == ["websocket.disconnect", "websocket.close"]


async def test_a_page_may_ask_whether_its_session_is_good(
    browser: httpx.AsyncClient, sessions: Sessions, key: str
) -> None:
    unknown = await browser.get("/console/session")
    await signed_in(browser, key)
    good = await browser.get("/console/session")
    sessions.end(browser.cookies[COOKIE])
    over = await browser.get("/console/session")
    page = await browser.get("/console/releases")

    assert (unknown.status_code, good.status_code, over.status_code) == (401, 204, 401)
    assert page.headers["location"] == "/console/sign-in?said=ended"


async def test_who_signs_in_anew_is_no_longer_who_it_was(
    browser: httpx.AsyncClient, sessions: Sessions, key: str
) -> None:
    await signed_in(browser, key)
    before = sessions.find(browser.cookies[COOKIE])
    assert isinstance(before, Session)

    await signed_in(browser, key)

    assert before.is_over
    assert sessions.find(browser.cookies[COOKIE]) is not None


async def test_behind_a_proxy_that_ends_tls_the_cookie_is_secure_too(door: Door, key: str) -> None:
    transport = httpx.ASGITransport(door, root_path="/console")
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        proxied = await signed_in(client, key, origin=HERE)
        plain = await signed_in(client, key, origin=f"http://{HOST}")

    assert "Secure" in proxied.headers["set-cookie"]
    assert "Secure" not in plain.headers["set-cookie"]


async def test_what_is_wrong_with_a_key_keeps_its_capitals(
    browser: httpx.AsyncClient, store: Store
) -> None:
    made, text = mint("Gate A", values.Scope.DETECT)
    await store.add_key(made)
    await store.revoke_key(made.id)

    answer = await signed_in(browser, text)

    assert "The API key &#39;Gate A&#39; was revoked at 20" in answer.text


async def test_a_browser_is_told_to_fetch_nothing_from_elsewhere(
    browser: httpx.AsyncClient,
) -> None:
    policy = (await browser.get("/console/sign-in")).headers["content-security-policy"]

    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy


async def test_where_nobody_needs_a_key_all_share_one_session(store: Store) -> None:
    seen: list[Any] = []

    async def rooms() -> Any:
        async def seeing(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope[SESSION])
            await room(scope, receive, send)

        return seeing

    door = Door(rooms, Authenticator(store, enabled=False), Sessions())
    transport = httpx.ASGITransport(door, root_path="/console")
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        assert (await client.get("/console/")).text == "anonymous"
        await client.get("/console/compare")
    # A picture that one request keeps is there for the next.
    assert seen[0] is seen[1]


async def test_everybody_gets_the_source(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console/source.zip")

    assert answer.headers["content-type"] == "application/zip"
    assert answer.content.startswith(b"PK")
