"""What the log says of frames: which failed or were slow, and a share of all where that is wanted.

Failures have a quota: in an outage every frame fails, and the log must not be what the processors
are busy with. Slow answers have their own, so that they hide no failure.
"""

from typing import Any

import numpy as np
import structlog

from proto.wire.v1 import detection_pb2 as wire
from serving.error_info import CAMERAS_OWN, code_of
from serving.logs.quota import LineQuota

_log = structlog.get_logger(__name__)


class FrameLog:
    """Says how frames ended; which frame, the log adds by itself.

    Args:
        slow_s: An answer that took longer gets a line, in seconds; 0: none does.
        answers_share: Share of the other answers that get a line, 0 to 1.
        slow: Of the lines on slow answers.
        failed: Of those on failures.
    """

    def __init__(
        self,
        *,
        slow_s: float = 1.0,
        answers_share: float = 0.0,
        slow: LineQuota | None = None,
        failed: LineQuota | None = None,
    ) -> None:
        self._slow_s = slow_s
        self._share = answers_share
        self._draw = np.random.default_rng()
        self._slow_quota = slow or LineQuota("frame_slow")
        self._failed_quota = failed or LineQuota("frame_failed")

    def answered(self, response: wire.DetectResponse, total_s: float) -> None:
        """Take note of an answer that took `total_s` seconds."""
        if 0 < self._slow_s < total_s:
            if self._slow_quota.allows():
                _log.warning("frame_slow", **_told(response))
        elif self._share and self._draw.random() < self._share:
            _log.info("frame_answered", **_told(response))

    def failed(self, error: BaseException, total_s: float) -> None:
        """Take note of a frame that ended without an answer after `total_s` seconds."""
        code, total_ms = code_of(error), round(total_s * 1000, 3)
        if code in CAMERAS_OWN:
            _log.debug("frame_refused", code=code, total_ms=total_ms, why=str(error))
        elif self._failed_quota.allows():
            _log.warning("frame_failed", code=code, total_ms=total_ms, why=str(error))


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
