"""ONNX Runtime as an engine of variants."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.errors import RuntimeFailed
from handlers.weights import import_engine, open_weights, require_name


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
        # Else it leaves an identity of the machine in the home folder, and reports to its makers.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        onnxruntime = import_engine("onnxruntime", "onnxruntime-gpu or onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; at the default it warns of each graph rewrite
        options.intra_op_num_threads = threads or 0
        # Threads that spin between two runs take the cores of the workers beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if gpu_id is not None:
            onnxruntime.preload_dlls()  # CUDA's libraries lie in wheels, off the loader's path
        providers = _providers(gpu_id)
        self._session: Any = open_weights(
            file, lambda: onnxruntime.InferenceSession(str(file), options, providers=providers)
        )
        if gpu_id is not None and "CUDAExecutionProvider" not in self._session.get_providers():
            raise RuntimeFailed(
                f"{file.name}: ONNX Runtime cannot use CUDA device {gpu_id} here; "
                "mend its CUDA libraries or serve on the CPU (TorchServe: number_of_gpu=0)"
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        require_name(file, "input", tensor_name, (one.name for one in inputs))
        require_name(file, "output", output_name, (one.name for one in outputs))
        self._tensor_name, self._output_names = tensor_name, [output_name]

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph once; see `handlers.runtimes.Runtime.run`."""
        (head,) = self._session.run(self._output_names, {self._tensor_name: batch})
        return np.asarray(head, np.float32)


def _providers(gpu_id: int | None) -> list[Any]:
    cpu = "CPUExecutionProvider"
    return [cpu] if gpu_id is None else [("CUDAExecutionProvider", {"device_id": gpu_id}), cpu]
