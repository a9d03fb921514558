"""The wall clock jumps by hours, forward and back, under everything but the workers.

That is also what a host looks like whose clock goes otherwise than its workers'.
"""

import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cameras_that_watch import Cameras
from deployment import Deployment, deployed

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("wall_clock.c")
HOUR_S = 3600


class Clock:
    """What the deployment takes for the time.

    Args:
        folder: Of the library that adds to the real time, and of what it adds.
    """

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "wall_clock.so", folder / "offset"
        command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE]
        subprocess.run([*map(str, command), "-ldl"], check=True)
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Set it to so much after the real time, at once."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds * 10**9))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("the clock is set by a library that is compiled here: apt-get install gcc")
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, archives: Any, clock: Clock
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("clock")
    with deployed(folder, archives, UNDERSTUDY_GATEWAYS="2", **clock.environment) as running:
        running.deploy("teacher")
        running.deploy("student")
        running.set_route(teacher=100)
        yield running


def offset_s(alone: Deployment) -> float:
    """Return how far the deployment's clock is from the real one, as a change is dated."""
    made, _ = alone.key_of("detect", "dated")
    created = next(one["created"] for one in alone.admin("GET", "/keys") if one["id"] == made)
    return (datetime.fromisoformat(created) - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize("hours", [3, -3])
def test_no_camera_sees_a_clock_that_jumps_and_operators_go_on(
    alone: Deployment, watching: Cameras, clock: Clock, hours: int
) -> None:
    clock.jump(hours * HOUR_S)
    assert abs(offset_s(alone) - hours * HOUR_S) < 60
    watching.see(40)

    # The lease is dated by that clock: whoever led leads on, or again, within seconds.
    alone.until(lambda: leads(alone))
    alone.set_route(student=100)
    alone.set_route(teacher=100)
    # Silence is counted in heartbeats: a drain neither hangs nor ends too early.
    version = "1.1" if hours > 0 else "1.2"
    alone.deploy("teacher", version)
    alone.admin("DELETE", f"/releases/teacher-{version}")
    alone.until(lambda: state_of(alone, f"teacher-{version}") == "retired", 60)
    # A gateway that is started now joins those that were there before the jump.
    os.kill(alone.pid("gateway-1"), signal.SIGKILL)
    alone.until(lambda: len(alone.admin("GET", "/status")["gateways"]) == 2)
    watching.until_all_answered()

    told = set(watching.codes()) - {"ok"}
    assert told <= {"ReadError", "RemoteProtocolError", "ConnectError"}  # of the killed gateway


def leads(alone: Deployment) -> bool:
    """Whether the controller takes a change: here one that changes nothing."""
    reply = httpx.request(
        "POST",
        f"{alone.addresses.admin_url}/admin/v1/releases",
        json={"path": "student-1.0.mar"},
        headers=alone.bearer,
        timeout=60,
    )
    return reply.is_success


def state_of(alone: Deployment, release: str) -> str:
    releases = alone.admin("GET", "/status")["releases"]
    return next(one["state"] for one in releases if one["release"] == release)


def test_the_workers_clock_did_not_jump(alone: Deployment) -> None:
    """Or the tests above would have tried less than they say."""
    guard = psutil.Process(alone.pid("torchserve-1"))
    (java,) = [one for one in guard.children() if "java" in one.name()]

    assert "LD_PRELOAD" not in java.environ()
