import json
from datetime import UTC, datetime

from serving.api.json_answers import to_json
from serving.dataplane.answers import Answerer, Spent, answer
from serving.dataplane.frames import Frame
from serving.store.values import Release, ReleaseKey, ReleaseState
from serving.torchserve.inference import WorkerReply

KEY = ReleaseKey(model="student", version="1.0")
RELEASE = Release(
    key=KEY,
    sha256="0" * 64,
    role="student",
    class_names=("car",),
    operating_thresholds=(0.25,),
    quality_measured=True,
    state=ReleaseState.LIVE,
    created=datetime(2026, 1, 1, tzinfo=UTC),
    updated=datetime(2026, 1, 1, tzinfo=UTC),
)
REPLY = WorkerReply(
    640, 480, (), (), (), "onnxruntime-fp32", 1.23456789, 0.00049, 37.0150001, 0.1 + 0.2, 1
)


def test_timings_are_told_to_the_microsecond() -> None:
    spent = Spent(total_s=1.234567891, queue_s=0.0000131790005, upstream_s=0.0387654321)
    frame = Frame(b"x", "gate-7", "f", min_score=None, max_detections=None, route="", arm="")

    said = json.loads(to_json(answer(REPLY, frame, Answerer("student", RELEASE), spent)))

    assert said["timings"] == {
        "totalMs": 1234.568,
        "queueMs": 0.013,
        "upstreamMs": 38.765,
        "decodeMs": 1.235,
        "preprocessMs": 0.0,
        "inferenceMs": 37.015,
        "postprocessMs": 0.3,
    }
