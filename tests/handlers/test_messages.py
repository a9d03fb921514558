import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from handlers.frames import Detections
from handlers.images import BadFrame
from handlers.messages import read_item, status_of, write_detections, write_error


def found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detections:
    return Detections(
        boxes_xyxy_px=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        class_ids=np.array(classes, np.int64),
        width=640,
        height=480,
        decode_ms=1.23456,
        preprocess_ms=0.5,
        inference_ms=30.0,
        postprocess_ms=0.25,
    )


def test_a_body_without_options_leaves_them_to_the_card() -> None:
    frame = read_item({"body": bytearray(b"image")}, {"Content-Type": "image/png"})

    assert (frame.image, frame.min_score, frame.max_detections) == (b"image", None, None)


@pytest.mark.parametrize("cased", [str, str.lower, str.upper])
def test_options_come_as_headers_in_any_case(cased: Callable[[str], str]) -> None:
    headers = {cased("X-Min-Score"): "0.3", cased("X-Max-Detections"): "50"}

    frame = read_item({"body": b"image"}, headers)

    assert (frame.min_score, frame.max_detections) == (0.3, 50)


@pytest.mark.parametrize("kind", [bytes, bytearray, bytes.decode])
def test_options_come_as_fields_of_a_form_which_win(kind: Callable[[bytes], object]) -> None:
    item = {"data": b"image", "min_score": kind(b"0.3"), "max_detections": kind(b"50")}

    frame = read_item(item, {"X-Min-Score": "0.9", "min_score": {"content-type": ""}})

    assert (frame.image, frame.min_score, frame.max_detections) == (b"image", 0.3, 50)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"X-Min-Score": "abc"}, "min_score: must be a number, got 'abc'"),
        ({"X-Min-Score": ""}, "min_score: must be a number, got ''"),
        ({"min_score": b"\xff"}, "min_score: must be a number"),
        ({"X-Max-Detections": "2.5"}, "max_detections: must be a whole number, got '2.5'"),
        ({"X-Deadline-Unix-Ms": "soon"}, "deadline_unix_ms: must be a whole number, got 'soon'"),
        ({"max_detections": b"many"}, "max_detections: must be a whole number, got 'many'"),
    ],
)
def test_an_option_that_is_no_number_is_named(option: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadFrame) as caught:
        read_item({"body": b"image"} | option, option)

    assert caught.value.message.startswith(complaint)
    assert caught.value.code == "invalid_field"
    assert caught.value.field == complaint.split(":", maxsplit=1)[0]


@pytest.mark.parametrize("cased", [str, str.lower])
def test_a_frame_whose_deadline_has_passed_is_not_even_looked_at(
    cased: Callable[[str], str],
) -> None:
    headers = {cased("X-Deadline-Unix-Ms"): str(int(1000 * time.time()) - 20)}

    with pytest.raises(BadFrame, match="before the worker came to the frame") as caught:
        read_item({"body": "not even bytes"}, headers)

    assert (caught.value.code, caught.value.field) == ("deadline_exceeded", "deadline_unix_ms")
    assert status_of(caught.value) == (504, "Gateway Timeout")


def test_a_deadline_of_a_thousand_digits_is_a_number_like_any_other() -> None:
    digits = "9" * 1000

    assert read_item({"body": b"image"}, {"X-Deadline-Unix-Ms": digits}).image == b"image"
    assert read_item({"body": b"image"}, {"X-Deadline-Unix-Ms": f"-{digits}"}).image == b"image"


@pytest.mark.parametrize(("late_s", "is_refused"), [(100, True), (121, False), (3600, False)])
def test_a_sender_whose_clock_is_minutes_behind_is_answered_all_the_same(
    late_s: int, is_refused: bool
) -> None:
    headers = {"X-Deadline-Unix-Ms": str(int(1000 * (time.time() - late_s)))}

    with pytest.raises(BadFrame) if is_refused else nullcontext():
        read_item({"body": b"image"}, headers)


def test_a_frame_in_time_is_taken() -> None:
    headers = {"X-Deadline-Unix-Ms": str(int(1000 * time.time()) + 60_000)}

    assert read_item({"body": b"image"}, headers).image == b"image"


@pytest.mark.parametrize("body", ["text", {"image": "base64"}, ["list"], 7])
def test_a_body_that_came_as_text_or_json_is_refused(body: object) -> None:
    with pytest.raises(BadFrame, match="send the encoded image itself") as caught:
        read_item({"body": body}, {})

    assert (caught.value.code, caught.value.field) == ("not_an_image", "image")


def test_an_item_without_a_body_is_empty() -> None:
    assert read_item({}, {}).image == b""


def test_a_reply_is_flat_short_and_versioned() -> None:
    answer = found([[1.234567, 2, 3, 4], [5, 6, 7, 8.006]], [0.912345678, 0.5], [3, 0])

    reply = write_detections(answer, variant="onnxruntime-fp32", threads=2, batch_size=8)

    assert json.loads(reply) == {
        "v": 1,
        "width": 640,
        "height": 480,
        "boxes": [1.23, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.01],
        "scores": [0.91235, 0.5],
        "classes": [3, 0],
        "variant": "onnxruntime-fp32",
        "threads": 2,
        "ms": {"decode": 1.235, "preprocess": 0.5, "inference": 30.0, "postprocess": 0.25},
        "batch": 8,
    }
    assert b" " not in reply


def test_nothing_found_is_empty_lists() -> None:
    reply = json.loads(write_detections(found([], [], []), variant="v", batch_size=1))

    assert reply["boxes"] == reply["scores"] == reply["classes"] == []


def test_a_bad_frame_is_told_why() -> None:
    reply = write_error(BadFrame("truncated_image", "image: ends early", "image"))

    assert json.loads(reply) == {
        "v": 1,
        "error": {"code": "truncated_image", "message": "image: ends early", "field": "image"},
    }


@pytest.mark.parametrize(
    ("code", "status"), [("image_too_large", 413), ("not_an_image", 400), ("invalid_field", 400)]
)
def test_the_status_follows_the_code(code: str, status: int) -> None:
    assert status_of(BadFrame(code, ""))[0] == status
