"""Dynamic INT8: weights are quantized ahead, activations as they come."""

import math
from pathlib import Path

import onnx
from onnxruntime import quantization

from distill_jobs.errors import UnsupportedModel
from distill_jobs.release.export import whole_file
from distill_jobs.release.quantize import needs_reduced_range

_MULTIPLYING = ("MatMul", "Gemm")
# Below this share of the weights in matrix products nothing is won.
_LEAST_SHARE = 0.5


def quantize_dynamic_int8(source: Path, target: Path) -> Path:
    """Write the dynamic INT8 form of an ONNX graph that mostly multiplies matrices.

    Weights of matrix products become signed 8-bit, per channel; everything else stays float. No
    calibration is needed, since each activation's range is measured when it is computed.

    Args:
        source: An ONNX file.
        target: Where to; replaced in one step.

    Returns:
        `target`.

    Raises:
        UnsupportedModel: Most of the weights are in convolutions.
    """
    reason = why_not_dynamic(source)
    if reason:
        raise UnsupportedModel(reason)
    with whole_file(target) as partial:
        quantization.quantize_dynamic(
            str(source),
            str(partial),
            op_types_to_quantize=list(_MULTIPLYING),
            per_channel=True,
            reduce_range=needs_reduced_range(),
            weight_type=quantization.QuantType.QInt8,
        )
    return target


def why_not_dynamic(source: Path) -> str:
    """Return why a graph gains nothing from dynamic INT8; "" where it does."""
    graph = onnx.load(str(source)).graph
    sizes = {one.name: math.prod(one.dims) for one in graph.initializer}
    weights = {"Conv": 0, **dict.fromkeys(_MULTIPLYING, 0)}
    for node in graph.node:
        if node.op_type in weights:
            weights[node.op_type] += sum(sizes.get(name, 0) for name in node.input)
    total = sum(weights.values())
    share = 1 - weights["Conv"] / total if total else 0.0
    if share >= _LEAST_SHARE:
        return ""
    return (
        f"dynamic INT8 is for graphs of matrix products (transformers): {share:.0%} of this one's "
        "weights are in them, the others in convolutions, which ONNX Runtime runs slower "
        "dynamically quantized than in FP32. Take static INT8: onnxruntime-int8"
    )
