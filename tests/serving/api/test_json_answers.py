import json
import struct

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from proto.wire.v1 import detection_pb2 as wire
from serving.api.json_answers import shortest, to_json

# Pixels, scores and milliseconds, and far beyond.
float32 = st.floats(-(2.0**30), 2.0**30, width=32)
text = st.text(max_size=20)
box = st.builds(wire.Box, x1=float32, y1=float32, x2=float32, y2=float32)
detection = st.builds(
    wire.Detection, box=box, class_id=st.integers(0, 2**32 - 1), label=text, score=float32
)
answers = st.builds(
    wire.DetectResponse,
    detections=st.lists(detection, max_size=5),
    image_size=st.builds(wire.ImageSize, width=st.integers(0, 9999), height=st.integers(0, 9999)),
    camera_id=text,
    frame_id=text,
    answered_by=st.builds(
        wire.AnsweredBy,
        arm=text,
        model=text,
        version=text,
        variant=text,
        stood_in_for=text,
        backend=text,
    ),
    timings=st.builds(wire.Timings, total_ms=float32, queue_ms=float32, inference_ms=float32),
    request_id=text,
    dropped=st.booleans(),
)


@given(answers)
def test_the_fast_way_says_what_the_general_one_says(answer: wire.DetectResponse) -> None:
    expected = json_format.MessageToJson(answer, always_print_fields_with_no_presence=True)

    assert json.loads(to_json(answer)) == json.loads(expected)


@given(answers)
def test_nothing_is_lost_on_the_way_back(answer: wire.DetectResponse) -> None:
    assert json_format.Parse(to_json(answer), wire.DetectResponse()) == answer


@given(float32)
def test_the_shortest_decimal_is_the_same_float32(value: float) -> None:
    assert struct.unpack("f", struct.pack("f", shortest(value)))[0] == value


def test_class_0_and_an_empty_list_are_written() -> None:
    said = json.loads(to_json(wire.DetectResponse(detections=[wire.Detection(label="cell")])))

    assert said["detections"][0]["classId"] == 0
    assert json.loads(to_json(wire.DetectResponse()))["detections"] == []


def test_a_score_reads_as_a_person_would_write_it() -> None:
    assert b'"score":0.3' in to_json(wire.DetectResponse(detections=[wire.Detection(score=0.3)]))
