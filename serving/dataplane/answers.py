"""A worker's reply as the wire's response."""

from collections.abc import Sequence
from dataclasses import dataclass

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.frames import Frame
from serving.errors import WorkerFailed
from serving.store.values import Release
from serving.torchserve.inference import WorkerReply


@dataclass(frozen=True)
class Spent:
    """Where the time went, in seconds; `upstream_s` is the whole call to the worker."""

    total_s: float
    queue_s: float
    upstream_s: float


@dataclass(frozen=True)
class Answerer:
    """Who answered.

    Attributes:
        arm: Its name.
        release: The arm's.
        backend: Where its worker ran.
        stood_in_for: The arm that was to answer, where this one did as its fallback; else "".
    """

    arm: str
    release: Release
    backend: str = ""
    stood_in_for: str = ""


def answer(
    reply: WorkerReply, frame: Frame, answerer: Answerer, spent: Spent
) -> wire.DetectResponse:
    """Return the response, all but its request id.

    Raises:
        WorkerFailed: The reply holds a class that the release's card does not.
    """
    release = answerer.release
    return wire.DetectResponse(
        detections=_detections(reply, release),
        image_size=wire.ImageSize(width=reply.width, height=reply.height),
        camera_id=frame.camera_id,
        frame_id=frame.frame_id,
        answered_by=wire.AnsweredBy(
            arm=answerer.arm,
            model=release.key.model,
            version=release.key.version,
            variant=reply.variant,
            stood_in_for=answerer.stood_in_for,
            backend=answerer.backend,
        ),
        timings=_timings(reply, spent),
    )


def _timings(reply: WorkerReply, spent: Spent) -> wire.Timings:
    spans_ms = {
        "total_ms": spent.total_s * 1000,
        "queue_ms": spent.queue_s * 1000,
        "upstream_ms": spent.upstream_s * 1000,
        "decode_ms": reply.decode_ms,
        "preprocess_ms": reply.preprocess_ms,
        "inference_ms": reply.inference_ms,
        "postprocess_ms": reply.postprocess_ms,
    }
    # No clock here tells more than microseconds.
    return wire.Timings(**{name: round(span, 3) for name, span in spans_ms.items()})


def _detections(reply: WorkerReply, release: Release) -> list[wire.Detection]:
    corners = iter(reply.boxes_xyxy_px)
    return [
        wire.Detection(
            box=wire.Box(x1=x1, y1=y1, x2=x2, y2=y2),
            class_id=class_id,
            label=_label(release.class_names, class_id, release),
            score=score,
        )
        for x1, y1, x2, y2, class_id, score in zip(
            corners, corners, corners, corners, reply.class_ids, reply.scores, strict=True
        )
    ]


def _label(names: Sequence[str], class_id: int, release: Release) -> str:
    if not 0 <= class_id < len(names):
        raise WorkerFailed(
            f"{release.key} answered class {class_id}, but its card names {len(names)} classes"
        )
    return names[class_id]
