"""Each stage of the Dockerfile: built for real, started as its user, asked for its health, stopped.

`make test` builds the gateway's, a minute and a half; the others hold torch and CUDA, and a builder
needs a stage's size some four times over: `make test-images` builds all three.
"""

import os
import shutil
from pathlib import Path

import pytest
from image_builder import Image, ImageBuilder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# A full disk would be every other program's trouble too.
FREE_GB = {"gateway": 5, "worker": 40, "distill": 40}
WANTED = os.environ.get("UNDERSTUDY_TEST_IMAGES", "gateway").split()

# Where a read-only root file system leaves off: the volumes and /tmp.
UNCHANGED = """
changed() {
  find / -xdev -newer /tmp/began -type f -not -path '/tmp/*' -not -path '/proc/*' \\
    -not -path '/sys/*' -not -path '/dev/*' -not -path '/run/*' \\
    -not -path '/home/understudy/.understudy/*' 2>/dev/null || true
}
touch /tmp/began
export UNDERSTUDY_HOST=127.0.0.1 UNDERSTUDY_READY_FILE=/tmp/understudy-ready.json
for port in HTTP GRPC ADMIN METRICS WORKER INFERENCE; do export UNDERSTUDY_${port}_PORT=0; done
listed() {
  python3 -c '
import json
bill = json.load(open("/opt/understudy/sbom.cdx.json"))
names = {one["name"] for one in bill["components"]}
print("listed", *sorted({"libssl3", "numpy", "torch"} & names))'
}
await_health() {
  for _ in $(seq 600); do
    python3 -I -m serving.health 2>/tmp/health && return 0
    kill -0 "$1" || { cat /tmp/log; return 1; }
    sleep 0.2
  done
  cat /tmp/health /tmp/log; return 1
}
"""


@pytest.fixture(scope="module")
def images() -> ImageBuilder:
    return ImageBuilder.find()


def built(images: ImageBuilder, stage: str) -> Image:
    if stage not in WANTED:
        pytest.skip(f"`make test-images` builds the stage {stage}")
    free_gb = shutil.disk_usage("/var").free / 10**9
    if free_gb < FREE_GB[stage]:
        pytest.skip(
            f"building the stage {stage} takes {FREE_GB[stage]} GB of free disk, not {free_gb:.0f}"
        )
    return images.build(stage)


def test_the_gateway_is_small_has_no_torch_starts_and_stops(
    images: ImageBuilder, tmp_path: Path
) -> None:
    image = built(images, "gateway")

    ran = images.run(
        image,
        UNCHANGED
        + """
        echo "user $(id -u)"
        listed
        ! python3 -c 'import torch' 2>/dev/null && echo no-torch
        ! test -e /opt/understudy/bin/pip && echo no-pip
        file=$HOME/.understudy/store.sqlite3
        export UNDERSTUDY_STORE_URL=sqlite+aiosqlite:///$file
        export UNDERSTUDY_MIGRATE=false UNDERSTUDY_WORKERS=nobody.invalid
        understudy migrate
        tini -- understudy serve gateway >/tmp/log 2>&1 &
        await_health $! && echo healthy
        kill -TERM $! && wait $! && echo stopped
        echo "changed: $(changed)"
        """,
    )

    said = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout
    assert {"user 10001", "no-torch", "no-pip", "healthy", "stopped", "changed: "} <= set(said)
    assert "listed libssl3 numpy" in said
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim AS base\n")
    assert image.size_mb - images.build("base", tmp_path).size_mb <= 400


def test_a_worker_starts_torchserve_and_stops(images: ImageBuilder) -> None:
    image = built(images, "worker")

    ran = images.run(
        image,
        UNCHANGED
        + """
        echo "user $(id -u)"
        listed
        # They leave notes in a home; TorchServe's workers have one of their own below /tmp.
        HOME=/tmp python3 -c \
          'import cv2, onnxruntime, openvino, simplejpeg, torch; print("engines")'
        mkdir -p $HOME/.understudy && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n' >/tmp/key
        export UNDERSTUDY_WORKER_KEY_FILE=/tmp/key UNDERSTUDY_STOP_TIMEOUT_S=1
        tini -- understudy serve worker >/tmp/log 2>&1 &
        await_health $! && echo healthy
        kill -TERM $! && wait $! && echo stopped
        echo "changed: $(changed)"
        """,
    )

    said = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout
    assert {"user 10001", "engines", "healthy", "stopped", "changed: "} <= set(said)
    assert "listed libssl3 numpy torch" in said


def test_the_distillation_image_has_what_jobs_and_explorers_need(images: ImageBuilder) -> None:
    image = built(images, "distill")

    ran = images.run(
        image,
        UNCHANGED
        + """
        export HOME=/tmp
        echo "user $(id -u)"
        listed
        understudy job --help >/dev/null && echo jobs
        understudy release --help >/dev/null && echo releases
        python3 -c 'import ultralytics, tensorboard; print("training")'
        understudy label --help >/dev/null && python3 -c 'import ray.data; print("labelling")'
        torchrun --help >/dev/null && echo torchrun
        jupyter lab --version >/dev/null && echo explore
        echo "changed: $(changed)"
        """,
    )

    said = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout
    expected = {"user 10001", "jobs", "releases", "training", "labelling", "torchrun", "explore"}
    assert {*expected, "changed: ", "listed libssl3 numpy torch"} <= set(said)
