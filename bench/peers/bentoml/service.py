"""A detector under BentoML: a multipart image in, as its YOLO example, and adaptive batching.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

sys.path.insert(0, str(Path(__file__).parents[1]))
import detector

_SETTINGS = detector.PeerSettings.read()


@bentoml.service(workers=_SETTINGS.workers, traffic={"timeout": 60}, metrics={"enabled": False})
class Detector:
    """An image as the multipart field `images`, a list of one answer as JSON."""

    def __init__(self) -> None:
        """Load the model, once a worker."""
        self._detector = detector.load(_SETTINGS)

    @bentoml.api(batchable=True, max_batch_size=_SETTINGS.max_batch, max_latency_ms=60_000)
    def detect(
        self, images: list[Annotated[Path, ContentType("image/jpeg")]]
    ) -> list[dict[str, Any]]:
        """Answer a batch."""
        return self._detector.detect([image.read_bytes() for image in images])
