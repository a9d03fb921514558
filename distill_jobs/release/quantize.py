"""Static INT8 of an exported ONNX file."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import quantization

from distill_jobs.release.export import INPUT_NAME, whole_file
from handlers.requirements import multiplies_8_bits_exactly

# Beyond this many images the mean ranges hardly move, and calibrating only takes longer.
MAX_CALIBRATION_IMAGES = 64

# How many of the first layers stay float: tried in this order until the gate lets one through.
# Float stems cost speed and win agreement; see `quantize_int8`.
FLOAT_STEMS = (2, 5)

# "cv2.0/cv2.0.1/conv/Conv": branch, level, and place in it; the last place is 2.
_INNER_CONVOLUTION = re.compile(r"cv[23]\.(\d+)/cv[23]\.\1\.[01]/")


@dataclass(frozen=True)
class Scheme:
    """What an engine wants quantized, so that it can fuse it.

    Attributes:
        operators: The only ones that are quantized; none: all that can be.
        options: Further ones of ONNX Runtime's `quantize_static`.
    """

    operators: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


# It fuses an operator only between two quantized ends.
FOR_ONNX_RUNTIME = Scheme()
# A convolution takes 8 bits and gives float: its SiLU, and the rounding for the next one, are fused
# into it. What lies between (additions, concatenations) would only be rounded once more.
FOR_OPENVINO = Scheme(("Conv",), {"OpTypesToExcludeOutputQuantization": ["Conv"]})


def quantize_int8(
    source: Path,
    target: Path,
    *,
    calibration: Iterable[npt.NDArray[np.float32]],
    head_index: int,
    scheme: Scheme = FOR_ONNX_RUNTIME,
    stem_layers: int = FLOAT_STEMS[0],
    on_image: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write the INT8 form of an ONNX detector.

    Unsigned activations and signed weights (U8S8), per channel. With signed activations OpenVINO
    2026.4.1 answers nonsense (scores off by 0.9, ONNX Runtime's by 0.01). Float stay

    - the head's decoding and DFL: boxes of hundreds of pixels and scores below one do not share 256
      steps (quantized, no accuracy is left at all);
    - the head's last convolutions, whose logits the scores are read from;
    - the first `stem_layers`, whose few channels carry everything that follows.

    An activation's range is the mean of the images' own ranges: one outlier in one image otherwise
    coarsens every step, two points of mAP50-95 on COCO's yolov8n.

    Measured with ONNX Runtime's scheme against FP32 on 128 COCO val images at 640 px, one thread,
    a busy machine with VNNI (mAP50-95 in points):

    | model   | float stem | mAP50-95 | matched F1 | strict F1 | ms (FP32)  |
    |---------|------------|----------|------------|-----------|------------|
    | yolov8n | none       | -0.18    | .974       | .933      | 44 (89)    |
    | yolov8n | 2 layers   | -0.11    | .973       | .940      | 42         |
    | yolov8n | 5 layers   | +0.12    | .990       | .962      | 47         |
    | yolov8s | none       | -0.83    | .977       | .945      |            |
    | yolov8s | 2 layers   | -0.37    | .987       | .949      | 101 (276)  |
    | yolov8s | 5 layers   | -0.25    | .996       | .966      | 133        |

    Args:
        source: What `export_onnx` wrote.
        target: Where to; replaced in one step.
        calibration: Inputs, float32 [3, H, W], made as the handlers make them; at least one.
        head_index: `DenseDetector.head_index`.
        scheme: Of the engine that will run it.
        stem_layers: How many of the first layers stay float.
        on_image: Told 1 for each calibration image.

    Returns:
        `target`.
    """
    with whole_file(target) as partial, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quantization.shape_inference.quant_pre_process(
            str(source), str(prepared), skip_symbolic_shape=True
        )
        quantization.quantize_static(
            str(prepared),
            str(partial),
            _Reader(calibration, on_image),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(scheme.operators) or None,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=needs_reduced_range(),
            nodes_to_exclude=float_nodes(prepared, head_index, stem_layers),
            extra_options={"CalibMovingAverage": True, **scheme.options},
        )
    return target


def float_nodes(path: Path, head_index: int, stem_layers: int) -> list[str]:
    """Return the names of the nodes that stay float.

    Those of the first layers, and of the head all but its box (`cv2`) and class (`cv3`)
    convolutions, and of those the last one a level.
    """
    scope = f"/model.{head_index}/"
    stem = tuple(f"/model.{layer}/" for layer in range(stem_layers))
    names = [node.name for node in onnx.load(str(path), load_external_data=False).graph.node]
    in_head = [name for name in names if scope in name]
    head = [name for name in in_head if not _INNER_CONVOLUTION.match(name.split(scope)[1])]
    return head + [name for name in names if any(layer in name for layer in stem)]


def needs_reduced_range() -> bool:
    """Whether this CPU's 8-bit products could saturate: x86-64 without VNNI.

    There 7-bit weights are used (ONNX Runtime's `reduce_range`).
    """
    return not multiplies_8_bits_exactly()


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Hands calibration images to ONNX Runtime, one at a time."""

    def __init__(
        self, images: Iterable[npt.NDArray[np.float32]], on_image: Callable[[int], None]
    ) -> None:
        self._images: Iterator[npt.NDArray[np.float32]] = iter(images)
        self._on_image = on_image

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, or None at the end."""
        image = next(self._images, None)
        if image is None:
            return None
        self._on_image(1)
        return {INPUT_NAME: np.ascontiguousarray(image[None])}
