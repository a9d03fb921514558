"""What the demo measured: the numbers, their table and `report.json`."""

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.table import Table

from distill_jobs.files import write_atomically
from serving.machine import Machine
from understudy.demo.fleet import Outcome, Sent

MIB = 1024**2


@dataclass(frozen=True)
class ArmFigures:
    """One arm, as it was trained, archived and served.

    Attributes:
        archive: File name of its archive.
        variant: What answered: "onnxruntime-int8".
        parameters: Of the network.
        weights_bytes: Of the variant's weights in the archive.
        memory_bytes: Resident memory of its worker process while serving; TorchServe's own share
            (Python, torch) included.
        map50: On the held-out split, of the variant that served.
        map50_95: Likewise.
        model_p50_ms: Median run of the model alone on one image.
        model_p99_ms: 99th percentile of it.
        served_p50_ms: Median from a camera's request to its answer, both arms under load.
        served_p99_ms: 99th percentile of it.
        requests: Frames that it answered.
    """

    archive: str
    variant: str
    parameters: int
    weights_bytes: int
    memory_bytes: int
    map50: float
    map50_95: float
    model_p50_ms: float
    model_p99_ms: float
    served_p50_ms: float
    served_p99_ms: float
    requests: int


@dataclass(frozen=True)
class Report:
    """Everything `report.json` holds.

    Attributes:
        teacher: One arm.
        student: The other.
        retention_map50: Student over teacher.
        requests: Frames that cameras sent.
        failed: Frames that were refused within their deadline.
        hung: Frames that got no answer within their deadline.
        strays: Frames sent after the swap was complete and still answered by the teacher.
        errors: What failed and hung frames were told, with their number.
        swap_seconds: From asking for the swap to every camera's first answer by the student.
        rollback_seconds: From asking to go back to the first answer by the teacher.
        cameras: How many, half of them over gRPC, half over HTTP.
        seconds: Of each part of the demo, in order.
        machine: What it ran on.
        finished: UTC.
    """

    teacher: ArmFigures
    student: ArmFigures
    retention_map50: float
    requests: int
    failed: int
    hung: int
    strays: int
    errors: dict[str, int]
    swap_seconds: float
    rollback_seconds: float
    cameras: int
    seconds: dict[str, float]
    machine: str
    finished: str

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        write_atomically(path, text.encode())


def count(sent: Sequence[Sent], outcome: Outcome) -> int:
    """Return how many frames came out so."""
    return sum(one.outcome is outcome for one in sent)


def errors(sent: Sequence[Sent]) -> dict[str, int]:
    """Return how often each error was told."""
    told: dict[str, int] = {}
    for one in sent:
        if one.error:
            told[one.error] = told.get(one.error, 0) + 1
    return told


def latency_ms(sent: Sequence[Sent], arm: str) -> tuple[float, float]:
    """Return p50 and p99 of an arm's answers in milliseconds.

    Raises:
        ValueError: The arm answered nothing.
    """
    waited = [one.latency_s * 1000 for one in sent if one.arm == arm]
    if not waited:
        raise ValueError(f"{arm} answered no frame: nothing to measure")
    p50, p99 = np.percentile(waited, (50, 99))
    return float(p50), float(p99)


def variant_of(sent: Sequence[Sent], arm: str) -> str:
    """Return which variant gave most of an arm's answers; each worker chooses its own.

    Raises:
        ValueError: The arm answered nothing.
    """
    answered = Counter(one.variant for one in sent if one.arm == arm)
    if not answered:
        raise ValueError(f"{arm} answered no frame: nobody served")
    return answered.most_common(1)[0][0]


def machine() -> str:
    """Return what this machine is, in a line."""
    here = Machine.here()
    return f"{here.cpu}, {here.cores} cores, Python {platform.python_version()}"


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def table(report: Report) -> Table:
    """Return teacher and student side by side, for 80 columns."""
    result = Table(title="Teacher and student", title_justify="left", box=None, pad_edge=False)
    result.add_column("")
    for name in ("teacher", "student", "student / teacher"):
        result.add_column(name, justify="right")
    result.add_row("variant that serves", report.teacher.variant, report.student.variant, "")
    for label, digits, unit, values in _rows(report.teacher, report.student):
        left, right = values
        ratio = f"{right / left:.2f}" if left else "-"
        result.add_row(label, *(f"{value:,.{digits}f}{unit}" for value in values), ratio)
    return result


def _rows(
    teacher: ArmFigures, student: ArmFigures
) -> list[tuple[str, int, str, tuple[float, float]]]:
    arms = (teacher, student)

    def both(name: str, scale: float = 1.0) -> tuple[float, float]:
        left, right = (getattr(arm, name) * scale for arm in arms)
        return left, right

    return [
        ("parameters", 0, "", both("parameters")),
        ("its weights", 2, " MiB", both("weights_bytes", 1 / MIB)),
        ("worker's memory", 0, " MiB", both("memory_bytes", 1 / MIB)),
        ("mAP50, held out", 3, "", both("map50")),
        ("mAP50-95, held out", 3, "", both("map50_95")),
        ("model alone, p50", 2, " ms", both("model_p50_ms")),
        ("model alone, p99", 2, " ms", both("model_p99_ms")),
        ("camera to answer, p50", 1, " ms", both("served_p50_ms")),
        ("camera to answer, p99", 1, " ms", both("served_p99_ms")),
    ]
