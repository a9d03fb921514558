"""A small labelling: drawn frames, the demo's teacher, tiny inputs."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

import distill_jobs
from distill_jobs.labelling.asked import Asked
from distill_jobs.labelling.frames import list_frames
from distill_jobs.labelling.plan import LabelFolder, Plan

TEACHER = Path(distill_jobs.__file__).parent / "demo" / "teacher.pt"
IMAGE_SIZE = 96


@cache
def asked() -> Asked:
    return Asked(weights=TEACHER, image_size=IMAGE_SIZE, min_score=0.1).read()


def drawn(folder: Path, count: int, side: int = 160) -> Path:
    """Draw so many frames: discs on noise, no two alike."""
    folder.mkdir(parents=True)
    for number in range(count):
        random = np.random.default_rng(number)
        picture = random.integers(0, 60, (side, side, 3), np.uint8)
        for _ in range(3):
            centre, colour = random.integers(20, side - 20, 2), random.integers(90, 255, 3)
            cv2.circle(picture, centre.tolist(), int(random.integers(8, 30)), colour.tolist(), -1)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), picture)
    return folder


def plan_of(tmp_path: Path, images: Path, *, shard_frames: int) -> tuple[LabelFolder, Plan]:
    """Plan the labelling of a folder, as the command does."""
    folder = LabelFolder(tmp_path / "labels")
    frames = list_frames([images], folder.frames_file, folder.video_frames, 1.0)
    plan = Plan(
        asked=asked(), places=(images,), video_fps=1.0, shard_frames=shard_frames, frames=frames
    )
    folder.write(plan)
    assert folder.read() == plan
    return folder, plan
