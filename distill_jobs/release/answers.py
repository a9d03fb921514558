"""Asking a runtime about every check image, through the handlers' own pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill_jobs.data.dataset import Sample
from distill_jobs.errors import DataSetInvalid
from distill_jobs.fitting import square
from distill_jobs.release.evaluate import (
    SCORING_MAX_DETECTIONS,
    SCORING_MIN_SCORE,
    match_all,
    quality_of,
)
from distill_jobs.release.parity import Answers
from distill_jobs.release.suppression import MAX_CANDIDATES, MAX_DETECTIONS, NMS_IOU
from handlers.card import Card, PostProcessing
from handlers.images import decode_to_fit
from handlers.pipeline import BadFrame, Detections, Frame, Pipeline
from handlers.runtimes import Runtime


def detect_for_scoring(pipeline: Pipeline) -> Callable[[bytes], Detections]:
    """Return a function from an encoded image to its detections with every score from 0.001.

    It raises BadFrame where the image does not decode.
    """

    def detect(image: bytes) -> Detections:
        (answer,) = pipeline.detect(
            [Frame(image, min_score=SCORING_MIN_SCORE, max_detections=SCORING_MAX_DETECTIONS)]
        )
        if isinstance(answer, BadFrame):
            raise answer
        return answer

    return detect


def ask(
    card: Card,
    runtime: Runtime,
    images: Sequence[Path],
    samples: Sequence[Sample],
    *,
    on_image: Callable[[int], None],
) -> Answers:
    """Run a detector over the check images, one at a time.

    Args:
        card: How frames are fitted and boxes suppressed.
        runtime: The detector.
        images: Encoded images.
        samples: Their labels, one an image; empty: the quality stays unmeasured.
        on_image: Told 1 after each image.

    Returns:
        Its answers.

    Raises:
        DataSetInvalid: An image does not decode, or a label does not fit.
    """
    detect = detect_for_scoring(Pipeline(card, runtime))
    detections = []
    for image in images:
        try:
            detections.append(detect(image.read_bytes()))
        except BadFrame as bad:
            raise DataSetInvalid(image, bad.message) from bad
        on_image(1)
    if not samples:
        return Answers(tuple(detections), None)
    matches = match_all(detections, samples)
    return Answers(tuple(detections), quality_of(matches, card.class_names), matches)


def scoring_card(class_names: Sequence[str], image_size: int) -> Card:
    """Return the card of a model that is only measured: releases' squares and suppression.

    Args:
        class_names: Index = class id.
        image_size: Side of the square input, pixels.
    """
    lowest = (SCORING_MIN_SCORE,) * len(class_names)
    rules = PostProcessing(lowest, NMS_IOU, MAX_DETECTIONS, MAX_CANDIDATES)
    return Card("", "", tuple(class_names), square(image_size), rules, ())


def tensor_of(card: Card, image: Path) -> npt.NDArray[np.float32]:
    """Return an image in the card's full input: float32 [3, height, width].

    Also where the card takes rectangles: INT8 is calibrated and fine-tuned in batches and latencies
    are compared, for which all must be of one shape.

    Raises:
        DataSetInvalid: It does not decode.
    """
    try:
        spec = replace(card.input, stride=0)
        pixels, fit = decode_to_fit(image.read_bytes(), spec)
    except BadFrame as bad:
        raise DataSetInvalid(image, bad.message) from bad
    tensor = np.empty((3, *fit.shape), np.float32)
    fit.place(fit.resize(pixels), spec, tensor)
    return tensor
