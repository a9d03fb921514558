"""What the log says of frames: which failed or were slow, and a share of all where that is wanted.

Failures have a quota: in an outage every frame fails, and the log must not be what the processors
are busy with.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.recorder import CAMERAS_OWN
from serving.metrics import code_of

_log = structlog.get_logger(__name__)

_LINES_PER_S = 10


class FrameLog:
    """Says how frames ended; which frame, the log adds by itself.

    Args:
        slow_s: An answer that took longer gets a line, in seconds; 0: none does.
        answers_share: Share of the other answers that get a line, 0 to 1.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        slow_s: float = 1.0,
        answers_share: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slow_s = slow_s
        self._share = answers_share
        self._draw = np.random.default_rng()
        self._clock = clock
        self._second = clock()
        self._said = 0
        self._left_out = 0

    def answered(self, response: wire.DetectResponse, total_s: float) -> None:
        """Take note of an answer that took `total_s` seconds."""
        if 0 < self._slow_s < total_s:
            self._warn("frame_slow", **_told(response))
        elif self._share and self._draw.random() < self._share:
            _log.info("frame_answered", **_told(response))

    def failed(self, error: BaseException, total_s: float) -> None:
        """Take note of a frame that ended without an answer after `total_s` seconds."""
        code, total_ms = code_of(error), round(total_s * 1000, 3)
        if code in CAMERAS_OWN:
            _log.debug("frame_refused", code=code, total_ms=total_ms, why=str(error))
        else:
            self._warn("frame_failed", code=code, total_ms=total_ms, why=str(error))

    def _warn(self, event: str, **fields: Any) -> None:
        now = self._clock()
        if now - self._second >= 1:
            self._second, self._said = now, 0
        if self._said >= _LINES_PER_S:
            self._left_out += 1
            return
        self._said += 1
        if self._left_out:
            fields["left_out"] = self._left_out
            self._left_out = 0
        _log.warning(event, **fields)


def _told(response: wire.DetectResponse) -> dict[str, Any]:
    by, spent = response.answered_by, response.timings
    said: dict[str, Any] = {
        "arm": by.arm,
        "model": by.model,
        "version": by.version,
        "variant": by.variant,
        "backend": by.backend,
        "detections": len(response.detections),
        "total_ms": round(spent.total_ms, 3),
        "queue_ms": round(spent.queue_ms, 3),
        "inference_ms": round(spent.inference_ms, 3),
    }
    return said | ({"stood_in_for": by.stood_in_for} if by.stood_in_for else {})
