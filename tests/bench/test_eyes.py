import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.eyes import Scrapes, reduced


def a_round(read: tuple[float, float], unread: tuple[float, float]) -> dict[str, Any]:
    def turns(found: tuple[float, float]) -> list[dict[str, float]]:
        return [{"requests_per_s": one} for one in found]

    return {
        "turns": {"read": turns(read), "unread": turns(unread)},
        "scrape_s": [0.01, 0.02, 0.03],
        "series": 900,
    }


def test_each_round_is_held_against_itself() -> None:
    # The machine was half as fast in the second round: that is no cost of being read.
    found = reduced([a_round((99, 99), (100, 100)), a_round((49.5, 49.5), (50, 50))])

    assert found["throughput_ratio"] == pytest.approx(0.99)
    assert found["scrape_s"]["p50"] == 0.02
    assert found["readings"] == 6
    assert [goal["verdict"] for goal in found["goals"]] == ["met", "met"]


def test_a_goal_that_is_missed_says_so() -> None:
    slow = a_round((90, 90), (100, 100)) | {"scrape_s": [0.2]}

    assert [goal["verdict"] for goal in reduced([slow])["goals"]] == ["NOT MET", "NOT MET"]


async def test_readings_are_timed_and_their_series_counted() -> None:
    read = asyncio.Event()

    async def metrics(_: web.Request) -> web.Response:
        if scrapes.seconds:  # the first one has been read whole
            read.set()
        return web.Response(text="# TYPE up gauge\nup 1\ndown 0\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        scrapes = Scrapes(str(server.make_url("/metrics")))
        async with scrapes.going(), asyncio.timeout(10):
            await read.wait()

    assert scrapes.series == 2
    assert scrapes.seconds[0] > 0
