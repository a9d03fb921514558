"""A training as TensorBoard shows it: losses, quality, α, scores, and both models' pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_jobs.release.pictures import Image
from distill_jobs.tracking.pictures import jpeg, picture_of
from distill_jobs.training.listening import EpochSeen, FrameSeen

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# Running both models and storing pictures costs time and megabytes: ten times a training is enough.
_LOOKS = 10


class TensorBoardLog:
    """Writes event files: an `EpochListener`.

    The step of every value is the epoch, counted from 1. A training that goes on after a kill tells
    TensorBoard to forget what it had written of the epochs that are trained again.

    Args:
        folder: Of the event files; `tensorboard --logdir RUN_DIR` finds it.
        class_names: Index = class id.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        self._folder = folder
        self._class_names = class_names
        self._writer: SummaryWriter | None = None

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Write an epoch's values, and now and then its scores and pictures.

        Raises:
            OSError: The event file cannot be written.
        """
        step = seen.epoch + 1
        writer = self._writer or self._open(step)
        for tag, value in scalars_of(seen).items():
            writer.add_scalar(tag, value, step)
        if looks_closely(seen):
            for place, frame in enumerate(seen.fixed_frames()):
                self._write_frame(writer, frame, place, step)
        writer.flush()
        if seen.last:
            writer.close()
            self._writer = None

    def _open(self, step: int) -> "SummaryWriter":
        # TensorBoard is heavy, and only a training needs it.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(self._folder), purge_step=step)
        return self._writer

    def _write_frame(
        self, writer: "SummaryWriter", frame: FrameSeen, place: int, step: int
    ) -> None:
        for role, scores in (("student", frame.student_scores), ("teacher", frame.teacher_scores)):
            if scores.size:
                writer.add_histogram(f"scores/{place}/{role}", scores, step)
        _add_jpeg(writer, f"frames/{place}", picture_of(frame, self._class_names), step)


def _add_jpeg(writer: "SummaryWriter", tag: str, picture: Image, step: int) -> None:
    """Add a picture as JPEG.

    `add_image` encodes PNG: a fifth of a second and half a megabyte a picture, where JPEG takes
    hundredths and a tenth.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415  # heavy

    height, width = picture.shape[:2]
    image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=jpeg(picture)
    )
    # What `add_image` does once it has encoded.
    file_writer: Any = writer.file_writer
    file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def looks_closely(seen: EpochSeen) -> bool:
    """Return whether the fixed frames are looked at: after the first, the last and a tenth each."""
    every = max(1, seen.epochs // _LOOKS)
    return seen.epoch == 0 or seen.last or (seen.epoch + 1) % every == 0


def scalars_of(seen: EpochSeen) -> dict[str, float]:
    """Return an epoch's values by the tag that TensorBoard and MLflow show them under.

    Tags: `train/LOSS`, `val/LOSS`, `quality/map50` and so on, `alpha`, `learning_rate/GROUP`,
    `seconds` (since the training began).
    """
    quality = {
        tag if tag.startswith("val/") else f"quality/{tag}": value
        for tag, value in seen.validation.items()
    }
    rates = {f"learning_rate/{place}": rate for place, rate in enumerate(seen.learning_rates)}
    losses = {f"train/{name}": value for name, value in seen.losses.items()}
    return {**losses, **quality, **rates, "alpha": seen.alpha, "seconds": seen.seconds}
