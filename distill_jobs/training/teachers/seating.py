"""From what the job file says of a teacher to one that can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from distill_jobs.checkpoints import class_names, digest, load_detector
from distill_jobs.errors import CheckpointRefused, HeadsDiffer
from distill_jobs.recipe.teachers import FurtherTeacher
from distill_jobs.training.answers import TeacherModel
from distill_jobs.training.heads import head_shape
from distill_jobs.training.teachers.cached import CachedTeacher
from distill_jobs.training.teachers.checkpoint import finder_of
from distill_jobs.training.teachers.classes import ClassMap
from distill_jobs.training.teachers.dense import DetectorTeacher, answers_alike, is_dense
from distill_jobs.training.teachers.exported import ExportedFinder, load_onnx, load_torchscript
from distill_jobs.training.teachers.found import BoxFinder, Selection, SourceImage, identity
from distill_jobs.training.teachers.store import AnswerStore
from distill_jobs.training.teachers.stored import StoredDetections, StoredFinder


@dataclass(frozen=True)
class Classroom:
    """What teachers find when they come.

    Attributes:
        student: The network to be trained.
        class_names: Of the data set; index = class id.
        images: Of the training split.
        image_size: Side of the student's square input, pixels.
        same_pixels: Whether augmentation gives the same pixels again: letterbox and flip alone.
        device: Where the student is trained.
        store: Where answers are kept.
    """

    student: nn.Module
    class_names: tuple[str, ...]
    images: Sequence[SourceImage]
    image_size: int
    same_pixels: bool
    device: torch.device
    store: AnswerStore


@dataclass(frozen=True)
class Seat:
    """A teacher in its place.

    Attributes:
        class_map: From its classes to the student's.
        weight: Its share of the distillation losses.
        dense: Answers each batch; None where the teacher gives boxes.
        finder: Looks at each source image once; None where the teacher is dense.
        note: Why it gives boxes although nobody asked for them; "" without a reason to tell.
    """

    class_map: ClassMap
    weight: float
    dense: TeacherModel | None = None
    finder: BoxFinder | None = None
    note: str = ""


def seat(teacher: FurtherTeacher, room: Classroom) -> Seat:
    """Load a teacher and give it its place.

    Raises:
        CheckpointRefused: Its file cannot be used.
        HeadsDiffer: Its classes do not fit, or it was to be dense and cannot.
        DataSetInvalid: Stored detections are damaged or do not cover the training images.
    """
    if teacher.source == "weights":
        return _checkpoint(teacher, room)
    if teacher.source == "detections":
        return _stored(teacher, room)
    return _exported(teacher, room)


def _checkpoint(teacher: FurtherTeacher, room: Classroom) -> Seat:
    model = load_detector(teacher.file)
    class_map = _class_map(teacher, class_names(model), room)
    why_boxes = _why_boxes(teacher, model, room)
    if why_boxes is None:
        return Seat(class_map, teacher.weight, dense=_dense(teacher, model, class_map, room))
    finder = finder_of(
        model,
        digest(teacher.file),
        Selection(class_map, teacher.min_score),
        teacher.image_size or room.image_size,
        room.device,
    )
    return Seat(class_map, teacher.weight, finder=finder, note=why_boxes)


def _why_boxes(teacher: FurtherTeacher, model: nn.Module, room: Classroom) -> str | None:
    """Return why a checkpoint gives boxes ("" for its own wish), None where it is dense.

    Raises:
        HeadsDiffer: The job file wants it dense.
    """
    if teacher.answers == "boxes":
        return ""
    reason = remedy = None
    if not answers_alike(model, room.student):
        reason = _unlike(model, room.student)
        remedy = "choose a teacher with the same levels (P6 models only with P6 models)"
    elif teacher.cache and not room.same_pixels:
        reason = (
            "`cache: true` keeps dense answers under letterbox and horizontal flip alone (mosaic, "
            "scale, translate, hsv_h, hsv_s and hsv_v all 0), and this job augments more"
        )
        remedy = "take `cache:` off"
    if reason and teacher.answers == "dense":
        raise HeadsDiffer(
            f"{teacher.file.name} was to give dense answers, but {reason}: {remedy}, or leave "
            "`answers:` out: it then gives finished boxes"
        )
    return reason


def _unlike(model: nn.Module, student: nn.Module) -> str:
    ours = list(head_shape(student).strides)
    if is_dense(model):
        what = f"works at strides {list(head_shape(model).strides)}"
    else:
        what = "answers queries rather than anchors"
    return f"its head {what}, the student's at strides {ours}"


def _dense(
    teacher: FurtherTeacher, model: nn.Module, class_map: ClassMap, room: Classroom
) -> TeacherModel:
    dense = DetectorTeacher(model, class_map, weight=teacher.weight, offload=teacher.offload)
    if not teacher.cache:
        return dense
    name = identity(
        teacher=digest(teacher.file),
        targets=class_map.targets,
        class_count=class_map.class_count,
        answers="dense",
    )
    return CachedTeacher(dense, room.store, name)


def _exported(teacher: FurtherTeacher, room: Classroom) -> Seat:
    load: Any = load_onnx if teacher.source == "onnx" else load_torchscript
    exported = load(teacher.file, teacher.layout)
    names = teacher.class_names or exported.class_names
    if names is None:
        raise CheckpointRefused(
            teacher.file, "does not say what its classes are: give `class_names:` in the job file"
        )
    class_map = _class_map(teacher, names, room)
    selection = Selection(class_map, teacher.min_score)
    side = teacher.image_size or exported.image_size or room.image_size
    return Seat(class_map, teacher.weight, finder=ExportedFinder(exported, selection, side))


def _stored(teacher: FurtherTeacher, room: Classroom) -> Seat:
    stored = StoredDetections.load(teacher.file, teacher.class_names)
    class_map = _class_map(teacher, stored.class_names, room)
    stored.check_covers(room.images)
    finder = StoredFinder(stored, Selection(class_map, teacher.min_score))
    return Seat(class_map, teacher.weight, finder=finder)


def _class_map(teacher: FurtherTeacher, names: tuple[str, ...], room: Classroom) -> ClassMap:
    try:
        return ClassMap.between(names, room.class_names, teacher.classes)
    except HeadsDiffer as error:
        raise HeadsDiffer(f"{teacher.file.name}: {error.message}") from error
