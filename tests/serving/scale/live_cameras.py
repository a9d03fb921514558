"""Cameras as a program: each streams a picture until standard input ends, and tells every answer.

    python live_cameras.py ADDRESSES KEY PICTURE CAMERAS FRAMES_PER_S

A line of JSON an answer: {"camera", "frame", "ms", "error", "at_s"}; one without an answer has
none. The last line says how many frames each camera has sent.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from proto.wire.v1 import detection_pb2 as wire
from serving.client.grpc_client import AsyncDetectClient


async def main(addresses: str, key: str, image: bytes, cameras: int, frames_per_s: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().run_in_executor(None, lambda: (sys.stdin.read(), stop.set()))
    async with AsyncDetectClient(addresses, key) as client:
        sent = await asyncio.gather(
            *(_camera(client, f"c-{one}", image, 1 / frames_per_s, stop) for one in range(cameras))
        )
    _tell({"sent": dict(sent)})


async def _camera(
    client: AsyncDetectClient, name: str, image: bytes, period_s: float, stop: asyncio.Event
) -> tuple[str, int]:
    sent_at: list[float] = []

    async def frames() -> AsyncIterator[wire.DetectRequest]:
        while not stop.is_set():
            await asyncio.sleep(period_s)
            sent_at.append(time.monotonic())
            yield wire.DetectRequest(image=image, camera_id=name, frame_id=str(len(sent_at) - 1))

    async for answer in client.live(frames(), every_frame=True, patience_s=120):
        now = time.monotonic()
        told = {
            "camera": name,
            "frame": int(answer.frame_id),
            "ms": round(1000 * (now - sent_at[int(answer.frame_id)]), 1),
            "error": "dropped" if answer.dropped else answer.error.message,
            "at_s": now,
        }
        _tell(told)
    return name, len(sent_at)


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    where, key, picture, cameras, rate = sys.argv[1:]
    asyncio.run(main(where, key, Path(picture).read_bytes(), int(cameras), float(rate)))
