"""Tells metrics and recorder how each frame ended."""

from serving.dataplane.frames import Frame
from serving.dataplane.parts import Part
from serving.dataplane.recorder import Recorder
from serving.dataplane.sender import Sent
from serving.metrics import Metrics, code_of


class Traffic:
    """One frame, one end at each arm that had to do with it.

    Args:
        metrics: Of the process.
        recorder: Writes windows to the store.
    """

    def __init__(self, metrics: Metrics, recorder: Recorder) -> None:
        self._metrics = metrics
        self._recorder = recorder

    def answered(self, part: Part, frame: Frame, sent: Sent, total_s: float) -> None:
        """Count an answer, `total_s` seconds after its frame was checked."""
        key, reply = part.release.key, sent.returned.reply
        self._end(part, frame, "ok", total_s)
        self._metrics.queue_seconds.labels(key.model, key.version).observe(sent.queue_s)
        self._metrics.count_variant(part.route.name, part.arm.name, key, reply.variant)
        self._metrics.show_reply(
            key,
            upstream_s=sent.returned.upstream_s,
            batch=reply.batch,
            stages_ms={
                "decode": reply.decode_ms,
                "preprocess": reply.preprocess_ms,
                "inference": reply.inference_ms,
                "postprocess": reply.postprocess_ms,
            },
        )

    def failed(self, part: Part, frame: Frame, error: BaseException, total_s: float) -> None:
        """Count an end without detections, `total_s` seconds after the frame was checked."""
        self._end(part, frame, code_of(error), total_s)

    def _end(self, part: Part, frame: Frame, code: str, total_s: float) -> None:
        key = part.release.key
        self._metrics.count_request(part.route.name, part.arm.name, key, code, total_s)
        self._recorder.answered(
            route=part.route.name,
            revision=part.revision,
            arm=part.arm.name,
            release=key,
            kind=part.kind,
            camera_id=frame.camera_id,
            code=code,
            latency_s=total_s if code == "ok" else None,
        )
