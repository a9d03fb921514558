import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tiny_detectors import card_document

from handlers.card import Card, CardError, Variant
from proto.wire.v1 import card_pb2


def test_a_card_written_through_the_schema_is_read_whole(tmp_path: Path) -> None:
    message = json_format.ParseDict(card_document(), card_pb2.Card())
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    (tmp_path / "card.json").write_text(text)

    card = Card.read(tmp_path)

    assert (card.name, card.version) == ("cells", "1.0")
    assert card.class_names == ("red", "green", "blue")
    assert (card.input.width, card.input.height, card.input.letterbox_pad) == (64, 64, 114)
    assert card.input.letterbox_scale_up is True
    assert card.input.scale == pytest.approx(1 / 255)
    assert (card.input.tensor_name, card.input.output_name) == ("images", "output0")
    assert card.post_processing.operating_thresholds == pytest.approx((0.5, 0.6, 0.7))
    assert card.post_processing.iou_threshold == pytest.approx(0.5)
    assert card.post_processing.max_detections == 300
    assert card.post_processing.max_candidates == 30000
    assert card.variants[1] == Variant(
        "torchscript-fp32", "torchscript", "fp32", "cells.torchscript"
    )


def test_the_first_variant_is_the_default_and_others_go_by_name() -> None:
    card = Card.parse(json.dumps(card_document()))

    assert card.variant(None).name == "onnxruntime-fp32"
    assert card.variant("torchscript-fp32").file == "cells.torchscript"
    with pytest.raises(CardError, match="no 'int4'; it has onnxruntime-fp32, torchscript-fp32"):
        card.variant("int4")


def changed(section: str, **changes: Any) -> dict[str, Any]:
    return {section: card_document()[section] | changes}


def variant(**changes: Any) -> dict[str, Any]:
    return {"variants": [card_document()["variants"][0] | changes]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema_version": 2}, "schema_version: must be 1.*got 2"),
        ({"schema_version": None}, "schema_version: must be 1"),
        ({"task": "TASK_UNSPECIFIED"}, "task: must be TASK_DETECTION"),
        ({"head": {"kind": "HEAD_KIND_END_TO_END"}}, "head.kind: must be HEAD_KIND_DENSE"),
        ({"head": None}, "head: must be an object"),
        ({"name": ""}, "name: must be a text that is not empty"),
        ({"class_names": []}, "class_names: must be a list that is not empty"),
        ({"class_names": ["red", 2, "blue"]}, "class_names: must be a list of texts"),
        (changed("input", width=0), "input.width: must be a whole number above 0, got 0"),
        (changed("input", height=True), "input.height: must be a whole number"),
        (changed("input", colour="BGR"), "input.colour: must be RGB, got 'BGR'"),
        (changed("input", letterbox_pad=256), "input.letterbox_pad: must be a grey level"),
        (changed("input", letterbox_scale_up=1), "input.letterbox_scale_up: must be true or false"),
        (changed("input", scale=0), "input.scale: must be a number above 0"),
        (changed("input", scale="NaN"), "input.scale: must be a number above 0"),
        (
            changed("post_processing", operating_thresholds=[0.5, 0.5]),
            "post_processing.operating_thresholds: must be 3 numbers from 0.001 to 1",
        ),
        (
            changed("post_processing", operating_thresholds=[0.5, 0.5, 0]),
            "post_processing.operating_thresholds: must be 3 numbers",
        ),
        (changed("post_processing", iou_threshold=1.5), "iou_threshold: must be a number from 0"),
        (changed("post_processing", max_detections=0), "max_detections: must be a whole number"),
        ({"variants": []}, "variants: must be a list that is not empty"),
        ({"variants": ["fast"]}, r"variants\[0\]: must be an object"),
        (variant(file="../cells.onnx"), r"variants\[0\].file: must be a path inside the archive"),
        (variant(file="/cells.onnx"), r"variants\[0\].file: must be a path inside the archive"),
        (variant(runtime=None), r"variants\[0\].runtime: must be a text"),
    ],
)
def test_a_bad_field_is_named_with_its_limit(changes: dict[str, Any], complaint: str) -> None:
    text = json.dumps(card_document(**changes))

    with pytest.raises(CardError, match=complaint):
        Card.parse(text)


@pytest.mark.parametrize(("text", "complaint"), [("{", "not JSON"), ("[]", "must be an object")])
def test_what_is_no_card_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(CardError, match=complaint):
        Card.parse(text)


def test_an_archive_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"card\.json: cannot be read from the archive"):
        Card.read(tmp_path)
