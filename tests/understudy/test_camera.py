"""A video replayed through a real gateway, and what a person gets to see."""

import asyncio
from pathlib import Path

import cv2
import pytest
from commands import Run

from distill_jobs.data import scenes
from distill_jobs.environment import PROJECT_ROOT
from understudy.demo.stack import serving

pytestmark = pytest.mark.slow

TEACHER = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
SIDE = 160


async def test_a_video_is_answered_over_grpc_and_drawn(understudy: Run, tmp_path: Path) -> None:
    for _ in scenes.write_split(tmp_path / "set", "test", 12, SIDE, seed=0):
        pass
    images = tmp_path / "set" / "images" / "test"
    store, film = tmp_path / "store", tmp_path / "film.mp4"
    video = _filmed(images, tmp_path / "street.mp4", fps=10)
    build = ("--checkpoint", TEACHER, "--name", "street", "--image-size", str(SIDE))
    exports = ("--images", images, "--exports", "onnxruntime-fp32", "--model-store", store)
    understudy("release", "build", *build, *exports)
    trusted = ("--trusted-key", str(tmp_path / "home" / "signing-key.pub.pem"))

    async with serving(tmp_path / "state", store, tmp_path / "log", options=trusted) as stack:
        await stack.call("POST", "/releases", {"path": "street-1.0.mar"})
        arm = {"name": "student", "release": "street-1.0", "weight": 100}
        await stack.call("PUT", "/routes/default", {"arms": [arm]})
        asked = ("--source", video, "--fps", "5", "--output", film)
        address = ("--address", stack.addresses.grpc_address)
        done = await asyncio.to_thread(
            understudy, "camera", *asked, *address, UNDERSTUDY_KEY=stack.key
        )
        refused = await asyncio.to_thread(
            understudy, "camera", *asked, *address, code=1, UNDERSTUDY_KEY="us_no_key"
        )

    told = " ".join(done.stdout.split())
    assert "frames answered 6" in told
    assert "student: street 1.0 (onnxruntime-fp32), 6 frames" in told
    assert "detections none" not in told
    assert _frames(film) == (6, 5.0)
    assert "error: " in refused.stdout


def _filmed(images: Path, path: Path, *, fps: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (SIDE, SIDE))
    for image in sorted(images.iterdir()):
        writer.write(cv2.imread(str(image)))
    writer.release()
    return path


def _frames(path: Path) -> tuple[int, float]:
    video = cv2.VideoCapture(str(path))
    try:
        return int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS)
    finally:
        video.release()
