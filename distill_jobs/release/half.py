"""The FP16 form of an exported ONNX file, for GPUs."""

from pathlib import Path
from typing import Any

import onnx

from distill_jobs.release.export import whole_file
from distill_jobs.release.quantize import float_nodes


def convert_to_fp16(source: Path, target: Path, *, head_index: int) -> Path:
    """Write the half-precision form of an ONNX detector.

    Inputs and outputs stay float32, so the handlers see no difference. Float stays what decodes
    the head: half a pixel at 1,000 px is all that FP16 can tell apart. CPUs run such a file slower
    than the original, converting back and forth.

    Args:
        source: What `export_onnx` wrote.
        target: Where to; replaced in one step.
        head_index: `DenseDetector.head_index`.

    Returns:
        `target`.
    """
    from onnxruntime.transformers.float16 import (  # noqa: PLC0415  # adds to sys.path when loaded
        convert_float_to_float16,
    )

    converted = convert_float_to_float16(
        onnx.load(str(source)),
        keep_io_types=True,
        node_block_list=float_nodes(source, head_index, 0),
    )
    _tidy(converted.graph)
    with whole_file(target) as partial:
        onnx.checker.check_model(converted)
        onnx.save(converted, str(partial))
    return target


def _tidy(graph: Any) -> None:
    """Mend what the converter leaves between nodes that stay float.

    It sends every value between them through FP16 and back, at which boxes of a large image would
    lose half a pixel; and it writes a cast once for each reader, where ONNX wants one.
    """
    halved = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16
    }
    kept = {node.output[0]: node for node in reversed(graph.node)}
    for node in kept.values():
        if node.op_type == "Cast" and node.input[0] in halved:  # back to float
            node.op_type = "Identity"
            node.input[0] = halved[node.input[0]]
            del node.attribute[:]
    _replace(graph, list(kept.values()))


def _replace(graph: Any, nodes: list[Any]) -> None:
    """Put nodes into a graph, each behind those it reads, as ONNX asks."""
    known = {one.name for one in (*graph.initializer, *graph.input)} | {""}
    ordered: list[Any] = []
    while nodes:
        ready = [node for node in nodes if known.issuperset(node.input)]
        nodes = [node for node in nodes if not known.issuperset(node.input)]
        ordered += ready
        known.update(name for node in ready for name in node.output)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)
