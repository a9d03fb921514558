"""The frames of a video that a slower camera would have seen."""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt


def frames_of(video: cv2.VideoCapture, fps: float) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Take frames at a rate; the video is released at the end.

    Args:
        video: Opened, at its beginning.
        fps: Frames of a second; all there are where the video has fewer, or does not say.

    Yields:
        A frame's number in the video, from 0, and its picture: uint8 [H, W, 3], BGR.
    """
    try:
        step = max(1.0, (video.get(cv2.CAP_PROP_FPS) or fps) / fps)
        number, wanted = 0, 0.0
        while True:
            there, picture = video.read()
            if not there:
                return
            if number >= wanted:
                wanted += step
                yield number, np.asarray(picture, np.uint8)
            number += 1
    finally:
        video.release()
