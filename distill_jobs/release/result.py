"""What came of a release."""

from dataclasses import dataclass
from pathlib import Path

from distill_jobs.release.bootstrap import Bounded
from distill_jobs.release.checks import Check
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.thresholds import ClassThreshold
from proto.wire.v1 import card_pb2


@dataclass(frozen=True)
class Latency:
    """How long the model's run takes on one letterboxed image.

    Attributes:
        p50_ms: Median.
        p99_ms: 99th percentile.
        runs: How many were timed.
        threads: How many the runtime had.
    """

    p50_ms: float
    p99_ms: float
    runs: int
    threads: int


@dataclass(frozen=True)
class VariantResult:
    """A runtime and precision that passed.

    Attributes:
        name: "RUNTIME-PRECISION".
        file: Its weights in the archive.
        file_bytes: Their size.
        quality: None where there are no labels.
        latency: Of one image.
        matched_f1: Detections matched with PyTorch's, crossings of the threshold forgiven.
        strict_f1: The same, not forgiven.
        f1: `matched_f1` and its bounds.
        drop_map50_95: What a reduced precision loses, and its bounds; None for FP32.
    """

    name: str
    file: str
    file_bytes: int
    quality: Quality | None
    latency: Latency
    matched_f1: float
    strict_f1: float
    f1: Bounded | None = None
    drop_map50_95: Bounded | None = None


@dataclass(frozen=True)
class ReleaseResult:
    """A release that passed; where its request holds it back, its archive is not there yet.

    Attributes:
        archive: NAME-VERSION.mar in the model store.
        signature: Beside it.
        card: As in the archive.
        quality: Of the checkpoint itself, in PyTorch; None: unmeasured.
        variants: Fastest first; the first is the default.
        left_out: Why a variant that was asked for is not in the card, by name.
        file_bytes: Of the archive; 0 before there is one.
        parameters: Of the checkpoint.
        sha256: Of the archive; "" likewise.
        checks: What the gate held against its limits.
        thresholds: Why each class's operating threshold is what it is.
    """

    archive: Path
    signature: Path
    card: card_pb2.Card
    quality: Quality | None
    variants: tuple[VariantResult, ...]
    left_out: dict[str, str]
    file_bytes: int
    parameters: int
    sha256: str
    checks: tuple[Check, ...] = ()
    thresholds: tuple[ClassThreshold, ...] = ()
