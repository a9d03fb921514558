"""Tensors of the Open Inference Protocol: the one that comes in, those that go out."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from proto.wire.v1 import detection_pb2 as wire
from serving.errors import InvalidField

IMAGE = "image"
MOST_IMAGES = 16
Datatype = Literal["FP32", "INT32", "BYTES"]
# Name: data type and shape; -1 varies. All images' detections lie one after another.
OUTPUTS: dict[str, tuple[Datatype, tuple[int, ...]]] = {
    "boxes": ("FP32", (-1, 4)),
    "scores": ("FP32", (-1,)),
    "class_ids": ("INT32", (-1,)),
    "labels": ("BYTES", (-1,)),
    "counts": ("INT32", (-1,)),
}
_LENGTH = struct.Struct("<I")
_FORMATS = {"FP32": "f", "INT32": "i"}


@dataclass(frozen=True)
class Tensor:
    """An output.

    Attributes:
        name: One of `OUTPUTS`.
        datatype: As the protocol calls it.
        shape: Its product is the number of elements.
        elements: In row-major order; bytes where the data type is BYTES.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    elements: Sequence[float] | Sequence[int] | Sequence[bytes]

    def raw(self) -> bytes:
        """Return the elements as the binary extension writes them: little-endian, no padding."""
        if self.datatype == "BYTES":
            texts = cast(Sequence[bytes], self.elements)
            return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
        return struct.pack(f"<{len(self.elements)}{_FORMATS[self.datatype]}", *self.elements)


def outputs_of(responses: Sequence[wire.DetectResponse], wanted: Sequence[str]) -> list[Tensor]:
    """Return the wanted outputs, in that order.

    Args:
        responses: One an image.
        wanted: Names of `OUTPUTS`.
    """
    found = [one for response in responses for one in response.detections]
    elements: dict[str, Sequence[float] | Sequence[int] | Sequence[bytes]] = {
        "boxes": [
            side for one in found for side in (one.box.x1, one.box.y1, one.box.x2, one.box.y2)
        ],
        "scores": [one.score for one in found],
        "class_ids": [one.class_id for one in found],
        "labels": [one.label.encode() for one in found],
        "counts": [len(response.detections) for response in responses],
    }
    tensors = []
    for name in wanted:
        datatype, (_, *inner) = OUTPUTS[name]
        length = len(responses) if name == "counts" else len(found)
        tensors.append(Tensor(name, datatype, (length, *inner), elements[name]))
    return tensors


def image_count(name: str, datatype: str, shape: Sequence[object]) -> int:
    """Return how many images an input of this name, data type and shape holds.

    Raises:
        InvalidField: It is not one that is taken.
    """
    if name != IMAGE:
        raise InvalidField("inputs", f"inputs: no input {name[:64]!r} here, only {IMAGE!r}")
    if datatype != "BYTES":
        raise InvalidField(
            f"{IMAGE}.datatype",
            f"{IMAGE}.datatype: {datatype[:16]!r} must be BYTES, each element an encoded JPEG, PNG "
            "or WebP",
        )
    match shape:
        case [int(count)] | [int(count), 1] if 1 <= count <= MOST_IMAGES and count is not True:
            return count
    told = ", ".join(str(side)[:20] for side in shape[:4]) + (", ..." if len(shape) > 4 else "")
    raise InvalidField(
        f"{IMAGE}.shape",
        f"{IMAGE}.shape: [{told}] must be [n] or [n, 1], with n from 1 to {MOST_IMAGES}",
    )


def read_raw(raw: bytes, count: int) -> list[bytes]:
    """Return the elements of a BYTES tensor in its binary form.

    Args:
        raw: Each element's length in 4 little-endian bytes, then the element.
        count: How many there must be.

    Raises:
        InvalidField: There are more or fewer, or one ends beyond the data.
    """
    elements: list[bytes] = []
    at = 0
    while at < len(raw) and len(elements) < count:
        start = at + _LENGTH.size
        if start > len(raw):
            break
        (length,) = _LENGTH.unpack_from(raw, at)
        at = start + length
        if at > len(raw):
            raise InvalidField(
                IMAGE,
                f"{IMAGE}: element {len(elements)} says {length} bytes, and {len(raw) - start} "
                "follow; write each element as its length in 4 little-endian bytes, then itself",
            )
        elements.append(raw[start:at])
    if at != len(raw) or len(elements) != count:
        raise InvalidField(
            IMAGE,
            f"{IMAGE}: {len(raw)} bytes do not hold just the {count} elements of its shape; write "
            "each as its length in 4 little-endian bytes, then itself",
        )
    return elements


def check_count(found: int, count: int) -> None:
    """Check the number of elements against the shape's.

    Raises:
        InvalidField: They differ.
    """
    if found != count:
        raise InvalidField(IMAGE, f"{IMAGE}: {found} elements, and its shape says {count}")
