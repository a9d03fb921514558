import json
import struct

import pytest

from bench.serve.answers import (
    OTHER_PATH,
    SAME_PATH,
    Answer,
    Mismatch,
    Tolerance,
    hold_together,
    read,
)
from serving.boxes import Boxes

BOXES = [10.0, 20.0, 110.0, 220.0, 300.0, 40.0, 380.0, 90.0]
SCORES, CLASSES = [0.9, 0.6], [5, 0]
THRESHOLD = 0.25


def answer(boxes: list[float], classes: list[int], scores: list[float]) -> Answer:
    return Answer(Boxes.of(boxes, classes, scores))


def hold(one: Answer, other: Answer, tolerance: Tolerance = SAME_PATH) -> float:
    return hold_together("server", [one], [other], tolerance, THRESHOLD)


def test_every_server_s_reply_reads_as_the_same_answer() -> None:
    nested = [BOXES[:4], BOXES[4:]]
    plain = {"width": 640, "height": 480, "boxes": nested, "scores": SCORES, "classes": CLASSES}
    text = json.dumps(plain).encode()
    head = json.dumps({"outputs": [{"name": "DETECTIONS", "shape": [1, 1]}]}).encode()
    corners = ("x1", "y1", "x2", "y2")
    ours = {
        "detections": [
            {"box": dict(zip(corners, box, strict=True)), "classId": class_id, "score": score}
            for box, class_id, score in zip(nested, CLASSES, SCORES, strict=True)
        ],
        "answeredBy": {"variant": "onnxruntime-int8", "arm": "student"},
        "timings": {"queueMs": 1.5},
    }
    replies = {
        "litserve": text,
        "ray": text,
        "bentoml": json.dumps([plain]).encode(),
        "triton": head + struct.pack("<I", len(text)) + text,
        "torchserve": json.dumps(
            {**plain, "boxes": BOXES, "variant": "v", "ms": {"decode": 2.5}}
        ).encode(),
        "ours": json.dumps(ours).encode(),
    }

    for server, reply in replies.items():
        found = read(server, reply)
        assert hold(found, answer(BOXES, CLASSES, SCORES)) == 1.0, server
    assert read("ours", replies["ours"]).who == "onnxruntime-int8 student"
    assert read("ours", replies["ours"]).stages_ms == {"queue": 1.5}
    assert read("torchserve", replies["torchserve"]).stages_ms == {"decode": 2.5}


def test_an_error_document_is_no_answer() -> None:
    for server in ("ours", "torchserve", "bentoml", "litserve", "triton"):
        with pytest.raises(ValueError, match="not an answer"):
            read(server, b'{"error": "no"}')


def test_a_moved_box_is_refused_with_the_image_named() -> None:
    moved = [one + 9 for one in BOXES]

    with pytest.raises(Mismatch, match=r"server: 0 of 4 boxes .* worst: image 0, 2 boxes"):
        hold(answer(moved, CLASSES, SCORES), answer(BOXES, CLASSES, SCORES))


def test_another_class_a_missing_and_an_additional_box_are_refused() -> None:
    right = answer(BOXES, CLASSES, SCORES)
    others = (
        answer(BOXES, [5, 1], SCORES),
        answer(BOXES[:4], CLASSES[:1], SCORES[:1]),
        answer([*BOXES, 400.0, 5.0, 430.0, 50.0], [*CLASSES, 2], [*SCORES, 0.4]),
    )

    for other in others:
        with pytest.raises(Mismatch):
            hold(other, right)


def test_a_box_at_the_threshold_may_lack_a_partner() -> None:
    right = answer(BOXES, CLASSES, SCORES)
    barely = answer([*BOXES, 400.0, 5.0, 430.0, 50.0], [*CLASSES, 2], [*SCORES, 0.26])

    assert hold(barely, right) == 1.0


def test_another_precision_may_differ_by_more() -> None:
    near = answer([one + 3 for one in BOXES], CLASSES, [0.8, 0.65])
    right = answer(BOXES, CLASSES, SCORES)

    assert hold(near, right, OTHER_PATH) == 1.0
    with pytest.raises(Mismatch):
        hold(near, right)


def test_images_that_show_nothing_prove_nothing() -> None:
    with pytest.raises(Mismatch, match="0 of 0"):
        hold(answer([], [], []), answer([], [], []))
