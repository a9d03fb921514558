from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI

from serving.api.body_limit import BodyLimit
from serving.api.http_errors import answer_errors


async def test_a_body_is_refused_before_all_of_it_has_come() -> None:
    app = FastAPI()
    answer_errors(app)
    app.add_middleware(BodyLimit, limit_bytes=1000)
    sent = 0

    @app.put("/cameras")
    async def put(wanted: list[str]) -> int:
        return len(wanted)

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10**6:
            sent += 100
            yield b" " * 100

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        small = await http.put("/cameras", json=["yard"])
        large = await http.put("/cameras", content=endless())

    assert (small.status_code, small.json()) == (200, 1)
    assert large.status_code == 413
    assert large.json()["error"]["code"] == "request_entity_too_large"
    assert "1000 bytes" in large.json()["error"]["message"]
    assert sent < 2000
