"""A quantized ONNX graph as a PyTorch module: what is trained is what will run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from distill_jobs.errors import UnsupportedModel
from distill_jobs.release.export import whole_file
from distill_jobs.release.onnx_in_torch import OPERATORS, attributes_of
from distill_jobs.release.rounding import fake_quantize

# Weights are signed and symmetric; 7-bit where 8-bit products could saturate (ONNX Runtime's
# `reduce_range`). Activations are unsigned 8-bit.
_WEIGHT_LIMIT, _REDUCED_WEIGHT_LIMIT = 127, 64
_HIGHEST_ACTIVATION = 255
_SMALLEST_SCALE = 1e-30
_QUANTIZING = {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class _Weight:
    """A quantized weight: names of its numbers and of their scale, and the channels' axis."""

    name: str
    scale: str
    axis: int


@dataclass(frozen=True)
class _Bias:
    """A quantized bias: its scale is the product of those of the input and of the weight."""

    name: str
    scale: str
    input_scale: str
    weight_scale: str


class FakeQuantized(nn.Module):
    """Runs a QDQ graph in floating point, rounding where the graph rounds.

    Weights, biases and the sizes of the steps can be trained; zero points stay. A convolution
    without bias is DFL's constant one, and stays too.

    Args:
        file: What `quantize_int8` wrote.
        source: What it was made from: weights start where they were before they were rounded.

    Raises:
        UnsupportedModel: The graph has an operator that is not known here.
    """

    def __init__(self, file: Path, source: Path | None = None) -> None:
        super().__init__()
        self._proto = onnx.load(str(file))
        graph = self._proto.graph
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._nodes = [(node, attributes_of(node)) for node in graph.node]
        unknown = {node.op_type for node in graph.node} - OPERATORS.keys() - _QUANTIZING
        if unknown:
            raise UnsupportedModel(
                f"qat: cannot train through {', '.join(sorted(unknown))}: leave `qat:` out"
            )
        self._constants = {
            one.name: torch.from_numpy(numpy_helper.to_array(one).copy())
            for one in graph.initializer
        }
        self._weights: dict[str, _Weight] = {}
        self._biases: dict[str, _Bias] = {}
        # Parameters by the name of the graph's constant; that of a scale holds its logarithm.
        self._places: dict[str, int] = {}
        self._scales: set[str] = set()
        self.learnt = nn.ParameterList()
        self._learn_all()
        if source is not None:
            self._take_float_weights(source)
        largest = [self._constants[name].abs().max().item() for name in self._weights]
        reduced = bool(largest) and max(largest) <= _REDUCED_WEIGHT_LIMIT
        self._weight_limit = _REDUCED_WEIGHT_LIMIT if reduced else _WEIGHT_LIMIT

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run the graph.

        Args:
            images: float32 [N, 3, H, W], 0 to 1.

        Returns:
            float32 [N, 4 + classes, anchors], as the graph answers.
        """
        values = {**self._constants, self._input: images}
        values.update({name: self._parameter(name) for name in self._places})
        for node, attributes in self._nodes:
            inputs = [values[name] for name in node.input if name]
            if node.op_type == "QuantizeLinear":
                answers: Any = self._quantized(node, inputs)
            elif node.op_type == "DequantizeLinear":
                answers = self._dequantized(node.input[0], inputs)
            else:
                wanted = {**attributes, "outputs": len(node.output)}
                answers = OPERATORS[node.op_type](wanted, inputs)
            answers = answers if isinstance(answers, tuple) else (answers,)
            values.update(zip(node.output, answers, strict=True))
        return values[self._output]

    def write(self, target: Path) -> Path:
        """Write the graph with what was learnt in it.

        Args:
            target: Where to; replaced in one step.

        Returns:
            `target`.
        """
        with torch.no_grad():
            stored = self._stored()
        graph = onnx.ModelProto()
        graph.CopyFrom(self._proto)
        for one in graph.graph.initializer:
            if one.name in stored:
                before = numpy_helper.to_array(one)
                after = stored[one.name].numpy().astype(before.dtype).reshape(before.shape)
                one.CopyFrom(numpy_helper.from_array(after, one.name))
        with whole_file(target) as partial:
            onnx.save(graph, str(partial))
        return target

    def _learn_all(self) -> None:
        made_by = {name: node for node, _ in self._nodes for name in node.output}
        for node, attributes in self._nodes:
            if node.op_type == "QuantizeLinear":
                self._learn_scale(node.input[1])
            elif node.op_type == "Conv" and len(node.input) > 2:
                self._learn_convolution(node, made_by)
            elif node.op_type == "DequantizeLinear" and self._holds(node.input[0], torch.int8):
                weight = _Weight(node.input[0], node.input[1], attributes.get("axis", 1))
                self._weights[weight.name] = weight
                self._learn_scale(weight.scale)
                numbers, scale = self._constants[weight.name].float(), self._constants[weight.scale]
                self._learn(weight.name, numbers * _along(scale, weight.axis, numbers.dim()))

    def _take_float_weights(self, source: Path) -> None:
        for one in onnx.load(str(source)).graph.initializer:
            name = f"{one.name}_quantized"
            if name in self._weights:
                self._parameter(name).data = torch.from_numpy(numpy_helper.to_array(one).copy())

    def _learn_convolution(self, node: Any, made_by: dict[str, Any]) -> None:
        if node.input[1] not in made_by:  # it stays float
            for name in node.input[1:3]:
                self._learn(name, self._constants[name])
            return
        source, kernel, shift = (made_by[name] for name in node.input[:3])
        bias = _Bias(shift.input[0], shift.input[1], source.input[1], kernel.input[1])
        self._biases[bias.name] = bias
        numbers = self._constants[bias.name].float() * self._constants[bias.scale]
        self._learn(bias.name, numbers)

    def _learn_scale(self, name: str) -> None:
        self._scales.add(name)
        self._learn(name, self._constants[name].clamp(min=_SMALLEST_SCALE).log())

    def _learn(self, name: str, start: torch.Tensor) -> None:
        if name not in self._places:
            self._places[name] = len(self.learnt)
            self.learnt.append(nn.Parameter(start.clone()))

    def _holds(self, name: str, dtype: torch.dtype) -> bool:
        return name in self._constants and self._constants[name].dtype == dtype

    def _parameter(self, name: str) -> torch.Tensor:
        parameter: torch.Tensor = self.learnt[self._places[name]]
        return parameter

    def _quantized(self, node: Any, inputs: list[torch.Tensor]) -> torch.Tensor:
        values, log_scale, zero_point = inputs
        zero = int(zero_point)
        return fake_quantize(values, log_scale.exp(), -zero, _HIGHEST_ACTIVATION - zero)

    def _dequantized(self, name: str, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Return a weight rounded to its steps, a constant as it is read; others as they are."""
        values = inputs[0]
        weight = self._weights.get(name)
        if weight is not None:
            scale = _along(self._parameter(weight.scale).exp(), weight.axis, values.dim())
            return fake_quantize(values, scale, -self._weight_limit, self._weight_limit)
        if values.is_floating_point():
            return values
        scale = inputs[1].exp() if name in self._scales else inputs[1]
        return (values.float() - inputs[2].float()) * scale

    def _stored(self) -> dict[str, torch.Tensor]:
        """Return what the graph's constants are to hold, by name."""
        learnt = {name: self._parameter(name).detach() for name in self._places}
        stored = {
            name: value.exp() if name in self._scales else value for name, value in learnt.items()
        }
        for weight in self._weights.values():
            scale = _along(stored[weight.scale], weight.axis, stored[weight.name].dim())
            steps = (stored[weight.name] / scale).round()
            stored[weight.name] = steps.clamp(-self._weight_limit, self._weight_limit)
        for bias in self._biases.values():
            scale = stored[bias.input_scale] * stored[bias.weight_scale]
            stored[bias.scale] = scale
            stored[bias.name] = (stored[bias.name] / scale).round()
        return stored


def _along(values: torch.Tensor, axis: int, rank: int) -> torch.Tensor:
    """Give a vector the shape that broadcasts it along one axis; a scalar stays."""
    return values.reshape([-1 if place == axis else 1 for place in range(rank)])
