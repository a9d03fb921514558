"""mAP as cameras get it: labelled images through the server, over HTTP."""

from typing import Any

import numpy as np

from bench.serve.answers import Answer
from bench.serve.contestants import Contestant
from bench.serve.loading import ask_all
from bench.serve.turns import started
from bench.serve.workplace import Workplace
from distill_jobs.data.dataset import Dataset
from distill_jobs.release.evaluate import SCORING_MAX_DETECTIONS, SCORING_MIN_SCORE, score
from handlers.headers import inspect
from handlers.pipeline import Detections


async def accuracy(
    contestant: Contestant, place: Workplace, best: str | None, images: int
) -> dict[str, Any]:
    """Score a contestant on the COCO val half.

    Args:
        contestant: Ours.
        place: What is served.
        best: The archive's own choice of variant.
        images: How many of the 128.

    Returns:
        mAP50-95 and mAP50, points, and the variant that answered.
    """
    dataset = Dataset.load(place.made.data / "coco256" / "data.yaml")
    samples = dataset.split("val")[:images]
    files = [sample.image.read_bytes() for sample in samples]
    headers = {
        "X-Min-Score": str(SCORING_MIN_SCORE),
        "X-Max-Detections": str(SCORING_MAX_DETECTIONS),
    }
    async with started(contestant, place, place.variant_of(contestant, best)) as running:
        answers = await ask_all(running, files, headers=headers)
    found = [_detections(one, file) for one, file in zip(answers, files, strict=True)]
    quality = score(found, samples, dataset.class_names)
    return {
        "images": quality.images,
        "map50_95": round(100 * quality.map50_95, 3),
        "map50": round(100 * quality.map50, 3),
        "variants": sorted({one.who.partition(" ")[0] for one in answers}),
    }


def _detections(answer: Answer, image: bytes) -> Detections:
    size = inspect(image)
    return Detections(
        boxes_xyxy_px=answer.boxes.corners_px.astype(np.float32),
        scores=answer.boxes.scores.astype(np.float32),
        class_ids=answer.boxes.class_ids,
        width=size.width,
        height=size.height,
        decode_ms=0.0,
        preprocess_ms=0.0,
        inference_ms=0.0,
        postprocess_ms=0.0,
    )
