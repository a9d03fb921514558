"""PyTorch as an engine of variants."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handlers.weights import import_engine, open_weights


class TorchScriptRuntime:
    """A traced or scripted PyTorch module, on the CPU or on a CUDA device.

    Args:
        file: The TorchScript archive. A module that answers a sequence is taken by its first item.
        threads: CPU threads a run may use, for the whole process: a worker holds one model.
        gpu_id: CUDA device, None for the CPU.
        content: The archive's bytes, where they were read before: the file is not read again.

    Raises:
        RuntimeFailed: PyTorch is not installed or cannot load the module.
    """

    def __init__(
        self,
        file: Path,
        *,
        threads: int | None,
        gpu_id: int | None = None,
        content: BinaryIO | None = None,
    ) -> None:
        # Here and not above: half a gigabyte that the other runtimes never touch.
        self._torch = import_engine("torch", "torch")
        if threads is not None:
            self._torch.set_num_threads(threads)
        self._device = "cpu" if gpu_id is None else f"cuda:{gpu_id}"
        source = content or str(file)
        self._module: Any = open_weights(
            file, lambda: self._torch.jit.load(source, map_location=self._device).eval()
        )

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the module once; see `handlers.runtimes.Runtime.run`."""
        with self._torch.inference_mode():
            output = self._module(self._torch.from_numpy(batch).to(self._device))
        head = output[0] if isinstance(output, tuple | list) else output
        return np.asarray(head.float().cpu().numpy(), np.float32)
