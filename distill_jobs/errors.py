"""What can go wrong in a job.

JobError
├── JobFileInvalid          a value of the job file: names the file, the line and the key
├── DataSetInvalid          a data set whose files or labels do not fit
│   ├── DataChanged         the data set is no longer the one that the run locked
│   ├── DuplicatesFound     one picture lies on two sides of a split
│   └── TooFaulty           more of a data set is broken than the job lets through
├── CheckpointRefused       a file that is not a detector we can load
│   ├── WrongTask           a segmentation, pose, classification... checkpoint
│   └── LegacyCheckpoint    a YOLOv5 pickle of the old repository
├── HeadsDiffer             teacher and student cannot be compared anchor by anchor
├── TrainingFailed          training ended without a usable model
│   └── LossNotFinite       a loss became NaN or infinite: names the batch, and keeps it
├── RunFolderInvalid        the folder holds another run, or none
└── ReleaseError            no archive was made, or it cannot be trusted
    ├── ReleaseInvalid      a value of the request: names the field
    ├── UnsupportedModel    a head or an image size that cannot be exported
    ├── ReleaseExists       the name and version are taken: archives are immutable
    ├── NoVariantLeft       no exported file answers as the checkpoint does
    ├── GateRefused         the student is not good enough
    ├── ArchiveFailed       the archiver or the model store failed
    └── SignatureError      a key or a signature is missing, damaged or does not fit
"""

from dataclasses import dataclass
from pathlib import Path


class JobError(Exception):
    """Every error of this package; its message says what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class JobFileInvalid(JobError):
    """A value of the job file breaks its limit.

    Attributes:
        file: The job file.
        line: 1-based line of the value, or of the section that lacks it.
        key: Dotted path of the value: "training.epochs".
    """

    def __init__(self, file: Path, line: int, key: str, problem: str) -> None:
        super().__init__(f"{file}:{line}: {key}: {problem}" if key else f"{file}:{line}: {problem}")
        self.file = file
        self.line = line
        self.key = key


class DataSetInvalid(JobError):
    """Files or labels of a data set do not fit.

    Attributes:
        file: The file at fault.
        line: 1-based line in it, or 0 when the fault is the file itself.
    """

    def __init__(self, file: Path, problem: str, *, line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")
        self.file = file
        self.line = line


class DataChanged(DataSetInvalid):
    """The data set is no longer the one that `data.lock` describes."""


class DuplicatesFound(DataSetInvalid):
    """One picture, or almost the same, lies on two sides of a split.

    Attributes:
        pairs: The files.
    """

    def __init__(self, file: Path, problem: str, *, pairs: tuple[tuple[Path, Path], ...]) -> None:
        super().__init__(file, problem)
        self.pairs = pairs


class TooFaulty(DataSetInvalid):
    """More of a data set is broken than the job lets through."""


class CheckpointRefused(JobError):
    """A file is not a detector that can be loaded.

    Attributes:
        file: The checkpoint.
    """

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file


class WrongTask(CheckpointRefused):
    """The checkpoint was trained for another task than detection.

    Attributes:
        task: What it is for, as ultralytics calls it: "segment", "pose"...
    """

    def __init__(self, file: Path, problem: str, *, task: str) -> None:
        super().__init__(file, problem)
        self.task = task


class LegacyCheckpoint(CheckpointRefused):
    """The checkpoint pickles classes of the old YOLOv5 repository."""


class HeadsDiffer(JobError):
    """Teacher and student heads differ in strides or classes."""


class TrainingFailed(JobError):
    """Training ended without a usable model."""


class LossNotFinite(TrainingFailed):
    """A loss became NaN or infinite.

    Attributes:
        epoch: 0-based.
        batch: Of that epoch, 0-based.
        file: Holds its images and labels, and the weights; `torch.load(weights_only=True)`.
    """

    def __init__(self, message: str, *, epoch: int, batch: int, file: Path) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.file = file


class RunFolderInvalid(JobError):
    """The run folder holds another run, or none that can be resumed.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"{folder}: {problem}")
        self.folder = folder


class ReleaseError(JobError):
    """No archive was made, or it cannot be trusted; the model store is as it was."""


class ReleaseInvalid(ReleaseError):
    """A value of a release request breaks its limit.

    Attributes:
        field: Which one.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class UnsupportedModel(ReleaseError):
    """The model's head or the image size cannot be exported."""


class ReleaseExists(ReleaseError):
    """An archive of this name and version lies in the model store: archives are immutable.

    Attributes:
        archive: The file that is in the way.
    """

    def __init__(self, archive: Path) -> None:
        super().__init__(
            f"{archive} exists and archives are immutable: choose another version, "
            "or remove the archive and its .sig if nothing serves it"
        )
        self.archive = archive


class NoVariantLeft(ReleaseError):
    """No exported file answers as the checkpoint does.

    Attributes:
        reasons: Why, by variant name.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"every variant was left out, so there is nothing to archive. {listed}")
        self.reasons = reasons


@dataclass(frozen=True)
class Failure:
    """One limit of the gate that is broken.

    Attributes:
        rule: Its name in the job file: "min_retention_map50".
        subject: What of it: a class, a size; "" for all.
        measured: What was held against the limit: a share, bytes or a ratio.
        limit: What the rule asks for, in the same.
        complaint: Both in words, and by how much.
    """

    rule: str
    subject: str
    measured: float
    limit: float
    complaint: str


class GateRefused(ReleaseError):
    """The student breaks limits of the gate.

    Attributes:
        failures: Every one of them.
    """

    def __init__(self, failures: tuple[Failure, ...], report: Path | None = None) -> None:
        listed = "\n  ".join(failure.complaint for failure in failures)
        told = f"the gate refuses this student; nothing was released.\n  {listed}\n"
        where = f"All figures: {report}. " if report else ""
        remedy = "Train longer, take a larger student, or change the limits in the job file."
        super().__init__(f"{told}{where}{remedy}")
        self.failures = failures


class ArchiveFailed(ReleaseError):
    """The archiver or the model store failed; no archive was left."""


class SignatureError(ReleaseError):
    """A key or a signature is missing, damaged, or does not fit the archive."""
