"""The same few validation images every epoch, through student and teacher."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from ultralytics.data.augment import LetterBox
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import xyxy2xywh
from ultralytics.utils.torch_utils import unwrap_model

from distill_jobs.training.listening import FrameSeen
from handlers.frames import Detections

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer

FRAMES = 4
_MIN_SCORE = 0.05
_IOU = 0.7
_NO_SCORES = np.zeros(0, np.float32)

_Answer = tuple[Detections | None, npt.NDArray[np.float32]]


def look_at_fixed_frames(trainer: "LessonTrainer") -> tuple[FrameSeen, ...]:
    """Run the EMA student, and the teacher if there is one, on the fixed frames.

    Args:
        trainer: Between two epochs; its weights stay as they are.

    Returns:
        One an image, at most `FRAMES`, spread evenly over the validation split.
    """
    files = [Path(file) for file in sorted(trainer.test_loader.dataset.im_files)]
    chosen = [files[i] for i in sorted({i * len(files) // FRAMES for i in range(FRAMES)})]
    images = [_fitted(file, int(trainer.args.imgsz)) for file in chosen]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(trainer.device).float() / 255
    ema: Any = trainer.ema.ema
    student = _answers(getattr(ema, "student_model", ema), batch)
    teacher = _teachers_answers(trainer, batch)
    return tuple(
        FrameSeen(file.name, image, mine[0], theirs[0], mine[1], theirs[1])
        for file, image, mine, theirs in zip(chosen, images, student, teacher, strict=True)
        if mine[0] is not None
    )


def _teachers_answers(trainer: "LessonTrainer", batch: torch.Tensor) -> list[_Answer]:
    """Return what the first dense teacher says, one pair an image; nothings without one."""
    teachers = getattr(unwrap_model(trainer.model), "teachers", ())
    dense = next((teacher for teacher in teachers if teacher.shape is not None), None)
    if dense is None:
        return [(None, _NO_SCORES)] * len(batch)
    head = dense.answer({"img": batch}).head
    boxes = xyxy2xywh(head.boxes_xyxy_px).permute(0, 2, 1)
    return _found(torch.cat((boxes, head.logits.sigmoid()), dim=1), head.logits, batch.shape[-1])


def _fitted(file: Path, side: int) -> npt.NDArray[np.uint8]:
    """Return an image as the networks take it: uint8 [S, S, 3], RGB."""
    image = cv2.imread(str(file))
    fitted: Any = LetterBox(new_shape=(side, side))(image=image)
    return np.ascontiguousarray(fitted[..., ::-1], dtype=np.uint8)


def _answers(model: nn.Module, batch: torch.Tensor) -> list[_Answer]:
    """Return detections and each anchor's highest score, one pair an image."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        decoded, raw = model(batch)[:2]
    model.train(was_training)
    raw = raw.get("one2many", raw)
    return _found(decoded, raw["scores"], batch.shape[-1])


def _found(decoded: torch.Tensor, logits: torch.Tensor, side: int) -> list[_Answer]:
    scores = logits.float().sigmoid().amax(dim=1).cpu().numpy()
    found = non_max_suppression(decoded.float(), conf_thres=_MIN_SCORE, iou_thres=_IOU)
    return [(_detections(one, side), own) for one, own in zip(found, scores, strict=True)]


def _detections(found: torch.Tensor, side: int) -> Detections:
    """Convert float [K, 6], corners, score and class of each box, best first."""
    table = found.cpu().numpy()
    return Detections(
        boxes_xyxy_px=table[:, :4].astype(np.float32),
        scores=table[:, 4].astype(np.float32),
        class_ids=table[:, 5].astype(np.int64),
        width=side,
        height=side,
        decode_ms=0.0,
        preprocess_ms=0.0,
        inference_ms=0.0,
        postprocess_ms=0.0,
    )
