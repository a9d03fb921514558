"""A detector under LitServe, as its documentation has batched image APIs.

https://lightning.ai/docs/litserve/features/batching
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import litserve as ls
from fastapi import Request

sys.path.insert(0, str(Path(__file__).parents[1]))
import detector

# Its documentation's examples wait 10 to 50 ms for a batch; a busy worker lets the queue fill
# anyway, so less is better for a lone request and costs no throughput. At 0 its loop spins.
_BATCH_TIMEOUT_S = 0.001


class DetectorAPI(ls.LitAPI):
    """An image as the multipart field `image`, detections as JSON."""

    def setup(self, device: str) -> None:
        """Load the model, once a worker."""
        del device
        self._detector = detector.load(detector.PeerSettings.read())

    def decode_request(self, request: Request) -> bytes:
        """Take the image out of the form."""
        image: bytes = request["image"].file.read()
        return image

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Keep a batch as a list: the images differ in size."""
        return list(inputs)

    def predict(self, images: Sequence[bytes]) -> list[detector.Answer]:
        """Answer a batch."""
        return self._detector.detect(images)

    def unbatch(self, output: list[detector.Answer]) -> list[detector.Answer]:
        """Hand out a batch's answers."""
        return output

    def encode_response(self, output: detector.Answer) -> detector.Answer:
        """Give JSON."""
        return output


if __name__ == "__main__":
    settings = detector.PeerSettings.read()
    api = DetectorAPI(max_batch_size=settings.max_batch, batch_timeout=_BATCH_TIMEOUT_S)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=settings.workers, timeout=60)
    server.run(
        host="127.0.0.1", port=settings.port, generate_client_file=False, log_level="warning"
    )
