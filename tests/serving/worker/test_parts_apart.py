"""Gateway, controller and workers as programs of their own, as on several machines."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from parts_apart import SECRET, WORKERS, Apart, apart, until

from proto.wire.v1 import card_pb2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    (folder / "store").mkdir()
    url = f"sqlite+aiosqlite:///{folder}/store/store.sqlite3"
    with apart(folder, archives, url) as opened:
        archives.build(opened.model_store, "student")
        for host in WORKERS:
            opened.start_worker(host)
        opened.start("controller")
        opened.start("gateway")
        assert opened.deploy("student").is_success
        arms = [{"name": "student", "release": "student-1.0", "weight": 100}]
        assert opened.admin("PUT", "/routes/default", {"arms": arms, "why": "test"}).is_success
        yield opened


def test_a_frame_is_answered_through_all_parts(parts: Apart, image: bytes) -> None:
    reply = parts.detect(image)

    assert reply.status_code == 200, reply.text
    assert reply.json()["detections"]


def test_each_part_listens_for_nobody_but_its_own_callers(parts: Apart) -> None:
    gateway, controller = (parts.running[name].addresses for name in ("gateway", "controller"))
    worker = parts.running[f"worker-{WORKERS[0]}"].addresses

    assert gateway.http_url
    assert not gateway.admin_url
    assert gateway.admin_key_file is None
    assert controller.admin_url
    assert not controller.http_url
    assert worker.worker_url
    assert not worker.http_url
    assert not worker.admin_url


def test_a_worker_s_door_opens_to_its_key_alone(parts: Apart) -> None:
    door = parts.running[f"worker-{WORKERS[0]}"].addresses.worker_url

    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {SECRET}"}):
        for method, path in (("GET", "/models"), ("PUT", "/v1/releases/a/1.0")):
            assert httpx.request(method, f"{door}{path}", headers=headers).status_code == 401
    allowed = httpx.get(f"{door}/models", headers={"Authorization": f"Bearer {SECRET}"})
    assert [one["modelName"] for one in allowed.json()["models"]] == ["student"]
    assert httpx.get(f"{door}/livez").is_success
    assert httpx.get(f"{door}/readyz").is_success


def test_frames_port_manages_no_models(parts: Apart) -> None:
    port = parts.ports[1]
    url = f"http://{WORKERS[0]}:{port}/models"

    for method in ("GET", "POST", "DELETE"):
        asked = httpx.request(method, url, params={"url": "student-1.0.mar"})
        assert asked.status_code in {404, 405}, asked.text
    assert httpx.delete(f"{url}/student/1.0").status_code in {404, 405}


def test_a_worker_refuses_an_archive_that_it_cannot_verify(parts: Apart, archives: Any) -> None:
    archives.build(parts.model_store, "forged")
    signed = parts.model_store / "forged-1.0.mar"
    door = parts.running[f"worker-{WORKERS[0]}"].addresses.worker_url
    with signed.open("ab") as file:
        file.write(b"more")

    asked = httpx.put(
        f"{door}/v1/releases/forged/1.0",
        json={"sha256": "0" * 64, "variant": None, "threads": None, "workers": 1},
        headers={"Authorization": f"Bearer {SECRET}"},
        timeout=30,
    )

    assert asked.status_code == 422, asked.text
    assert "signature" in asked.json()["error"]["message"]
    state = parts.folder / f"worker-{WORKERS[0]}" / "archives"
    assert len(list(state.glob("*.mar"))) == 1  # the student's
    for left in parts.model_store.glob("forged*"):
        left.unlink()


def test_a_worker_s_machine_is_asked_whether_more_workers_fit(parts: Apart, archives: Any) -> None:
    def grown(card: card_pb2.Card) -> None:
        card.variants[0].file_bytes = 1 << 45  # larger than any machine

    archives.build(parts.model_store, "huge", change_card=grown)

    asked = parts.admin("POST", "/releases", {"path": "huge-1.0.mar", "workers": 2})

    assert asked.status_code == 400, asked.text
    assert asked.json()["error"]["field"] == "workers"
    assert f"{WORKERS[0]}'s machine" in asked.json()["error"]["message"]
    for left in parts.model_store.glob("huge*"):
        left.unlink()


def test_a_worker_keeps_no_copy_of_what_was_retired(parts: Apart, archives: Any) -> None:
    archives.build(parts.model_store, "passing")
    assert parts.deploy("passing").is_success
    kept = [parts.folder / f"worker-{host}" / "archives" for host in WORKERS]
    assert [len(list(folder.glob("*.mar"))) for folder in kept] == [2, 2]

    assert parts.admin("DELETE", "/releases/passing-1.0").is_success

    until(lambda: [len(list(folder.glob("*.mar"))) for folder in kept] == [1, 1])


def test_a_worker_that_stops_has_its_frames_sent_elsewhere_and_is_filled_again(
    parts: Apart, image: bytes
) -> None:
    name = f"worker-{WORKERS[1]}"
    stop, codes = Event(), []

    def stream() -> None:
        while not stop.is_set():
            codes.append(parts.detect(image).status_code)

    with ThreadPoolExecutor() as pool:
        streaming = pool.submit(stream)
        assert parts.running[name].stop() == 0
        before = len(codes)
        # Its copy is in its own folder: the model store need not have the archive any more.
        aside = parts.folder / "aside"
        shutil.move(parts.model_store, aside)
        parts.model_store.mkdir()
        parts.start_worker(WORKERS[1])
        door = parts.running[name].addresses.worker_url
        headers = {"Authorization": f"Bearer {SECRET}"}
        until(lambda: _is_filled(f"{door}/models/student/1.0", headers))
        until(lambda: len(codes) > before + 20)
        stop.set()
        streaming.result()
    parts.model_store.rmdir()
    shutil.move(aside, parts.model_store)

    assert set(codes) == {200}


def _is_filled(url: str, headers: dict[str, str]) -> bool:
    asked = httpx.get(url, headers=headers)
    return asked.is_success and any(one["status"] == "READY" for one in asked.json()[0]["workers"])


def test_a_controller_that_comes_back_leads_and_fills_nothing_twice(
    parts: Apart, image: bytes
) -> None:
    assert parts.running["controller"].stop() == 0
    assert parts.detect(image).status_code == 200
    parts.start("controller")

    until(lambda: bool(parts.admin("GET", "/status").json()["leads"]))
    assert parts.detect(image).status_code == 200


def test_a_gateway_waits_for_a_store_that_another_migrates(
    tmp_path: Path, parts: Apart, archives: Any
) -> None:
    (tmp_path / "empty").mkdir()
    url = f"sqlite+aiosqlite:///{tmp_path}/empty/store.sqlite3"
    program = parts.start  # the same workers; another store

    with pytest.raises(AssertionError, match="understudy migrate"):
        program("gateway", "other", UNDERSTUDY_STORE_URL=url, UNDERSTUDY_MIGRATE="false")
