"""What a run's model answers to images, asked once and kept in the run's folder."""

from collections.abc import Sequence

import numpy as np
import torch

from distill_jobs.checkpoints import digest, load_detector
from distill_jobs.data.dataset import Sample
from distill_jobs.errors import DataSetInvalid
from distill_jobs.fitting import fit
from distill_jobs.progress import Reporter
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import SCORING_MAX_DETECTIONS, SCORING_MIN_SCORE
from distill_jobs.release.stored import read_detections, write_detections
from distill_jobs.release.suppression import MAX_CANDIDATES, NMS_IOU
from distill_jobs.run_folder import RunFolder
from handlers.boxes import read_dense_head, suppress, to_original
from handlers.frames import Detections
from handlers.images import BadFrame, decode


def look(
    folder: RunFolder, role: str, samples: Sequence[Sample], reporter: Reporter
) -> tuple[Detections, ...]:
    """Ask a run's model, in PyTorch, about images, with every score from 0.001.

    Args:
        folder: Of the run; answers are kept in its `looks/`, by checkpoint and images.
        role: "teacher" or "student".
        samples: The images.
        reporter: Told of each image.

    Returns:
        One an image, pixels of the image.

    Raises:
        DataSetInvalid: An image does not decode.
        CheckpointRefused: There is no checkpoint.
    """
    checkpoint = folder.checkpoint(role)
    images = [sample.image for sample in samples]
    split = images[0].parent.name if images else "none"
    name = f"{role}-{split}-{len(images)}-{digest(checkpoint)[:12]}.npz"
    kept = folder.path / "looks" / name
    known = read_detections(kept, images)
    if known is not None:
        return known
    size = folder.job().image_size
    model = DenseDetector(load_detector(checkpoint), size)
    reporter.stage(f"{folder.path.name}: {role} on {split}", len(images))
    found = []
    for sample in samples:
        found.append(_answer(model, sample, size))
        reporter.advance()
    write_detections(kept, images, found)
    return tuple(found)


def _answer(model: DenseDetector, sample: Sample, size: int) -> Detections:
    try:
        tensor, geometry = fit(decode(sample.image.read_bytes()), size)
    except BadFrame as bad:
        raise DataSetInvalid(sample.image, bad.message) from bad
    with torch.inference_mode():
        head = model(torch.from_numpy(tensor)[None])[0].numpy()
    lowest = np.full(model.classes, SCORING_MIN_SCORE, np.float32)
    candidates = read_dense_head(head, lowest, MAX_CANDIDATES)
    found = suppress(candidates, NMS_IOU, SCORING_MAX_DETECTIONS)
    return Detections(
        boxes_xyxy_px=to_original(found.boxes_xyxy_px, geometry),
        scores=found.scores,
        class_ids=found.class_ids,
        width=geometry.width,
        height=geometry.height,
        decode_ms=0.0,
        preprocess_ms=0.0,
        inference_ms=0.0,
        postprocess_ms=0.0,
    )
