"""Where a frame's CPU time goes in a worker, stage by stage.

`python -m bench.frame_stages ARCHIVE_OR_FOLDER`: an archive, or a folder with `card.json` and the
weights. One thread, one frame a batch; medians of interleaved rounds. CPU time, so that what else
the machine does counts little.
"""

import argparse
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

import handlers.pipeline
from distill_jobs.environment import data_root
from handlers.frames import Detections, Frame
from handlers.messages import write_detections
from handlers.pipeline import Pipeline

_STAGES = ("decode", "preprocess", "inference", "postprocess")
_WARM_UP_ROUNDS = 2
_QUALITY = 90


def pictures() -> dict[str, bytes]:
    """Return what is measured, JPEGs by name: a photo, a frame of a video, 1080p and 4K."""
    photo = data_root() / "photos" / "bus.jpg"
    pixels = cv2.imread(str(photo))
    video = cv2.VideoCapture(str(data_root() / "videos" / "car-detection.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, 100)
    read, frame = video.read()
    video.release()
    if pixels is None or not read:
        raise SystemExit(f"{data_root()}: lacks photos/bus.jpg or videos/car-detection.mp4")
    return {
        "bus.jpg 810x1080": photo.read_bytes(),
        f"video frame {frame.shape[1]}x{frame.shape[0]}": _jpeg(frame),
        "1920x1080": _jpeg(cv2.resize(pixels, (1920, 1080), interpolation=cv2.INTER_CUBIC)),
        "3840x2160": _jpeg(cv2.resize(pixels, (3840, 2160), interpolation=cv2.INTER_CUBIC)),
    }


def measure(folder: Path, variant: str, rounds: int) -> dict[str, dict[str, float]]:
    """Time the stages of each picture.

    Args:
        folder: Of an extracted archive.
        variant: Which of its variants.
        rounds: How often; the median counts.

    Returns:
        CPU milliseconds by picture and stage, "reply" and "all" among the stages.
    """
    # The pipeline's own times, by another clock.
    handlers.pipeline.perf_counter = time.process_time  # type: ignore[attr-defined]
    cv2.setNumThreads(1)
    pipeline = Pipeline.load(folder, variant, threads=1)
    pipeline.warm_up()
    images = pictures()
    spent: dict[str, list[dict[str, float]]] = {}
    for turn in range(_WARM_UP_ROUNDS + rounds):
        for name, image in images.items():
            one = _stages(pipeline, image)
            if turn >= _WARM_UP_ROUNDS:
                spent.setdefault(name, []).append(one)
    return {
        name: {stage: statistics.median(one[stage] for one in turns) for stage in turns[0]}
        for name, turns in spent.items()
    }


def _stages(pipeline: Pipeline, image: bytes) -> dict[str, float]:
    started = time.process_time()
    (found,) = pipeline.detect([Frame(image)])
    if not isinstance(found, Detections):
        raise SystemExit(f"a picture was refused: {found.message}")
    answered = time.process_time()
    write_detections(found, variant="measured", batch_size=1)
    ended = time.process_time()
    stages = {stage: float(getattr(found, f"{stage}_ms")) for stage in _STAGES}
    return stages | {"reply": 1e3 * (ended - answered), "all": 1e3 * (ended - started)}


def _jpeg(pixels: NDArray[Any]) -> bytes:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded.tobytes())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="NAME-VERSION.mar, or a folder with card.json")
    parser.add_argument("--variant", default="onnxruntime-fp32")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.archive
        if not folder.is_dir():
            folder = Path(scratch)
            with zipfile.ZipFile(given.archive) as parts:
                parts.extractall(folder)
        table = measure(folder, given.variant, given.rounds)
    stages = list(next(iter(table.values())))
    lines = [f"| CPU ms | {' | '.join(stages)} |", "|---" * (len(stages) + 1) + "|"]
    for name, row in table.items():
        lines.append(f"| {name} | {' | '.join(f'{row[stage]:.2f}' for stage in stages)} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
