"""Triton's Python backend: `initialize` and `execute`, as its documentation shows them.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/python_backend
"""

import json
import os
import site
import sys
from typing import Any

# The backend's interpreter is isolated: it ignores PYTHONPATH and knows no virtual environment.
site.addsitedir(os.environ["BENCH_PEER_PACKAGES"])
sys.path.insert(0, os.environ["BENCH_PEERS"])

import detector
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Takes IMAGE, BYTES [N, 1], gives DETECTIONS, BYTES [N, 1], JSON."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; Triton calls it once an instance."""
        del args
        self._detector = detector.load(detector.PeerSettings.read())

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer what Triton's dynamic batcher put together."""
        images = [
            bytes(pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().item())
            for request in requests
        ]
        responses = []
        for answer in self._detector.detect(images):
            document = np.array([[json.dumps(answer).encode()]], object)
            tensor = pb_utils.Tensor("DETECTIONS", document)
            responses.append(pb_utils.InferenceResponse([tensor]))
        return responses
