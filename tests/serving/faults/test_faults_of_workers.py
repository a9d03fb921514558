"""Two TorchServes; each fault is put into the first, and the cameras of both look on."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import pytest
from cameras_that_watch import Cameras, cameras, java_of, kill, log_of, workers_of
from deployment import Deployment, deployed

pytestmark = pytest.mark.slow

BOTH = {"torchserve-1", "torchserve-2"}
DEADLINE_S = 6.0
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("faults"), archives, UNDERSTUDY_BACKENDS="2") as running:
        running.deploy("student")
        running.set_route(timeout_s=DEADLINE_S, student=100)
        yield running


@pytest.fixture
def watching(pair: Deployment, image: bytes) -> Iterator[Cameras]:
    """Cameras that send from before the fault until after it, both backends answering them."""
    with cameras(pair, image).sending() as sending:
        sending.until_answered_by(BOTH)
        sending.answers.clear()
        yield sending


def test_no_camera_sees_a_worker_that_is_killed(pair: Deployment, watching: Cameras) -> None:
    (victim,) = workers_of(pair, "torchserve-1")

    kill(victim)

    watching.see(20)
    watching.until_answered_by(BOTH)  # TorchServe has started another
    assert set(watching.codes()) == {"ok"}
    restarts = 'understudy_worker_restarts_total{process="controller",backend="torchserve-1"'
    pair.until(lambda: restarts in pair.metrics())


def test_cameras_of_a_worker_that_hangs_wait_a_quarter_of_their_time_and_then_no_more(
    pair: Deployment, watching: Cameras
) -> None:
    (victim,) = workers_of(pair, "torchserve-1")

    os.kill(victim.pid, signal.SIGSTOP)

    # TorchServe gives a batch a minute, kills its worker then and starts another.
    pair.until(lambda: not victim.is_running(), 120)
    watching.until_answered_by(BOTH)
    assert set(watching.codes()) == {"ok"}
    slow = [one.took_s for one in watching.answers if one.took_s > 0.9 * DEADLINE_S / 4]
    # No more than were sent there before as many hung as each camera has frames under way.
    assert 1 <= len(slow) <= 8
    assert max(slow) < DEADLINE_S / 2


def test_a_frame_for_which_a_worker_has_no_memory_fails_alone_and_the_worker_lives(
    pair: Deployment, watching: Cameras
) -> None:
    workers = [worker for name in BOTH for worker in workers_of(pair, name)]
    large = encoded(6000)
    assert pair.detect(large, camera_id="large").status_code == 200
    for worker in workers:
        worker.rlimit(psutil.RLIMIT_AS, (worker.memory_info().vms + 8 * MIB, psutil.RLIM_INFINITY))

    refused = pair.detect(large, camera_id="large")
    others = watching.see(40)
    for worker in workers:
        worker.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))

    # No fault of the image's: a camera that was told so would throw it away.
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "worker_failed")
    assert {one.status for one in others} == {200}
    assert pair.detect(large, camera_id="large").status_code == 200
    assert all(worker.is_running() for worker in workers)


def encoded(side: int) -> bytes:
    """Return a PNG that is small and takes much memory: every pixel is decoded."""
    return bytes(cv2.imencode(".png", np.zeros((side, side, 3), np.uint8))[1].tobytes())


def test_no_camera_sees_that_torchserve_s_token_is_none_any_more(
    pair: Deployment, watching: Cameras
) -> None:
    """What an expired token looks like: TorchServe refuses the one that gateways hold."""
    state = pair.addresses.admin_key_file.parent
    file = next(state.glob("torchserve-1/**/key_file.json"))
    before = json.loads(file.read_text())
    management = management_url(file.parent)

    renewed = httpx.get(
        f"{management}/token",
        params={"type": "inference"},
        headers={"Authorization": f"Bearer {before['API']['key']}"},
        timeout=10,
    )

    assert renewed.is_success, renewed.text
    assert json.loads(file.read_text())["inference"] != before["inference"]
    watching.see(40)
    watching.until_answered_by(BOTH)
    assert set(watching.codes()) == {"ok"}


def management_url(folder: Path) -> str:
    """Return where a TorchServe is managed, as its own configuration says."""
    (file,) = folder.rglob("config.properties")
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return lines["management_address"]


def test_a_private_copy_that_is_deleted_costs_a_backend_at_its_next_start_and_a_deploy_mends_it(
    pair: Deployment, watching: Cameras
) -> None:
    state = pair.addresses.admin_key_file.parent
    (copy,) = (state / "archives").glob("*.mar")
    copy.unlink()

    assert {one.status for one in watching.see(40)} == {200}
    kill(java_of(pair, "torchserve-1"))

    pair.until(lambda: "its private copy is gone; deploy it again" in log_of(pair), 60)
    assert {one.backend for one in watching.see(40)} == {"torchserve-2"}
    pair.admin("POST", "/releases", {"path": "student-1.0.mar"})
    watching.until_answered_by(BOTH)
    assert copy.exists()
    assert set(watching.codes()) == {"ok"}
