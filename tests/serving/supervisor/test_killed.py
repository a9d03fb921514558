"""Two gateways, two TorchServes: whatever is killed, frames are answered and it comes back."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import grpc
import httpx
import psutil
import pytest
from deployment import Deployment, deployed
from postgres_server import PostgresServer

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    archives: Any,
    postgres: PostgresServer,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("pair")
    settings = {"UNDERSTUDY_GATEWAYS": "2", "UNDERSTUDY_BACKENDS": "2"}
    if request.param == "postgresql":
        settings["UNDERSTUDY_STORE_URL"] = postgres.new_database()
    with deployed(folder, archives, **settings) as running:
        running.deploy("student")
        running.set_route(student=100)
        yield running


def gateway_ids(pair: Deployment) -> set[str]:
    return {one["id"] for one in pair.admin("GET", "/status")["gateways"]}


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def java_below(guard: int) -> int:
    (java,) = [one for one in psutil.Process(guard).children() if "java" in one.name()]
    return java.pid


def test_the_ready_file_names_every_process(pair: Deployment) -> None:
    addresses = pair.addresses

    assert set(addresses.processes) == {
        *("torchserve-1", "torchserve-2", "controller", "gateway-1", "gateway-2")
    }
    assert all(psutil.pid_exists(pid) for pid in addresses.processes.values())
    assert len(addresses.torchserve_metrics_urls) == 2
    assert addresses.torchserve_metrics_url == addresses.torchserve_metrics_urls[0]


def test_a_route_change_reaches_every_gateway(pair: Deployment, image: bytes) -> None:
    pair.deploy("teacher")
    pair.set_route(teacher=100)
    # Each over a connection of its own: the gateways share them.
    with ThreadPoolExecutor(8) as cameras:
        replies = list(cameras.map(lambda _: pair.detect(image), range(20)))
    revisions = {one["revision"] for one in pair.admin("GET", "/status")["gateways"]}

    pair.set_route(student=100)
    afterwards = pair.detect(image)

    assert {reply.json()["answeredBy"]["model"] for reply in replies} == {"teacher"}
    assert len(revisions) == 1
    assert afterwards.json()["answeredBy"]["model"] == "student"


def test_one_text_holds_every_process_s_metrics(pair: Deployment, image: bytes) -> None:
    # Each over a connection of its own: the gateways share them.
    with ThreadPoolExecutor(8) as cameras:
        replies = list(cameras.map(lambda _: pair.detect(image), range(40)))

    text = pair.metrics()

    assert {reply.status_code for reply in replies} == {200}
    for name in pair.addresses.processes:
        assert f'understudy_process_up{{process="{name}"}} 1.0' in text
    for name in ("gateway-1", "gateway-2"):
        assert f'understudy_answers_total{{process="{name}",api="http",code="ok"}}' in text
    assert 'process_resident_memory_bytes{process="controller"}' in text


def test_the_other_gateway_answers_when_one_is_killed(pair: Deployment, image: bytes) -> None:
    before = gateway_ids(pair)
    victim = pair.pid("gateway-1")

    kill(victim)
    psutil.wait_procs([psutil.Process(victim)] if psutil.pid_exists(victim) else [], timeout=10)
    over_http = pair.detect(image)
    metadata = (("authorization", f"Bearer {pair.key}"),)
    with grpc.insecure_channel(pair.addresses.grpc_address) as channel:
        detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
        over_grpc = detect(wire.DetectRequest(image=image), metadata=metadata, timeout=10)

    assert over_http.status_code == 200
    assert over_grpc.answered_by.model == "student"
    # It is back as another, and its row went with it: no drain waits for the dead one.
    pair.until(lambda: pair.processes()["gateway-1"].restarts == 1)
    assert pair.pid("gateway-1") != victim
    pair.until(lambda: len(gateway_ids(pair)) == 2)
    assert len(gateway_ids(pair) & before) == 1
    assert 'understudy_process_restarts_total{process="gateway-1"} 1.0' in pair.metrics()


def test_frames_go_on_while_the_controller_is_killed_and_the_next_one_deploys(
    pair: Deployment, image: bytes
) -> None:
    codes: list[int] = []
    done = Event()

    def camera() -> None:
        while not done.is_set():
            codes.append(pair.detect(image).status_code)

    victim = pair.pid("controller")
    with ThreadPoolExecutor(1) as cameras:
        streaming = cameras.submit(camera)
        kill(victim)
        # Its port is held meanwhile: the call waits for the next one, and does not fail.
        revision = pair.admin("GET", "/status")["revision"]
        done.set()
        streaming.result(30)
    pair.deploy("teacher")
    pair.set_route(student=50, teacher=50)

    assert pair.pid("controller") != victim
    assert revision >= 1
    assert set(codes) == {200}
    releases = {one["release"]: one["state"] for one in pair.admin("GET", "/status")["releases"]}
    assert releases == {"student-1.0": "live", "teacher-1.0": "live"}


def test_frames_go_on_while_a_torchserve_is_killed_and_filled_again(
    pair: Deployment, image: bytes
) -> None:
    kill(java_below(pair.pid("torchserve-1")))

    replies = [pair.detect(image, camera_id=f"c-{number}") for number in range(40)]

    assert {reply.status_code for reply in replies} == {200}
    pair.until(lambda: pair.processes()["torchserve-1"].restarts == 1)
    pair.until(lambda: _backends_that_answer(pair, image) == {"torchserve-1", "torchserve-2"})


def _backends_that_answer(pair: Deployment, image: bytes) -> set[str]:
    replies = [pair.detect(image, camera_id="c-1") for _ in range(4)]
    assert {reply.status_code for reply in replies} == {200}, [reply.text for reply in replies]
    return {reply.json()["answeredBy"]["backend"] for reply in replies}


def test_a_gateway_that_is_told_to_go_finishes_and_is_replaced(
    pair: Deployment, image: bytes
) -> None:
    victim = pair.pid("gateway-2")
    with httpx.Client(headers=pair.bearer | {"Content-Type": "image/jpeg"}) as client:
        os.kill(victim, signal.SIGTERM)
        url = f"{pair.addresses.http_url}/v1/detect?camera_id=c-1"
        replies = [client.post(url, content=image, timeout=30) for _ in range(20)]

    pair.until(lambda: pair.processes()["gateway-2"].restarts == 1)
    assert pair.pid("gateway-2") != victim
    assert {reply.status_code for reply in replies} == {200}, replies[0].text
