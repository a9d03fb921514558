"""The door, before a room that only says who is in."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from serving.console.door import COOKIE, SESSION, Door
from serving.console.sessions import Sessions
from serving.keys import Authenticator, mint
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
def door(store: Store) -> Door:
    return Door(opened, Authenticator(store), Sessions())


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
