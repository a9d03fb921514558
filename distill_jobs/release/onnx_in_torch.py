"""The ONNX operators of an exported detector, in PyTorch, so that gradients flow through a graph.

Only what ultralytics' detectors export to at opset 17 is here. Shapes are computed as tensors, as
in ONNX, so the batch axis stays free.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from onnx import helper, numpy_helper
from torch.nn import functional

from distill_jobs.errors import UnsupportedModel

Tensor = torch.Tensor
Attributes = Mapping[str, Any]
Operator = Callable[[Attributes, Sequence[Tensor]], Tensor | tuple[Tensor, ...]]

_DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}


def attributes_of(node: Any) -> dict[str, Any]:
    """Return a node's attributes by name: numbers, bytes, lists, or ONNX tensors."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _convolve(attributes: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    return functional.conv2d(
        inputs[0],
        inputs[1],
        inputs[2] if len(inputs) > 2 else None,
        stride=attributes.get("strides", [1, 1]),
        padding=_padding(attributes),
        dilation=attributes.get("dilations", [1, 1]),
        groups=attributes.get("group", 1),
    )


def _pool(attributes: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    return functional.max_pool2d(
        inputs[0],
        attributes["kernel_shape"],
        stride=attributes.get("strides", [1, 1]),
        padding=_padding(attributes),
    )


def _padding(attributes: Attributes) -> list[int]:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if list(pads[:2]) != list(pads[2:]):
        raise UnsupportedModel(
            f"qat: cannot train through padding {pads}, which differs between two sides: leave "
            "`qat:` out"
        )
    return list(pads[:2])


def _resize(_: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    scales = inputs[-1][2:].tolist()  # the region of interest, left out, is no input
    return functional.interpolate(inputs[0], scale_factor=scales, mode="nearest")


def _slice(_: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    data, starts, ends, axes = inputs[:4]
    steps = inputs[4].tolist() if len(inputs) > 4 else [1] * len(starts)
    places = [slice(None)] * data.dim()
    for start, end, axis, step in zip(
        starts.tolist(), ends.tolist(), axes.tolist(), steps, strict=True
    ):
        places[axis] = slice(start, end, step)
    return data[tuple(places)]


def _gather(attributes: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    data, places = inputs
    axis = attributes.get("axis", 0)
    taken = data.index_select(axis, places.flatten())
    return taken.reshape((*data.shape[:axis], *places.shape, *data.shape[axis:][1:]))


def _reshape(_: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    data, wanted = inputs
    shape = [data.shape[axis] if size == 0 else size for axis, size in enumerate(wanted.tolist())]
    return data.reshape(shape)


def _unsqueeze(_: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    data, axes = inputs
    rank = data.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes.tolist()):
        data = data.unsqueeze(axis)
    return data


def _divide(_: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    rounding = None if inputs[0].is_floating_point() else "trunc"
    return torch.div(inputs[0], inputs[1], rounding_mode=rounding)


def _split(attributes: Attributes, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    if len(inputs) > 1:
        return torch.split_with_sizes(inputs[0], inputs[1].tolist(), dim=axis)
    return inputs[0].chunk(attributes["outputs"], dim=axis)


def _fill(attributes: Attributes, inputs: Sequence[Tensor]) -> Tensor:
    value = attributes.get("value")
    if value is None:
        return torch.zeros(1).expand(inputs[0].tolist())
    filler = torch.from_numpy(numpy_helper.to_array(value).copy())  # the graph's own is read-only
    return filler.expand(inputs[0].tolist())


OPERATORS: dict[str, Operator] = {
    "Add": lambda _, inputs: inputs[0] + inputs[1],
    "Cast": lambda attributes, inputs: inputs[0].to(_DTYPES[attributes["to"]]),
    "Concat": lambda attributes, inputs: torch.cat(list(inputs), dim=attributes["axis"]),
    "ConstantOfShape": _fill,
    "Conv": _convolve,
    "Div": _divide,
    "Equal": lambda _, inputs: inputs[0] == inputs[1],
    "Expand": lambda _, inputs: inputs[0] * torch.ones(inputs[1].tolist(), dtype=inputs[0].dtype),
    "Gather": _gather,
    "Identity": lambda _, inputs: inputs[0],
    "MatMul": lambda _, inputs: inputs[0] @ inputs[1],
    "MaxPool": _pool,
    "Mul": lambda _, inputs: inputs[0] * inputs[1],
    "Range": lambda _, inputs: torch.arange(*(value.item() for value in inputs)),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda _, inputs: torch.tensor(inputs[0].shape),
    "Sigmoid": lambda _, inputs: inputs[0].sigmoid(),
    "Slice": _slice,
    "Softmax": lambda attributes, inputs: inputs[0].softmax(attributes.get("axis", -1)),
    "Split": _split,
    "Sub": lambda _, inputs: inputs[0] - inputs[1],
    "Transpose": lambda attributes, inputs: inputs[0].permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, inputs: torch.where(inputs[0], inputs[1], inputs[2]),
}
