"""A folder of pictures replayed through real gRPC servers that drop, end and refuse."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from rich.console import Console

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.errors import BackendUnavailable
from understudy.camera.replay import Replay, replay


class Ending(detection_pb2_grpc.DetectionServiceServicer):
    """Answers the first frame, drops the second, refuses the third, and ends; then answers all."""

    def __init__(self) -> None:
        self.streams = 0

    async def DetectStream(self, requests: AsyncIterator[wire.DetectRequest], context: Any) -> None:  # noqa: N802 - the wire's name
        self.streams += 1
        answers = [
            wire.DetectResponse(answered_by=wire.AnsweredBy(arm="student", model="tiny")),
            wire.DetectResponse(dropped=True),
            wire.DetectResponse(error=wire.Error(code="overloaded", message="too much")),
        ]
        number = 0
        async for request in requests:
            answer = answers[number] if self.streams == 1 else answers[0]
            answer.frame_id = request.frame_id
            await context.write(answer)
            number += 1
            if self.streams == 1 and number == len(answers):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this gateway stops")


@asynccontextmanager
async def serving(service: Ending) -> AsyncIterator[str]:
    server = grpc.aio.server()
    detection_pb2_grpc.add_DetectionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0.1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 96, 3), number * 20, np.uint8))
    return folder


def wanted(source: Path, address: str) -> Replay:
    return Replay(
        source=source,
        fps=20.0,
        address=address,
        key=None,
        camera_id="gate-7",
        frames=None,
        output=source.parent / "film.mp4",
        min_score=None,
    )


async def test_a_replay_connects_again_and_tells_what_was_dropped_and_what_failed(
    pictures: Path,
) -> None:
    service, said = Ending(), io.StringIO()
    console = Console(file=said, width=80)
    async with serving(service) as address:
        seen = await replay(wanted(pictures, f"127.0.0.1:1,{address}"), console)
    seen.tell(console, pictures.parent / "film.mp4")

    assert len(seen.latencies_s) + seen.dropped + seen.errors.total() == 8
    assert (seen.dropped >= 1, seen.errors["too much"], seen.failed) == (True, 1, 1)
    assert service.streams == 2
    assert "this gateway stops" in " ".join(seen.reconnects)
    told = " ".join(said.getvalue().split())
    assert "overtaken by newer ones" in told
    assert "reconnected" in told
    assert (pictures.parent / "film.mp4").stat().st_size > 0


async def test_nobody_at_any_address_is_told(pictures: Path) -> None:
    with pytest.raises(BackendUnavailable):
        await replay(wanted(pictures, "127.0.0.1:1,127.0.0.1:2"), Console(file=io.StringIO()))
