"""The engines that run a variant. Each is imported only when a variant asks for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from handlers.card import Card
from handlers.errors import CardError, RuntimeFailed
from handlers.requirements import choose_variant

T = TypeVar("T")


class Runtime(Protocol):
    """Runs a detector on a batch."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model once.

        Args:
            batch: float32 [N, 3, H, W], contiguous, levels already scaled. It is the caller's, who
                writes over it after the call.

        Returns:
            float32 [N, 4 + C, A], the dense head.
        """
        ...


class OnnxRuntime:
    """ONNX Runtime, on the CPU or on a CUDA device.

    Args:
        file: The ONNX graph.
        tensor_name: Its input.
        output_name: Its output.
        threads: CPU threads a run may use; None leaves it to ONNX Runtime (one a core).
        gpu_id: CUDA device, None for the CPU.

    Raises:
        RuntimeFailed: ONNX Runtime is not installed, cannot load the graph, or lacks the device.
    """

    def __init__(
        self,
        file: Path,
        *,
        tensor_name: str,
        output_name: str,
        threads: int | None,
        gpu_id: int | None = None,
    ) -> None:
        import onnxruntime  # noqa: PLC0415 - a worker of another runtime may lack it

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; at the default it warns of each graph rewrite
        options.intra_op_num_threads = threads or 0
        # Threads that spin between two runs take the cores of the workers beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if gpu_id is not None:
            onnxruntime.preload_dlls()  # CUDA's libraries lie in wheels, off the loader's path
        providers = _providers(gpu_id)
        self._session = _load(
            file, lambda: onnxruntime.InferenceSession(str(file), options, providers=providers)
        )
        if gpu_id is not None and "CUDAExecutionProvider" not in self._session.get_providers():
            raise RuntimeFailed(
                f"{file.name}: ONNX Runtime cannot use CUDA device {gpu_id} here; "
                "mend its CUDA libraries or serve on the CPU (TorchServe: number_of_gpu=0)"
            )
        _require_name(file, "input", tensor_name, self._session.get_inputs())
        _require_name(file, "output", output_name, self._session.get_outputs())
        self._tensor_name, self._output_names = tensor_name, [output_name]

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph once; see `Runtime.run`."""
        (head,) = self._session.run(self._output_names, {self._tensor_name: batch})
        return np.asarray(head, np.float32)


class TorchScriptRuntime:
    """A traced or scripted PyTorch module, on the CPU or on a CUDA device.

    Args:
        file: The TorchScript archive. A module that answers a sequence is taken by its first item.
        threads: CPU threads a run may use, for the whole process: a worker holds one model.
        gpu_id: CUDA device, None for the CPU.

    Raises:
        RuntimeFailed: PyTorch is not installed or cannot load the module.
    """

    def __init__(self, file: Path, *, threads: int | None, gpu_id: int | None = None) -> None:
        import torch  # noqa: PLC0415 - half a gigabyte that ONNX variants never touch

        self._torch = torch
        if threads is not None:
            self._torch.set_num_threads(threads)
        self._device = "cpu" if gpu_id is None else f"cuda:{gpu_id}"
        load = cast("Callable[..., torch.jit.ScriptModule]", torch.jit.load)  # it is untyped
        self._module = _load(file, lambda: load(str(file), map_location=self._device).eval())

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the module once; see `Runtime.run`."""
        with self._torch.inference_mode():
            output = self._module(self._torch.from_numpy(batch).to(self._device))
        head = output[0] if isinstance(output, tuple | list) else output
        return np.asarray(head.float().cpu().numpy(), np.float32)


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
    names = {"tensor_name": card.input.tensor_name, "output_name": card.input.output_name}
    if variant.runtime == "onnxruntime":
        return OnnxRuntime(file, **names, threads=threads, gpu_id=gpu_id)
    if variant.runtime == "torchscript":
        return TorchScriptRuntime(file, threads=threads, gpu_id=gpu_id)
    raise CardError(
        f"card.json: variants: {variant.name}: runtime must be onnxruntime or torchscript, "
        f"got {variant.runtime!r}"
    )


def _providers(gpu_id: int | None) -> list[Any]:
    cpu = "CPUExecutionProvider"
    return [cpu] if gpu_id is None else [("CUDAExecutionProvider", {"device_id": gpu_id}), cpu]


def _load(file: Path, load: Callable[[], T]) -> T:
    try:
        return load()
    except Exception as error:  # each engine has its own exceptions, some of them private
        raise RuntimeFailed(f"{file.name}: does not load: {error}") from error


def _require_name(file: Path, role: str, name: str, tensors: Sequence[Any]) -> None:
    names = [tensor.name for tensor in tensors]
    if name not in names:
        raise RuntimeFailed(
            f"{file.name}: the card names its {role} {name!r}, but the graph has {names}"
        )
