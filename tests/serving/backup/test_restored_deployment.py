"""A deployment is backed up while it serves, lost, and put back: cameras see no difference."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from deployment import REPOSITORY, Deployment, deployed

pytestmark = pytest.mark.slow

Lost = tuple[Path, dict[str, Any], str]
CAMERAS = [f"camera-{number}" for number in range(12)]


def understudy(
    *arguments: object, folder: Path, archives: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a command with the settings that `deployed` gives the server of this folder."""
    environment = {
        "UNDERSTUDY_HOME": str(folder / "home"),
        "UNDERSTUDY_STATE_DIR": str(folder / "state"),
        "UNDERSTUDY_TRUSTED_KEYS": str(archives.public_key),
    }
    return subprocess.run(
        [sys.executable, "-c", "from understudy.cli import main; main()", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, archives: Any, image: bytes) -> Lost:
    """A backup, what was answered when it was made, and a camera's key."""
    folder = tmp_path_factory.mktemp("lost")
    file = folder / "backup.zip"
    with deployed(folder, archives) as running:
        running.deploy("teacher")
        running.deploy("student", boxes=((20, 20, 16, 16, 0.7, 0.01),))
        running.set_route(teacher=50, student=50)
        _, camera_key = running.key_of("detect")
        with traffic(running, image) as codes:
            made = understudy("backup", file, folder=folder, archives=archives)
            refused = understudy("restore", file, "--force", folder=folder, archives=archives)
        answers = answered(running, image, camera_key)
    assert made.returncode == 0, made.stderr
    assert "2 archives" in made.stdout
    assert refused.returncode == 1
    assert "in use by another `understudy serve`" in refused.stderr
    assert set(codes) == {200}
    return file, answers, camera_key


@contextmanager
def traffic(running: Deployment, image: bytes) -> Iterator[list[int]]:
    """Have a camera send frame after frame; yields the codes that it gets."""
    codes: list[int] = []
    done = Event()

    def camera() -> None:
        while not done.is_set():
            codes.append(running.detect(image, camera_id=CAMERAS[0]).status_code)

    with ThreadPoolExecutor(1) as cameras:
        sending = cameras.submit(camera)
        try:
            running.until(lambda: len(codes) > 3)
            yield codes
        finally:
            done.set()
        sending.result(30)


def answered(running: Deployment, image: bytes, key: str) -> dict[str, Any]:
    """Return who answers each camera, and what."""
    found = {}
    for camera in CAMERAS:
        reply = httpx.post(
            f"{running.addresses.http_url}/v1/detect",
            params={"camera_id": camera},
            content=image,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"},
            timeout=60,
        )
        assert reply.status_code == 200, reply.text
        said = reply.json()
        found[camera] = (said["answeredBy"]["model"], said["detections"])
    return found


def test_a_restored_deployment_answers_as_the_lost_one_did(
    lost: Lost,
    tmp_path: Path,
    archives: Any,
    image: bytes,
) -> None:
    file, answers, camera_key = lost

    done = understudy("restore", file, folder=tmp_path, archives=archives)
    assert done.returncode == 0, done.stderr
    with deployed(tmp_path, archives) as running:
        running.until(lambda: running.get("/readyz").status_code == 200)
        again = answered(running, image, camera_key)
        releases = running.admin("GET", "/status")["releases"]
        running.deploy("student", "1.1")  # an operator goes on where he was

    assert {model for model, _ in answers.values()} == {"teacher", "student"}
    assert again == answers
    assert {one["release"]: one["state"] for one in releases} == {
        "teacher-1.0": "live",
        "student-1.0": "live",
    }


def test_a_damaged_backup_says_so_in_one_line(lost: Lost, tmp_path: Path, archives: Any) -> None:
    file, *_ = lost
    whole = file.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])

    refused = understudy("restore", tmp_path / "cut.zip", folder=tmp_path, archives=archives)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {tmp_path}/cut.zip: this is no backup")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "state" / "store.sqlite3").exists()
