"""One machine with a small disk: it is full, its store is locked, deleted and put back."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cameras_that_watch import Cameras, log_of
from deployment import Deployment, deployed
from small_disk import filled, small_disk

from distill_jobs.errors import ArchiveFailed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything lies on it: store, archives, model store, harvest and the log."""
    with small_disk(tmp_path_factory.mktemp("disk")) as folder:
        yield folder


@pytest.fixture(scope="module")
def alone(disk: Path, archives: Any) -> Iterator[Deployment]:
    settings = {
        "UNDERSTUDY_GATEWAYS": "2",
        "UNDERSTUDY_HARVEST_DIR": str(disk / "harvest"),
        "UNDERSTUDY_HARVEST_MAX_PER_MINUTE": "6000",
        "UNDERSTUDY_HARVEST_MAX_PER_MINUTE_OF_CAMERA": "6000",
    }
    with deployed(disk, archives, **settings) as running:
        running.deploy("teacher")
        running.deploy("student", boxes=((50, 50, 8, 8, 0.9, 0.01),))
        running.build(running.model_store, "later")
        arms = [
            {"name": name, "release": f"{name}-1.0", "weight": weight}
            for name, weight in (("teacher", 100), ("student", 0))
        ]
        shadow = {"arm": "student", "rate": 1.0}
        body = {"arms": arms, "shadow": shadow, "timeout_s": 10.0, "why": "they disagree"}
        running.admin("PUT", "/routes/default", body)
        running.until(lambda: running.get("/readyz").status_code == 200)
        yield running


def asked(alone: Deployment, method: str, path: str, body: Any = None) -> httpx.Response:
    """Ask the admin API for what may fail."""
    url = f"{alone.addresses.admin_url}/admin/v1{path}"
    return httpx.request(method, url, json=body, headers=alone.bearer, timeout=60)


def change_route(alone: Deployment, weight: int) -> httpx.Response:
    arms = [
        {"name": "teacher", "release": "teacher-1.0", "weight": 100 - weight},
        {"name": "student", "release": "student-1.0", "weight": weight},
    ]
    shadow = {"arm": "student", "rate": 1.0}
    return asked(alone, "PUT", "/routes/default", {"arms": arms, "shadow": shadow, "why": "test"})


def is_refused_for_now(reply: httpx.Response) -> bool:
    """Whether an operator is told to try again: by the store's absence, or for want of a leader."""
    said = reply.json()["error"]
    words = ("the store does not answer", "does not lead", "epoch")
    assert any(one in said["message"] for one in words), said
    assert said["code"] in {"backend_unavailable", "lease_lost"}
    return reply.status_code == 503


def harvested(alone: Deployment, outcome: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in alone.metrics().splitlines()
        if line.startswith("understudy_harvest") and f'outcome="{outcome}"' in line
    )


def free_bytes(alone: Deployment) -> list[str]:
    """Return the metric's lines of the disks' room."""
    return [line for line in alone.metrics().splitlines() if "_disk_free_bytes{" in line]


def test_no_camera_sees_a_disk_that_is_full_and_operators_are_told_what_is_not_done(
    alone: Deployment, watching: Cameras, disk: Path
) -> None:
    alone.until(lambda: harvested(alone, "kept") > 0)
    copies = set((disk / "state" / "archives").iterdir())

    model_store = set(alone.model_store.iterdir())

    with filled(disk):
        with pytest.raises(ArchiveFailed, match="No space left on device"):
            alone.build(alone.model_store, "never")
        deploy = asked(alone, "POST", "/releases", {"path": "later-1.0.mar"})
        change = change_route(alone, 10)
        before = harvested(alone, "failed")
        alone.until(lambda: harvested(alone, "failed") > before)
        watching.see(40)
        # The disks are looked at from time to time.
        alone.until(lambda: any(line.endswith(" 0.0") for line in free_bytes(alone)))

    assert deploy.status_code in {422, 503}, deploy.text
    assert "No space left on device" in deploy.text or "store" in deploy.text
    assert is_refused_for_now(change)
    assert set((disk / "state" / "archives").iterdir()) == copies  # nothing half-written
    assert set(alone.model_store.glob("*.mar*")) == {one for one in model_store if one.is_file()}
    # It mends itself.
    alone.until(lambda: change_route(alone, 0).is_success)
    alone.deploy("later")
    kept = harvested(alone, "kept")
    alone.until(lambda: harvested(alone, "kept") > kept)
    assert set(watching.codes()) == {"ok"}
    assert all(process.up for process in alone.processes().values())


def test_no_camera_sees_a_store_that_is_locked_and_who_waits_too_long_is_told(
    alone: Deployment, watching: Cameras, disk: Path
) -> None:
    with closing(sqlite3.connect(disk / "state" / "store.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        change = change_route(alone, 20)
        waited_s = time.monotonic() - began
        other.rollback()

    assert is_refused_for_now(change)
    assert waited_s < 30
    alone.until(lambda: change_route(alone, 0).is_success)
    assert set(watching.codes()) == {"ok"}


def test_a_store_that_is_deleted_is_missed_at_once_and_never_made_anew(
    alone: Deployment, watching: Cameras, disk: Path
) -> None:
    store, aside = disk / "state" / "store.sqlite3", disk / "aside"
    aside.mkdir()
    for file in store.parent.glob("store.sqlite3*"):
        file.rename(aside / file.name)

    change = change_route(alone, 30)
    alone.until(lambda: "serving by the last route" in log_of(alone))
    watching.see(40)
    # One that is started anew meanwhile has no route to go by: it waits.
    victim = psutil.Process(alone.pid("gateway-1"))
    os.kill(victim.pid, signal.SIGKILL)
    alone.until(lambda: "store.sqlite3 cannot be opened" in log_of(alone))
    made_anew = store.exists()
    for file in aside.iterdir():
        file.rename(store.parent / file.name)

    assert is_refused_for_now(change)
    assert not made_anew
    alone.until(lambda: alone.processes()["gateway-1"].up, 60)
    alone.until(lambda: change_route(alone, 0).is_success)
    watching.until_all_answered()
    # But for the frames that were under way at the gateway that was killed.
    assert set(watching.codes()) <= {"ok", "ReadError", "RemoteProtocolError", "ConnectError"}
    assert watching.codes().total() - watching.codes()["ok"] <= 4
