import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from stream_server import IMAGE_LIMIT, Answering, Keys

from serving.access.authenticator import Authenticator
from serving.api.http import create_http
from serving.api.image_budget import ImageBudget
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Gateway
from serving.errors import Overloaded
from serving.metrics.gateway.metrics import Metrics


def test_what_is_taken_is_given_back_when_the_block_ends() -> None:
    budget = ImageBudget(100)

    with budget.account() as one, budget.account() as other:
        one.take(60)
        one.take(20)
        one.give_back(60)
        other.take(80)
        with pytest.raises(Overloaded, match="100 bytes of 100"):
            other.take(1)
        held = budget.held_bytes

    assert held == 100
    assert budget.held_bytes == 0


async def test_a_body_that_does_not_fit_is_refused_before_it_is_read() -> None:
    budget, answering = ImageBudget(IMAGE_LIMIT), Answering("student")
    gateway = SimpleNamespace(detect=answering.detect, limits=FrameLimits(IMAGE_LIMIT))
    authenticator = Authenticator(Keys(), enabled=False)
    app = create_http(cast(Gateway, gateway), authenticator, Metrics(), lambda: None, budget=budget)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        holding = asyncio.create_task(
            client.post("/v1/detect", content=b"jpeg" * 100, params={"frame_id": "held-1"})
        )
        await answering.until_came("held-1")
        held = budget.held_bytes

        async def unsized() -> AsyncIterator[bytes]:
            yield b"never read"

        refused = await client.post("/v1/detect", content=unsized())
        announced = await client.post("/v1/detect", content=b"jpeg" * 100)
        answering.let()
        await holding

    assert held == 400
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert announced.status_code == 200
    assert budget.held_bytes == 0
