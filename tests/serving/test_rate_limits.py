"""What a key may have answered, from the command that says so to the frame that is refused."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from deployment import REPOSITORY, Deployment

from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient, DetectClient
from serving.client.retries import RetryBudget
from serving.errors import RateLimited

pytestmark = pytest.mark.slow


def command(served: Deployment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    given = {
        "UNDERSTUDY_ADMIN_URL": served.addresses.admin_url,
        "UNDERSTUDY_KEY": served.key,
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "understudy", "key", *arguments],
        cwd=REPOSITORY,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=True,
    )


def limited(served: Deployment) -> float:
    lines = [
        one
        for one in served.metrics().splitlines()
        if one.startswith("understudy_rate_limited_frames_total") and 'limit="key"' in one
    ]
    return sum(float(one.rpartition(" ")[2]) for one in lines)


def test_a_key_with_a_limit_is_refused_until_the_limit_is_lifted(
    served: Deployment, image: bytes
) -> None:
    made = command(served, "create", "limited", "--frames-per-second", "0.01")
    key, key_id = made.stdout.strip(), made.stderr.split()[1].rstrip(",")
    before = limited(served)

    def asked() -> "tuple[int, str | None, str]":
        holder = replace(served, key=key)
        reply = holder.detect(image, camera_id="c-1")
        code = reply.json().get("error", {}).get("code", "")
        return reply.status_code, reply.headers.get("Retry-After"), code

    assert [asked() for _ in range(2)] == [(200, None, ""), (429, "100", "rate_limited")]
    assert limited(served) == before + 1

    assert "no limit" in command(served, "limit", key_id, "none").stdout
    served.until(lambda: asked()[0] == 200)
    actions = [one["action"] for one in served.admin("GET", "/audit")["entries"][:2]]
    assert actions == ["key.limit", "key.create"]


async def test_a_stream_answers_each_refused_frame_and_goes_on(
    served: Deployment, image: bytes
) -> None:
    body = {"name": "limited stream", "scope": "detect", "frames_per_second": 0.5}
    key = served.admin("POST", "/keys", body)["key"]

    async def frames() -> AsyncIterator[wire.DetectRequest]:
        for number in range(3):
            yield wire.DetectRequest(image=image, camera_id="c-2", frame_id=str(number))

    async with AsyncDetectClient(served.addresses.grpc_address, key) as client:
        answers = [one async for one in client.stream(frames(), every_frame=True)]

    assert [one.frame_id for one in answers] == ["0", "1", "2"]
    assert sorted(one.error.code for one in answers) == ["", "rate_limited", "rate_limited"]


def test_over_grpc_the_refusal_says_when_to_come_again(served: Deployment, image: bytes) -> None:
    body = {"name": "limited call", "scope": "detect", "frames_per_second": 0.01}
    key = served.admin("POST", "/keys", body)["key"]
    asked = wire.DetectRequest(image=image, camera_id="c-3", frame_id="1")

    with DetectClient(served.addresses.grpc_address, key, retries=RetryBudget(0)) as client:
        client.detect(asked)
        with pytest.raises(RateLimited, match=r"0\.01 frames a second") as refused:
            client.detect(asked, timeout_s=5)

    assert 90 < refused.value.retry_after_s <= 100
    cause = refused.value.__cause__
    assert isinstance(cause, grpc.Call)
    assert cause.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
