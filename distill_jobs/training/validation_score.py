"""A network's quality on a validation split, measured as releases measure it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distill_jobs.data.dataset import Dataset
from distill_jobs.fitting import square
from distill_jobs.release.answers import ask
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import SCORING_MIN_SCORE
from distill_jobs.release.suppression import MAX_CANDIDATES, MAX_DETECTIONS, NMS_IOU
from handlers.card import Card, PostProcessing


def map50_95_of(model: nn.Module, data: Dataset, *, image_size: int, device: torch.device) -> float:
    """Score a detector on the pictures that a release is measured on: square and letterboxed.

    Args:
        model: An ultralytics detector; left as it is.
        data: The data set.
        image_size: Side of the square input, pixels.
        device: What runs it.

    Returns:
        mAP50-95, 0 to 1.

    Raises:
        DataSetInvalid: An image or a label does not fit.
    """
    samples = data.split("val")
    runtime = _On(device, DenseDetector(model, image_size))
    answers = ask(
        _card(data.class_names, image_size),
        runtime,
        [sample.image for sample in samples],
        samples,
        on_image=lambda _: None,
    )
    return answers.quality.map50_95 if answers.quality else 0.0


class _On:
    """A runtime of the handlers that runs a detector on a device."""

    def __init__(self, device: torch.device, module: DenseDetector) -> None:
        self._device, self._module = device, module.to(device)

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(self._device)
            answer: npt.NDArray[np.float32] = self._module(images).cpu().numpy()
        return answer


def _card(class_names: Sequence[str], side: int) -> Card:
    lowest = (SCORING_MIN_SCORE,) * len(class_names)
    rules = PostProcessing(lowest, NMS_IOU, MAX_DETECTIONS, MAX_CANDIDATES)
    return Card("", "", tuple(class_names), square(side), rules, ())
