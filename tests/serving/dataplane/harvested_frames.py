"""Frames on which two arms disagree, for tests that need no worker."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from serving.dataplane.agreement import compare
from serving.dataplane.harvest_frame import ArmAnswer, Disagreement
from serving.store.values import Release, ReleaseKey, ReleaseState
from serving.torchserve.inference import WorkerReply

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT = 60, 40
CLASSES = ("cell", "plate")

Found = Sequence[tuple[tuple[float, float, float, float], int, float]]


def picture(suffix: str = ".jpg") -> bytes:
    """Return an encoded image of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def release(role: str, class_names: Sequence[str] = CLASSES) -> Release:
    """Return a release of a role, named by it."""
    return Release.model_validate(
        {
            "key": ReleaseKey(model=role, version="1.0"),
            "sha256": "0" * 64,
            "role": role,
            "class_names": tuple(class_names),
            "operating_thresholds": (0.25,) * len(class_names),
            "quality_measured": True,
            "state": ReleaseState.READY,
            "created": START,
            "updated": START,
        }
    )


def reply(found: Found) -> WorkerReply:
    """Return a worker's reply."""
    return WorkerReply(
        width=WIDTH,
        height=HEIGHT,
        boxes_xyxy_px=tuple(side for corners, _, _ in found for side in corners),
        scores=tuple(score for _, _, score in found),
        class_ids=tuple(class_id for _, class_id, _ in found),
        variant="onnxruntime-fp32",
        decode_ms=1,
        preprocess_ms=1,
        inference_ms=1,
        postprocess_ms=1,
        batch=1,
    )


TEACHERS: Found = (((6, 4, 18, 12), 0, 0.9), ((30, 10, 60, 40), 1, 0.8))


def disagreement(
    *,
    image: bytes | None = None,
    camera_id: str = "gate-7",
    after_s: float = 0.0,
    teacher: Found = TEACHERS,
    student: Found = (),
    heard: str = "teacher",
    roles: tuple[str, str] = ("teacher", "student"),
    route: str = "default",
) -> Disagreement:
    """Return a frame that the arms called "teacher" and "student" answered.

    Args:
        image: Encoded; None: a JPEG.
        camera_id: As the camera says.
        after_s: Seconds after `START`.
        teacher: What the first arm found.
        student: What the second found.
        heard: Which of the two answered the camera.
        roles: Of the two arms' releases.
        route: Its name.
    """
    arms = {
        "teacher": ArmAnswer("teacher", release(roles[0]), reply(teacher)),
        "student": ArmAnswer("student", release(roles[1]), reply(student)),
    }
    primary, shadow = arms[heard], arms["student" if heard == "teacher" else "teacher"]
    return Disagreement(
        image=picture() if image is None else image,
        camera_id=camera_id,
        frame_id="frame-1",
        at=START + timedelta(seconds=after_s),
        route=route,
        revision=7,
        primary=primary,
        shadow=shadow,
        agreement=compare(primary.reply, shadow.reply),
    )
