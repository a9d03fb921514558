import json
import struct
from email.parser import BytesParser

import pytest

from bench.serve.wires import wire

IMAGE = b"\xff\xd8 not really a picture \r\n--\x00"


@pytest.mark.parametrize(("server", "field"), [("litserve", "image"), ("bentoml", "images")])
def test_multipart_carries_the_image_untouched(server: str, field: str) -> None:
    sent = wire(server, IMAGE)

    head = f"Content-Type: {sent.headers['Content-Type']}\r\n\r\n".encode()
    (part,) = BytesParser().parsebytes(head + sent.body).get_payload()
    assert not isinstance(part, str)
    assert part.get_param("name", header="content-disposition") == field
    assert sent.body.count(IMAGE) == 1


def test_a_binary_tensor_is_announced_with_its_length() -> None:
    sent = wire("triton", IMAGE)

    size = int(sent.headers["Inference-Header-Content-Length"])
    (tensor,) = json.loads(sent.body[:size])["inputs"]
    element = sent.body[size:]
    assert tensor["parameters"]["binary_data_size"] == len(element)
    assert element == struct.pack("<I", len(IMAGE)) + IMAGE


def test_others_take_the_image_as_it_is() -> None:
    for server in ("ours", "torchserve", "ray"):
        assert wire(server, IMAGE).body == IMAGE
