"""The teacher of a labelling, and how it looks at a frame."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from distill_jobs.checkpoints import class_names, digest, load_detector
from distill_jobs.environment import offline
from distill_jobs.errors import CheckpointRefused

if TYPE_CHECKING:
    from distill_jobs.training.teachers.found import BoxFinder, Found


class Asked(BaseModel):
    """Who labels, and how: as a `further_teachers:` of a job that gives boxes would.

    Attributes:
        weights: A checkpoint that ultralytics loads.
        sha256: Of that file; "" before it was read.
        image_size: Side of its square input, pixels.
        min_score: Detections below it are left out.
        device: "cpu" or "cuda".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Path
    sha256: str = ""
    image_size: int
    min_score: float
    device: str = "cpu"

    def read(self) -> "Asked":
        """Return the same with the digest of the file, which is one that can be used.

        Raises:
            CheckpointRefused: It cannot.
        """
        load_detector(self.weights)
        return self.model_copy(update={"sha256": digest(self.weights)})


class Labeller:
    """A teacher that is loaded; nothing of ultralytics is before it, on a cluster's nodes too.

    Args:
        asked: Which, and how it looks.

    Attributes:
        class_names: Of the teacher; index = class id.

    Raises:
        CheckpointRefused: The file is not the one that the labelling began with.
    """

    def __init__(self, asked: Asked) -> None:
        offline()
        import torch  # noqa: PLC0415  # heavy

        from distill_jobs.training.teachers.checkpoint import finder_of  # noqa: PLC0415  # likewise
        from distill_jobs.training.teachers.classes import ClassMap  # noqa: PLC0415  # likewise
        from distill_jobs.training.teachers.found import (  # noqa: PLC0415  # likewise
            Selection,
            SourceImage,
        )

        # The same answers whatever the machine: sums depend on how many share them.
        torch.set_num_threads(1)
        if digest(asked.weights) != asked.sha256:
            raise CheckpointRefused(
                asked.weights, "is not the file that this labelling began with, on this machine"
            )
        model = load_detector(asked.weights)
        self.class_names = class_names(model)
        every_class = tuple(range(len(self.class_names)))
        selection = Selection(ClassMap(every_class, len(every_class)), asked.min_score)
        self._source = SourceImage
        self._finder: BoxFinder = finder_of(
            model, asked.sha256, selection, asked.image_size, torch.device(asked.device)
        )

    def find(self, image: Path) -> "Found":
        """Find the objects of an image file.

        Raises:
            DataSetInvalid: It does not decode.
        """
        return self._finder.find(self._source(image))


@lru_cache(maxsize=1)
def labeller(asked: Asked) -> Labeller:
    """Return a process's one teacher: it is loaded with the first shard."""
    return Labeller(asked)
