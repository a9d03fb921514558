"""The engines that run a variant. Each is imported only when a variant asks for it."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handlers.card import Card, Variant
from handlers.errors import CardError, RuntimeFailed
from handlers.onnx_runtime import OnnxRuntime
from handlers.openvino_runtime import OpenVinoRuntime
from handlers.requirements import choose_variant
from handlers.torchscript_runtime import TorchScriptRuntime


class Runtime(Protocol):
    """Runs a detector on a batch."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model once.

        Args:
            batch: float32 [N, 3, H, W], contiguous, levels already scaled. It is the caller's, who
                writes over it after the call.

        Returns:
            float32 [N, 4 + C, A], the dense head; it is the caller's too.
        """
        ...


def load_runtime(
    card: Card,
    folder: Path,
    variant_name: str | None = None,
    threads: int | None = None,
    gpu_id: int | None = None,
) -> Runtime:
    """Load a variant of an extracted archive.

    Args:
        card: The archive's card.
        folder: The archive's root.
        variant_name: Which variant; None for the first that this machine can run.
        threads: CPU threads a run may use.
        gpu_id: CUDA device, None for the CPU.

    Raises:
        CardError: The card has no such variant, it asks for what this machine lacks, or it names a
            runtime that is none of ours.
        RuntimeFailed: The weights are absent or do not load.
    """
    variant = choose_variant(card, variant_name, gpu_id)
    file = folder / variant.file
    if not file.is_file():
        raise RuntimeFailed(f"{variant.file}: the archive lacks the weights of {variant.name}")
    return _open(card, variant, file, threads, gpu_id)


def _open(
    card: Card, variant: Variant, file: Path, threads: int | None, gpu_id: int | None
) -> Runtime:
    names = {"tensor_name": card.input.tensor_name, "output_name": card.input.output_name}
    if variant.runtime == "onnxruntime":
        return OnnxRuntime(file, **names, threads=threads, gpu_id=gpu_id)
    if variant.runtime == "openvino":
        return OpenVinoRuntime(file, **names, precision=variant.precision, threads=threads)
    if variant.runtime == "torchscript":
        return TorchScriptRuntime(file, threads=threads, gpu_id=gpu_id)
    raise CardError(
        f"card.json: variants: {variant.name}: runtime must be onnxruntime, openvino or "
        f"torchscript, got {variant.runtime!r}"
    )
