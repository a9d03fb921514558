"""ONNX and TorchScript files of a dense detector, written whole or not at all."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch.jit._trace import TracerWarning

from distill_jobs.release.dense import DenseDetector

INPUT_NAME = "images"
OUTPUT_NAME = "predictions"
# ONNX Runtime's CUDA provider hands Resize of opset 19 and above to the CPU;
# static INT8 refuses 21.
OPSET = 17
# Traced with two images: with one, an operator may take the batch axis for a broadcast.
_TRACED_BATCH = 2


def export_onnx(module: DenseDetector, path: Path) -> Path:
    """Write an ONNX file, opset 17, that takes any batch of any rectangle of whole strides.

    Args:
        module: What to export.
        path: Where to; replaced in one step.

    Returns:
        `path`. Its input is "images", float32 [N, 3, H, W]; its output "predictions", float32
        [N, 4 + nc, anchors].
    """
    with whole_file(path) as partial, no_torchscript_noise():
        torch.onnx.export(
            module,
            (_example(module),),
            str(partial),
            dynamo=False,  # the new exporter needs onnxscript and writes opset 18 at least
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={
                INPUT_NAME: {0: "batch", 2: "height", 3: "width"},
                OUTPUT_NAME: {0: "batch", 2: "anchors"},
            },
            do_constant_folding=True,
        )
        _state_classes(partial, module)
    return path


def export_torchscript(module: DenseDetector, path: Path) -> Path:
    """Write a TorchScript file by tracing; it takes any batch of any rectangle of whole strides.

    Args:
        module: What to export.
        path: Where to; replaced in one step.

    Returns:
        `path`.
    """
    with whole_file(path) as partial, no_torchscript_noise(), torch.no_grad():
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch annotates it not
            module, _example(module), check_trace=False
        )
        torch.jit.freeze(traced).save(str(partial))
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes `path`'s place, or is removed on failure."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def no_torchscript_noise() -> Iterator[None]:
    """Silence what torch 2.14 says of the TorchScript we use on purpose, and nothing else.

    The sizes that Python code reads while it is traced would be fixed: the parity check varies all
    that must not be.
    """
    with warnings.catch_warnings():
        for message, category in (
            ("`torch.jit", FutureWarning),
            ("The feature will be removed", DeprecationWarning),
            ("You are using the legacy", DeprecationWarning),
            ("", TracerWarning),
        ):
            warnings.filterwarnings("ignore", message=message, category=category)
        yield


def _state_classes(path: Path, module: DenseDetector) -> None:
    """Replace the invented name of the output's one fixed axis by its size."""
    graph = onnx.load(str(path))
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4 + module.classes
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _example(module: DenseDetector) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(_TRACED_BATCH, 3, module.image_size, module.image_size, generator=generator)
