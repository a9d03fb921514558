"""OpenVINO as an engine of variants: it reads the same ONNX graphs, on the CPU."""

import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handlers.errors import CardError, RuntimeFailed
from handlers.weights import import_engine, open_weights, require_name

# In what everything is computed that the graph itself does not quantize.
_FLOATS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8bf16": "bf16"}
# Their import sends a message to Intel's statistics, and nothing here converts a model.
_CONVERSION_TOOLS = "openvino.tools.ovc"


class OpenVinoRuntime:
    """OpenVINO on the CPU; a graph with free height and width takes any, and keeps what it made.

    Args:
        file: The ONNX graph.
        tensor_name: Its input.
        output_name: Its output.
        precision: "fp32" or "bf16"; "int8" where the graph is quantized, "int8bf16" with bfloat16
            for what the graph leaves float.
        threads: CPU threads a run may use; None leaves it to OpenVINO (one a core).

    Raises:
        CardError: There is no such precision.
        RuntimeFailed: OpenVINO is not installed, cannot load the graph, or has no bfloat16 here.
    """

    def __init__(
        self,
        file: Path,
        *,
        tensor_name: str,
        output_name: str,
        precision: str,
        threads: int | None,
    ) -> None:
        if precision not in _FLOATS:
            raise CardError(
                f"card.json: variants: openvino-{precision}: precision must be one of "
                f"{', '.join(_FLOATS)}"
            )
        openvino, core = _engine()
        floats = _FLOATS[precision]
        if floats == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeFailed(f"{file.name}: OpenVINO has no bfloat16 on this processor")
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": floats,
            "NUM_STREAMS": 1,
            # Pinned, each worker's first thread takes the machine's first core.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = open_weights(
            file, lambda: core.compile_model(core.read_model(str(file)), "CPU", options)
        )
        require_name(file, "input", tensor_name, _names(compiled.inputs))
        require_name(file, "output", output_name, _names(compiled.outputs))
        self._tensor_name, self._output_name = tensor_name, output_name
        self._tensor = openvino.Tensor
        self._request = compiled.create_infer_request()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph once; see `handlers.runtimes.Runtime.run`."""
        self._request.set_tensor(self._tensor_name, self._tensor(batch, shared_memory=True))
        self._request.infer()
        # The request's own memory, which the next run writes over: one copy (0.07 ms for COCO's
        # 84 x 8400) and the answer outlives it.
        return np.array(self._request.get_tensor(self._output_name).data, np.float32)


@cache
def _engine() -> tuple[Any, Any]:
    """Return OpenVINO and its one core, which lives as long as the process.

    Each core's CPU plugin gives its thread another stack for signals and puts back the one it found
    when it goes. Of two that do not go in turn, or in another thread, one leaves a stack behind
    that is no memory any more, and the next signal kills the process.
    """
    openvino = _import_openvino()
    return openvino, openvino.Core()


def _import_openvino() -> Any:
    """Import OpenVINO without its conversion tools, which it does not need to run a graph."""
    absent = _CONVERSION_TOOLS not in sys.modules
    if absent:
        sys.modules[_CONVERSION_TOOLS] = cast("ModuleType", None)  # importing it fails, quietly
    try:
        return import_engine("openvino", "openvino")
    finally:
        if absent:
            del sys.modules[_CONVERSION_TOOLS]


def _names(ports: Any) -> list[str]:
    return [name for port in ports for name in port.get_names()]
