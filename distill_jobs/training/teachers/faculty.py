"""All teachers of one training, and what the training split has to carry for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Reporter
from distill_jobs.recipe.teachers import FurtherTeacher, Voice
from distill_jobs.training import ranks
from distill_jobs.training.answers import TeacherModel
from distill_jobs.training.teachers.carried import BoxesTeacher, rows_of
from distill_jobs.training.teachers.found import BoxFinder, Found, SourceImage
from distill_jobs.training.teachers.seating import Classroom, Seat, seat
from distill_jobs.training.teachers.store import AnswerStore

Rows = NDArray[np.float32]
# What ultralytics does to pixels, but for flips, which leave but a few pictures of each image.
_CHANGES = (
    "mosaic",
    "scale",
    "translate",
    "degrees",
    "shear",
    "perspective",
    "hsv_h",
    "hsv_s",
    "hsv_v",
    "mixup",
    "cutmix",
    "copy_paste",
    "multi_scale",
)


@dataclass(frozen=True)
class Staff:
    """What a job says of its teachers.

    Attributes:
        members: The lead first.
        answers: Folder in which their answers are kept.
    """

    members: tuple[FurtherTeacher, ...]
    answers: Path

    @classmethod
    def led_by(
        cls,
        lead: Path,
        voice: Voice,
        further: Sequence[FurtherTeacher] = (),
        *,
        answers: Path,
    ) -> Self:
        """Put the lead at the head of the others.

        Args:
            lead: Its checkpoint, an absolute path.
            voice: How far it is listened to.
            further: The others.
            answers: Folder in which answers are kept.
        """
        said = {name: getattr(voice, name) for name in Voice.model_fields}
        return cls((FurtherTeacher(weights=lead, **said), *further), answers)


@dataclass(frozen=True)
class Faculty:
    """Teachers that are ready.

    Attributes:
        teachers: In the job file's order.
        boxes: Rows that the training split carries (`carried.rows_of`), by staged file name; empty
            where no teacher gives boxes.
    """

    teachers: tuple[TeacherModel, ...]
    boxes: Mapping[str, Rows]


def assemble(
    staff: Staff,
    student: nn.Module,
    *,
    data: Dataset,
    arguments: Any,
    device: torch.device,
    reporter: Reporter,
) -> Faculty:
    """Load every teacher, and let those that give boxes look at each training image once.

    With several processes all must call it; the first one's teachers look, and the others are told.

    Args:
        staff: Who is to teach.
        student: The network to be trained.
        data: The staged data set.
        arguments: Of ultralytics' trainer: augmentation, and `imgsz`.
        device: Where it is trained.
        reporter: Told of the looking, and of every teacher that does less than it might.

    Raises:
        JobError: A teacher cannot be used; the message names it.
    """
    store = AnswerStore(staff.answers)
    images = [SourceImage(sample.image) for sample in data.split("train")]
    room = Classroom(
        student=student,
        class_names=data.class_names,
        images=images,
        image_size=int(arguments.imgsz),
        same_pixels=gives_same_pixels(arguments),
        device=device,
        store=store,
    )
    seats = [seat(member, room) for member in staff.members]
    for member, taken in zip(staff.members, seats, strict=True):
        _tell(member, taken, room, reporter)
    finders = {number: taken.finder for number, taken in enumerate(seats, 1) if taken.finder}
    looked = _look(finders, images, store, reporter) if finders and ranks.leads() else {}
    return Faculty(
        teachers=tuple(
            taken.dense or BoxesTeacher(number, taken.class_map, weight=taken.weight)
            for number, taken in enumerate(seats, 1)
        ),
        boxes=ranks.from_first(looked),
    )


def gives_same_pixels(arguments: Any) -> bool:
    """Return whether augmentation is letterbox and flips alone, so that pixels come back.

    Args:
        arguments: Of ultralytics' trainer.
    """
    return not any(getattr(arguments, name) for name in _CHANGES)


def _look(
    finders: Mapping[int, BoxFinder],
    images: Sequence[SourceImage],
    store: AnswerStore,
    reporter: Reporter,
) -> dict[str, Rows]:
    reporter.stage("teachers look at the images", len(finders) * len(images))
    rows: dict[str, list[Rows]] = {image.path.name: [] for image in images}
    for number, finder in finders.items():
        for image in images:
            rows[image.path.name].append(rows_of(_find(finder, image, store), number))
            reporter.advance()
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _find(finder: BoxFinder, image: SourceImage, store: AnswerStore) -> Found:
    """Ask the store, and else the teacher."""
    key = store.key(finder.identity, image.sha256)
    kept = store.get(key)
    if kept is not None:
        width, height = (int(side) for side in kept["size"])
        return Found(kept["boxes_xyxy_px"], kept["scores"], kept["class_ids"], width, height)
    found = finder.find(image)
    store.put(
        key,
        {
            "boxes_xyxy_px": found.boxes_xyxy_px,
            "scores": found.scores,
            "class_ids": found.class_ids,
            "size": np.array([found.width, found.height]),
        },
    )
    return found


def _tell(member: FurtherTeacher, taken: Seat, room: Classroom, reporter: Reporter) -> None:
    if taken.note:
        reporter.note(f"{member.file.name} gives finished boxes: {taken.note}")
    known = taken.class_map.known.tolist()
    unknown = [name for name, knows in zip(room.class_names, known, strict=True) if not knows]
    if unknown:
        reporter.note(
            f"{member.file.name} says nothing of {len(unknown)} of {len(known)} classes: "
            f"{', '.join(unknown[:4])}{', ...' if len(unknown) > 4 else ''}"
        )
