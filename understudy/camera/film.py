"""The video of what a camera was told."""

from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from distill_jobs.release.pictures import draw, title_bar
from proto.wire.v1 import detection_pb2 as wire
from understudy.camera.source import SourceInvalid
from understudy.detections import detections, names


class Film:
    """Writes frames with boxes to a video; a context manager, whole or not at all.

    Args:
        path: Replaced when the block ends well; `.mp4`.
        fps: Frames a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._half_written = path.with_name(f".half-{path.name}")
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if error is None and self._writer is not None:
            self._half_written.replace(self._path)
        else:
            self._half_written.unlink(missing_ok=True)

    def add(self, picture: npt.NDArray[np.uint8], answer: wire.DetectResponse) -> None:
        """Draw an answer on its frame and append it.

        Args:
            picture: uint8 [H, W, 3], BGR.
            answer: What came back for it.

        Raises:
            SourceInvalid: OpenCV cannot write such a video.
        """
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        panel = draw(np.asarray(rgb, np.uint8), detections(answer), names([answer]))
        if answer.HasField("error"):
            head, figures = "no answer", answer.error.code
        elif answer.dropped:
            head, figures = "no answer", "overtaken by a newer frame"
        else:
            head = f"{answer.answered_by.arm}: {answer.answered_by.model}"
            figures = f"{len(answer.detections)} objects, {answer.timings.total_ms:.0f} ms"
        frame = cv2.cvtColor(np.vstack([title_bar(head, figures), panel]), cv2.COLOR_RGB2BGR)
        self._open(frame.shape[1], frame.shape[0]).write(cv2.resize(frame, self._size))

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        if self._writer is None:
            self._size = (width // 2 * 2, height // 2 * 2)  # the codec wants even sides
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(self._half_written), codec, self._fps, self._size)
            if not writer.isOpened():
                raise SourceInvalid(f"--output: OpenCV cannot write {self._path}; name it .mp4")
            self._writer = writer
        return self._writer
