"""What every measurement shares: what is served, what is sent, and where scratch lies."""

import gc
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.detector import OnnxDetector, PeerSettings
from bench.serve.answers import Answer
from bench.serve.contestants import FP32, MAX_BATCH, OURS, PEERS, TORCHSERVE, Contestant
from bench.serve.images import MIXED, jpegs
from bench.serve.loading import Pictures
from bench.serve.material import SIDE_PX, Material
from serving.boxes import Boxes


@dataclass(frozen=True)
class Workplace:
    """One run of the benchmark.

    Attributes:
        made: What is served.
        scratch: Folder for one server at a time.
        last_peer: File that says which peer was started last, for the run after a killed one.
        kept: Pictures by kind, made when they are first wanted.
    """

    made: Material
    scratch: Path
    last_peer: Path
    kept: dict[str, Pictures] = field(default_factory=dict)

    def pictures(self, kind: str = MIXED) -> Pictures:
        """Return the images of a kind, with what the peers' graph finds in them."""
        if kind not in self.kept:
            images = jpegs(self.made.data, kind)
            self.kept[kind] = Pictures(images, self._reference(images))
        return self.kept[kind]

    @property
    def threshold(self) -> float:
        """The lowest score that is served."""
        return min(self.made.cards["n"].post_processing.operating_thresholds)

    def variant_of(self, contestant: Contestant, best: str | None) -> str | None:
        """Return the variant that a contestant is pinned to.

        Args:
            contestant: Who.
            best: What the archive chose where nobody pinned it; None where that is being asked.
        """
        if contestant.path != FP32:
            return best
        ours = contestant.server in {OURS, TORCHSERVE} or contestant.server not in PEERS
        return self.made.variant(FP32) if ours else None

    def _reference(self, images: list[bytes]) -> list[Answer]:
        rules = self.made.cards["n"].post_processing
        settings = PeerSettings(
            onnx=str(self.made.onnx),
            archive=None,
            variant=None,
            thresholds=tuple(rules.operating_thresholds),
            iou_threshold=rules.iou_threshold,
            max_detections=rules.max_detections,
            side_px=SIDE_PX,
            workers=1,
            threads=1,
            spinning=False,
            max_batch=MAX_BATCH,
            port=0,
        )
        detector = OnnxDetector(settings)
        answers = [
            Answer(Boxes.of(_flat(one["boxes"]), one["classes"], one["scores"]))
            for image in images
            for one in detector.detect([image])
        ]
        del detector
        gc.collect()
        return answers


def _flat(boxes: list[list[float]]) -> list[float]:
    return [edge for box in boxes for edge in box]
