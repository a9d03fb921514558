"""Pictures of the fixed frames: what both models find in the same images, the latest kept."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from distill_jobs.release.pictures import Image, draw, side_by_side, title_bar, write_picture
from distill_jobs.training.listening import EpochSeen, FrameSeen
from handlers.frames import Detections

_LOWEST_DRAWN = 0.25


class PictureFolder:
    """Keeps the latest picture of each fixed frame for the report: an `EpochListener`.

    Args:
        folder: Gets `0.jpg`, `1.jpg`...; of two trainings of one model the later one's stay.
        class_names: Index = class id.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        self._folder = folder
        self._class_names = class_names

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Draw the frames at the last epoch.

        Raises:
            OSError: A picture cannot be written.
        """
        if seen.last:
            for place, frame in enumerate(seen.fixed_frames()):
                write_picture(picture_of(frame, self._class_names), self._folder / f"{place}.jpg")


def picture_of(frame: FrameSeen, class_names: tuple[str, ...]) -> Image:
    """Draw a fixed frame: the teacher's detections and the student's, or one model's alone.

    Args:
        frame: The image and what was found in it.
        class_names: Index = class id.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    student = _sure(frame.student)
    if frame.teacher is not None:
        return side_by_side(frame.image, _sure(frame.teacher), student, class_names)
    bar = title_bar(frame.name, f"{len(student.scores)} detections")
    drawn: Image = np.vstack([bar, draw(frame.image, student, class_names)])
    return drawn


def jpeg(picture: Image) -> bytes:
    """Encode a picture, uint8 [H, W, 3], RGB."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return encoded.tobytes()


def _sure(found: Detections) -> Detections:
    """Leave out what no operating threshold would let through."""
    kept = found.scores >= _LOWEST_DRAWN
    return replace(
        found,
        boxes_xyxy_px=found.boxes_xyxy_px[kept],
        scores=found.scores[kept],
        class_ids=found.class_ids[kept],
    )
