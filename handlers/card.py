"""The student card, as far as a worker needs it.

`card.json` is proto3 JSON of the message `Card` in `proto/wire/v1/card.proto`, with that file's
field names. Workers carry no protobuf, so it is read here with the standard library; a test holds
the two together.
"""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from handlers.errors import CardError
from handlers.fields import Fields

__all__ = ["Card", "CardError", "Input", "PostProcessing", "Variant"]

SCHEMA_VERSION = 1
FILE_NAME = "card.json"
TASK_DETECTION = "TASK_DETECTION"
HEAD_DENSE = "HEAD_KIND_DENSE"


@dataclass(frozen=True)
class Input:
    """The tensor a variant takes: float32 [N, 3, height, width].

    Attributes:
        width: In pixels, at most.
        height: In pixels, at most.
        letterbox_pad: Grey level of the free border, 0 to 255.
        letterbox_scale_up: Whether a frame smaller than the input is enlarged.
        scale: What each 8-bit level is multiplied by, e.g. 1/255.
        tensor_name: Name of the ONNX graph's input.
        output_name: Name of the ONNX graph's output.
        stride: Each side may be any multiple of it up to the above, see `handlers.fitting`; 0:
            always width x height.
    """

    width: int
    height: int
    letterbox_pad: int
    letterbox_scale_up: bool
    scale: float
    tensor_name: str
    output_name: str
    stride: int = 0


@dataclass(frozen=True)
class PostProcessing:
    """How raw scores become detections.

    Attributes:
        operating_thresholds: Lowest score returned when a request names none; one a class.
        iou_threshold: A box that overlaps a better one of its class by more is suppressed.
        max_detections: Most detections returned when a request names no limit.
        max_candidates: Best candidates kept before suppression.
    """

    operating_thresholds: tuple[float, ...]
    iou_threshold: float
    max_detections: int
    max_candidates: int


@dataclass(frozen=True)
class Variant:
    """One runtime and precision that passed the release gate.

    Attributes:
        name: "RUNTIME-PRECISION", e.g. "onnxruntime-int8".
        runtime: "onnxruntime", "openvino" or "torchscript".
        precision: "fp32", "bf16", "int8", "int8bf16"...
        file: Path of the weights, relative to the archive's root.
        requires: What the machine must have: see `handlers.requirements`.
    """

    name: str
    runtime: str
    precision: str
    file: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """What a worker must know of a detector.

    Attributes:
        name: The model's name.
        version: Its version.
        class_names: Index = class id.
        input: The input tensor and how frames are fitted to it.
        post_processing: Thresholds and limits.
        variants: At least one; the first is the default.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    input: Input
    post_processing: PostProcessing
    variants: tuple[Variant, ...]

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Read `card.json` in `folder`, the root of an extracted archive.

        Raises:
            CardError: It is absent or not a card this code can serve.
        """
        path = folder / FILE_NAME
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CardError(f"{FILE_NAME}: cannot be read from the archive: {error}") from error
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> "Card":
        """Read a card from its JSON text.

        Raises:
            CardError: The text is not a card this code can serve.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise CardError(f"{FILE_NAME}: not JSON: {error}") from error
        root = Fields(FILE_NAME, document)
        _require_supported(root)
        class_names = root.texts("class_names")
        return cls(
            name=root.text("name"),
            version=root.text("version"),
            class_names=class_names,
            input=_input(root.inner("input")),
            post_processing=_post_processing(root.inner("post_processing"), len(class_names)),
            variants=tuple(_variant(fields) for fields in root.each("variants")),
        )

    def variant(self, name: str | None) -> Variant:
        """Return the variant called `name`, or the default one for None.

        Raises:
            CardError: The card has no such variant.
        """
        if name is None:
            return self.variants[0]
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise CardError(f"variant: the card of {self.name} has no {name!r}; it has {known}")


def _require_supported(root: Fields) -> None:
    wanted = f"{SCHEMA_VERSION}, the schema this handler reads"
    root.check("schema_version", int, lambda value: value == SCHEMA_VERSION, wanted)
    wanted = f"{TASK_DETECTION}, the one task this handler serves"
    root.check("task", str, lambda value: value == TASK_DETECTION, wanted)
    wanted = f"{HEAD_DENSE}: this handler suppresses by itself, so export the dense head"
    root.inner("head").check("kind", str, lambda value: value == HEAD_DENSE, wanted)


def _input(fields: Fields) -> Input:
    fields.check("colour", str, lambda value: value == "RGB", "RGB")
    grey_level = "a grey level, 0 to 255"
    width, height = fields.count("width"), fields.count("height")
    return Input(
        width=width,
        height=height,
        letterbox_pad=fields.check("letterbox_pad", int, lambda v: 0 <= v <= 255, grey_level),
        letterbox_scale_up=fields.flag("letterbox_scale_up"),
        scale=fields.check("scale", float, lambda v: 0 < v <= 1, "a number above 0, at most 1"),
        tensor_name=fields.text("tensor_name"),
        output_name=fields.text("output_name"),
        stride=_stride(fields, width, height),
    )


def _stride(fields: Fields, width: int, height: int) -> int:
    if not fields.has("stride"):
        return 0
    wanted = f"0, or a whole number that divides the width {width} and the height {height}"
    return fields.check(
        "stride", int, lambda v: v == 0 or (v > 0 and width % v == height % v == 0), wanted
    )


def _post_processing(fields: Fields, classes: int) -> PostProcessing:
    return PostProcessing(
        operating_thresholds=fields.numbers("operating_thresholds", classes, 0.001, 1),
        iou_threshold=fields.number("iou_threshold", 0, 1),
        max_detections=fields.count("max_detections"),
        max_candidates=fields.count("max_candidates"),
    )


def _variant(fields: Fields) -> Variant:
    inside = "a path inside the archive"
    return Variant(
        name=fields.text("name"),
        runtime=fields.text("runtime"),
        precision=fields.text("precision"),
        file=fields.check("file", str, _is_inside, inside),
        requires=fields.some_texts("requires"),
    )


def _is_inside(file: str) -> bool:
    path = PurePosixPath(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts
