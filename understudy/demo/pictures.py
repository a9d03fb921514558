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


async def write_side_by_side(
    stack: Stack, images: Sequence[Path], folder: Path, count: int
) -> tuple[Path, ...]:
    """Ask both arms about the images and draw the fullest ones.

    Args:
        stack: The running deployment; its key may force an arm.
        images: Image files.
        folder: Gets `side-by-side-N.png`.
        count: How many pictures.

    Returns:
        The pictures.
    """
    answers = []
    async with AsyncDetectClient(stack.addresses.grpc_address, stack.key) as client:
        for path in images:
            data = path.read_bytes()
            both = [
                await client.detect(wire.DetectRequest(image=data, camera_id="demo", arm=arm))
                for arm in ARMS
            ]
            answers.append((data, both))
    fullest = sorted(answers, key=lambda one: -len(one[1][0].detections))[:count]
    pictures = []
    for number, (data, both) in enumerate(fullest, start=1):
        path = folder / f"side-by-side-{number}.png"
        write_picture(_drawn(decode(data), both), path)
        pictures.append(path)
    return tuple(pictures)


def _drawn(image: Image, both: Sequence[wire.DetectResponse]) -> Image:
    teacher, student = map(detections, both)
    who = [f"{a.answered_by.model} {a.answered_by.version}" for a in both]
    said = [f"{len(a.detections)} objects, model {a.timings.inference_ms:.1f} ms" for a in both]
    return side_by_side(
        image,
        teacher,
        student,
        names(both),
        titles=(f"teacher: {who[0]}", f"student: {who[1]}"),
        subtitles=(said[0], said[1]),
    )
