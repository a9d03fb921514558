"""What a run left behind, read from its steps' markers: needs neither torch nor the archives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_jobs.run_folder import RunFolder


@dataclass(frozen=True)
class VariantFigures:
    """One runtime and precision of an archive.

    Attributes:
        name: "onnxruntime-int8".
        file_bytes: Of its weights.
        map50: On the held-out split, 0 to 1.
        map50_95: Likewise.
        p50_ms: Median latency of one image, model only.
        p99_ms: 99th percentile.
        matched_f1: Agreement with PyTorch's detections, crossings of the threshold forgiven.
        strict_f1: The same, not forgiven; None in runs that did not note it.
    """

    name: str
    file_bytes: int
    map50: float | None
    map50_95: float | None
    p50_ms: float
    p99_ms: float
    matched_f1: float
    strict_f1: float | None = None


@dataclass(frozen=True)
class ModelResult:
    """A teacher or a student at the end of a run.

    Attributes:
        role: "teacher" or "student".
        checkpoint: Plain ultralytics checkpoint.
        checkpoint_bytes: Its size.
        parameters: How many.
        train_seconds: How long it was trained in the process that finished it; 0: not trained.
        map50: Of the checkpoint on the held-out split, 0 to 1; None before it was measured.
        map50_95: Likewise.
        images: How many held-out images.
        archive: NAME-VERSION.mar, or None when the job releases nothing.
        signature: Beside it.
        archive_bytes: Its size.
        variants: Fastest first.
        left_out: Why a variant is not in the card, by name.
    """

    role: str
    checkpoint: Path
    checkpoint_bytes: int
    parameters: int
    train_seconds: float
    map50: float | None
    map50_95: float | None
    images: int
    archive: Path | None
    signature: Path | None
    archive_bytes: int
    variants: tuple[VariantFigures, ...]
    left_out: dict[str, str]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        run_dir: Its folder.
        data: Staged or drawn `data.yaml`.
        teacher: The model that was learnt from.
        student: The model that learnt; None when the job trains a teacher alone.
    """

    run_dir: Path
    data: Path
    teacher: ModelResult
    student: ModelResult | None

    @property
    def retention_map50(self) -> float | None:
        """Student's mAP50 over its teacher's; None without both."""
        if self.student is None or self.student.map50 is None or not self.teacher.map50:
            return None
        return self.student.map50 / self.teacher.map50


def read_result(folder: RunFolder) -> RunResult:
    """Gather the figures of a finished run."""
    teacher = read_model(folder, "teacher")
    if teacher is None:
        raise RuntimeError("read_result is for finished runs")
    return RunResult(
        run_dir=folder.path,
        data=folder.data / "data.yaml",
        teacher=teacher,
        student=read_model(folder, "student"),
    )


def read_model(folder: RunFolder, role: str) -> ModelResult | None:
    """Return what is known of a model so far, or None before it is trained."""
    trained = folder.figures(role)
    if trained is None or not trained.get("parameters"):
        return None
    released = folder.figures(f"release-{role}") or {}
    if role == "teacher":  # its archive waits for the student to pass
        released |= (folder.figures("release-student") or {}).get("teacher_archive", {})
    archive, signature = released.get("archive"), released.get("signature")
    checkpoint = folder.checkpoint(role)
    return ModelResult(
        role=role,
        checkpoint=checkpoint,
        checkpoint_bytes=checkpoint.stat().st_size if checkpoint.exists() else 0,
        parameters=trained["parameters"],
        train_seconds=trained["train_seconds"],
        map50=released.get("map50"),
        map50_95=released.get("map50_95"),
        images=released.get("images", 0),
        archive=Path(archive) if archive else None,
        signature=Path(signature) if signature else None,
        archive_bytes=released.get("archive_bytes", 0),
        variants=tuple(_variant(one) for one in released.get("variants", ())),
        left_out=dict(released.get("left_out", {})),
    )


@dataclass(frozen=True)
class Validated:
    """What a checkpoint that was kept scores on the validation split, measured as a release is.

    Attributes:
        map50_95: 0 to 1.
        settled: Whether its batch norms were measured anew; else it keeps those of its training.
    """

    map50_95: float
    settled: bool


def validated(folder: RunFolder, role: str) -> Validated | None:
    """Return what a finished model scores; None where its batch norms were frozen: see its curves.

    Args:
        folder: Of its run.
        role: "teacher" or "student".
    """
    norms = (folder.figures(role) or {}).get("batch_norms")
    if not norms:
        return None
    return Validated(float(norms[norms["kept"]]), norms["kept"] == "settled")


def _variant(figures: dict[str, Any]) -> VariantFigures:
    return VariantFigures(**figures)
