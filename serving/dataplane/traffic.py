"""Tells metrics and recorder how each frame ended."""

from serving.dataplane.frames import Frame
from serving.dataplane.parts import Part
from serving.dataplane.recorder import Recorder
from serving.dataplane.sender import Sent
from serving.error_info import code_of
from serving.metrics.arm_labels import ArmLabels
from serving.metrics.gateway.metrics import Metrics


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
        arm, reply = _labels(part), sent.returned.reply
        self._end(part, frame, "ok", total_s)
        self._metrics.count_reply(
            arm,
            variant=reply.variant,
            queue_s=sent.queue_s,
            upstream_s=sent.returned.upstream_s,
            batch=reply.batch,
            stages_ms={
                "decode": reply.decode_ms,
                "preprocess": reply.preprocess_ms,
                "inference": reply.inference_ms,
                "postprocess": reply.postprocess_ms,
            },
        )
        if frame.has_own_thresholds:
            return
        names = part.release.class_names
        self._metrics.detections.count(arm, names, reply.class_ids, reply.scores)

    def failed(self, part: Part, frame: Frame, error: BaseException, total_s: float) -> None:
        """Count an end without detections, `total_s` seconds after the frame was checked."""
        self._end(part, frame, code_of(error), total_s)

    def _end(self, part: Part, frame: Frame, code: str, total_s: float) -> None:
        self._metrics.count_request(_labels(part), code, total_s)
        self._recorder.answered(
            route=part.route.name,
            revision=part.revision,
            arm=part.arm.name,
            release=part.release.key,
            kind=part.kind,
            camera_id=frame.camera_id,
            code=code,
            latency_s=total_s if code == "ok" else None,
        )


def _labels(part: Part) -> ArmLabels:
    return ArmLabels.of(part.route.name, part.arm.name, part.release.key)
