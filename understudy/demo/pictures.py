"""Pictures for people: what both arms answered, side by side, and what a camera was told."""

from collections.abc import Sequence
from pathlib import Path

from distill_jobs.release.pictures import Image, side_by_side, write_picture
from handlers.images import decode
from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient
from understudy.demo.cast import ARMS
from understudy.demo.stack import Stack
from understudy.detections import detections, names

# Enough to look at, not so many that their names cover each other.
OBJECTS = range(3, 6)


async def write_side_by_side(
    stack: Stack, images: Sequence[Path], folder: Path, count: int
) -> tuple[Path, ...]:
    """Ask both arms about the images and draw the first that show something.

    Args:
        stack: The running deployment; its key may force an arm.
        images: Image files, asked about in this order.
        folder: Gets `side-by-side-N.png`.
        count: How many pictures, each of an image on which the teacher sees `OBJECTS`.

    Returns:
        The pictures.
    """
    pictures: list[Path] = []
    async with AsyncDetectClient(stack.addresses.grpc_address, stack.key) as client:
        for path in images:
            data = path.read_bytes()
            both = [
                await client.detect(wire.DetectRequest(image=data, camera_id="demo", arm=arm))
                for arm in ARMS
            ]
            if len(both[0].detections) not in OBJECTS:
                continue
            pictures.append(folder / f"side-by-side-{len(pictures) + 1}.png")
            write_picture(_drawn(decode(data), both), pictures[-1])
            if len(pictures) == count:
                break
    return tuple(pictures)


def _drawn(image: Image, both: Sequence[wire.DetectResponse]) -> Image:
    teacher, student = map(detections, both)
    who = [f"{a.answered_by.model} {a.answered_by.version}" for a in both]
    return side_by_side(
        image,
        teacher,
        student,
        names(both),
        titles=(f"teacher: {who[0]}", f"student: {who[1]}"),
    )
