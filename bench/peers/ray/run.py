"""A detector under Ray Serve, batched as its documentation shows.

https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import serve
from ray.serve.config import HTTPOptions

sys.path.insert(0, str(Path(__file__).parents[1]))
import detector

# As LitServe's: its default of 10 ms would only keep a lone request waiting.
_BATCH_TIMEOUT_S = 0.001
_OBJECT_STORE_BYTES = 256 * 2**20
_SETTINGS = detector.PeerSettings.read()


@serve.deployment(
    num_replicas=_SETTINGS.workers, max_ongoing_requests=128, ray_actor_options={"num_cpus": 1}
)
class Detector:
    """A JPEG as the body, detections as JSON."""

    def __init__(self) -> None:
        """Load the model, once a replica."""
        self._detector = detector.load(_SETTINGS)

    @serve.batch(max_batch_size=_SETTINGS.max_batch, batch_wait_timeout_s=_BATCH_TIMEOUT_S)
    async def detect(self, images: list[bytes]) -> list[detector.Answer]:
        """Answer a batch."""
        return self._detector.detect(images)

    async def __call__(self, request: Any) -> detector.Answer:
        """Answer a request."""
        answer: detector.Answer = await self.detect(await request.body())
        return answer


if __name__ == "__main__":
    ray.init(
        num_cpus=max(2, _SETTINGS.workers),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}},
        _temp_dir=sys.argv[1],
    )
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=_SETTINGS.port))
    serve.run(Detector.bind())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
