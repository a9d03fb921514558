"""The archive in a real TorchServe, over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from live_torchserve import Live, live_torchserve
from tiny_detectors import picture

pytestmark = pytest.mark.slow  # starts a real TorchServe

BATCH = 8
RED = picture(red=(8, 8, 16, 16))
# Half of a cell is blue: a score of 0.5, under the card's threshold for blue.
FAINT = picture(red=(8, 8, 16, 16), blue=(32, 0, 36, 8))


@pytest.fixture(scope="module")
def server(decoy_python: Path, archive: Path, clean_environment: dict[str, str]) -> Iterator[Live]:
    """TorchServe with the archive registered, its workers beside an installed decoy."""
    with live_torchserve(decoy_python, archive.parent, clean_environment) as live:
        # A batch is formed of whatever arrives in max_batch_delay, or sooner if it is full.
        query = f"url=cells.mar&initial_workers=1&synchronous=true&batch_size={BATCH}"
        status, reply = call(f"{live.management_url}/models?{query}&max_batch_delay=5000", b"")
        assert status == 200, reply
        yield live


def call(url: str, body: bytes, options: dict[str, str] | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/octet-stream"} | (options or {})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own loopback server
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - likewise
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def predict_together(
    server: Live, frames: list[tuple[bytes, dict[str, str]]]
) -> list[tuple[int, Any]]:
    """Send frames, each with its headers, all at once: TorchServe makes one batch of them."""
    url = f"{server.inference_url}/predictions/cells/1.0"
    with ThreadPoolExecutor(len(frames)) as pool:
        return list(pool.map(lambda frame: call(url, *frame), frames))


def test_one_bad_image_gets_its_own_400_and_its_mates_their_detections(server: Live) -> None:
    frames = [(RED, {})] * BATCH
    frames[3] = (RED[:-20], {})

    answers = predict_together(server, frames)

    assert [status for status, _ in answers] == [200, 200, 200, 400, 200, 200, 200, 200]
    error = answers[3][1]["error"]
    assert (error["code"], error["field"]) == ("truncated_image", "image")
    for place in (0, 1, 2, 4, 5, 6, 7):
        reply = answers[place][1]
        assert reply["batch"] == BATCH  # they did share the bad one's batch
        assert (reply["boxes"], reply["scores"], reply["classes"]) == ([8, 8, 16, 16], [1], [0])


def test_each_request_of_a_batch_has_its_own_options_and_faults(server: Live) -> None:
    frames = [
        (RED, {"X-Min-Score": "abc"}),
        (RED, {"X-Min-Score": "2"}),
        (RED, {"X-Max-Detections": "0"}),
        (b"no image", {}),
        (b"", {}),
        (FAINT, {"X-Min-Score": "0.4"}),
        (FAINT, {"X-Min-Score": "0.4", "X-Max-Detections": "1"}),
        (FAINT, {}),
    ]

    answers = predict_together(server, frames)

    assert [status for status, _ in answers] == [400, 400, 400, 400, 400, 200, 200, 200]
    fields = [reply["error"]["field"] for _, reply in answers[:5]]
    codes = [reply["error"]["code"] for _, reply in answers[:5]]
    assert fields == ["min_score", "min_score", "max_detections", "image", "image"]
    assert codes == ["invalid_field"] * 3 + ["not_an_image", "empty_body"]
    assert [reply["classes"] for _, reply in answers[5:]] == [[0, 2], [0], [0]]
