"""A deployment of its own: what is stopped, killed or overloaded here disturbs no other test."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from deployment import REPOSITORY, START_S, Deployment, deployed
from grpc_health.v1 import health_pb2, health_pb2_grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.app import open_app
from serving.errors import ConfigurationError
from serving.settings import Settings

pytestmark = pytest.mark.slow

# Several hundred milliseconds a frame: four of them are under way together for over a second.
BUSY = {"busy": 80, "batch_size": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def own(folder: Path, archives: Any) -> Iterator[Deployment]:
    """A deployment whose only release is slow: 2 places, 2 in the waiting room; no console."""
    settings = {"UNDERSTUDY_WAITING_ROOM": "2", "UNDERSTUDY_CONSOLE": "false"}
    with deployed(folder, archives, **settings) as running:
        running.deploy("slow", **BUSY)
        running.set_route(slow=100)
        yield running


def serve(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serving.commands.serve", *options],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


@pytest.mark.parametrize(
    "modules",
    [
        "serving.app, serving.commands.serve",
        "serving.supervisor.gateway_process",
        "serving.supervisor.controller_process",
    ],
)
def test_serving_starts_with_nothing_that_it_may_never_need(modules: str) -> None:
    program = (
        f"import sys, {modules}; "
        "print([name for name in ('torch', 'ultralytics', 'handlers', 'ts', 'cv2', 'nicegui')"
        " if name in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"


def test_help_names_every_option() -> None:
    said = serve("--help", COLUMNS="200", TERM="dumb").stdout

    for option in (
        "--state-dir",
        "--http-port",
        "--ready-file",
        "--no-auth",
        "--gateways",
        "--store-url",
    ):
        assert option in said


def test_a_setting_beyond_its_limit_is_named() -> None:
    done = serve(UNDERSTUDY_WAITING_ROOM="-1")

    assert done.returncode == 2
    said = "error: waiting_room (UNDERSTUDY_WAITING_ROOM): Input should be greater"
    assert done.stderr.startswith(said)


def test_a_console_that_is_switched_off_is_not_there(own: Deployment, folder: Path) -> None:
    answer = httpx.get(f"{own.addresses.admin_url}/console")

    assert answer.status_code == 404
    assert "console" not in (folder / "log").read_text()


def test_the_output_names_the_key_s_file_and_never_the_key(own: Deployment, folder: Path) -> None:
    text = (folder / "log").read_text()

    assert own.key not in text
    assert own.addresses.admin_key_file == folder / "state" / "admin.key"
    assert own.addresses.admin_key_file.stat().st_mode & 0o777 == 0o600


def test_the_log_is_ours_alone_and_not_grpc_s(own: Deployment, folder: Path) -> None:
    assert "fork" not in (folder / "log").read_text()


def test_a_second_server_on_the_same_state_is_refused(own: Deployment, folder: Path) -> None:
    done = serve("--state-dir", str(folder / "state"), "--http-port", "0")

    assert done.returncode == 1
    assert "is in use by another `understudy serve`" in done.stderr


@pytest.mark.parametrize("setting", ["http_port", "grpc_port", "admin_port", "metrics_port"])
async def test_a_taken_port_is_named_with_what_to_do(setting: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"http_port": 0, "grpc_port": 0, "admin_port": 0, "metrics_port": 0, setting: port}
        settings = Settings(state_dir=tmp_path / "state", **ports)

        with pytest.raises(ConfigurationError) as refused:
            await open_app(settings).__aenter__()

    assert f"{setting}: 127.0.0.1:{port} cannot be listened on" in refused.value.message
    assert f"UNDERSTUDY_{setting.upper()}" in refused.value.message
    assert not (tmp_path / "state").exists()


def test_overload_is_told_with_a_retry_hint_and_never_hangs(own: Deployment, image: bytes) -> None:
    with ThreadPoolExecutor(8) as cameras:
        replies = list(cameras.map(lambda _: own.detect(image), range(8)))

    refused = [reply for reply in replies if reply.status_code == 429]
    assert {reply.status_code for reply in replies} == {200, 429}
    assert len(refused) == 4
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)
    assert refused[0].json()["error"]["code"] == "overloaded"


def test_overload_over_grpc_tells_when_to_come_back(own: Deployment, image: bytes) -> None:
    metadata = (("authorization", f"Bearer {own.key}"),)
    request = wire.DetectRequest(image=image)

    with grpc.insecure_channel(own.addresses.grpc_address) as channel:
        detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
        calls = [detect.future(request, metadata=metadata, timeout=30) for _ in range(8)]
        codes = [call.code() for call in calls]
        hints = [
            int(dict(call.trailing_metadata())["grpc-retry-pushback-ms"])
            for call in calls
            if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        ]

    assert codes.count(grpc.StatusCode.OK) == 4
    assert len(hints) == 4
    assert min(hints) >= 1


def test_a_client_that_hangs_up_frees_its_place_in_the_queue(own: Deployment, image: bytes) -> None:
    before = own.get("/metrics").text.count('api="http",code="cancelled"')
    url = httpx.URL(own.addresses.http_url)
    head = (
        f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {own.key}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
    )
    connections = [socket.create_connection((url.host, url.port or 80)) for _ in range(4)]
    for connection in connections:
        connection.sendall(head.encode() + image)
    own.until(lambda: 'understudy_in_flight{model="slow",version="1.0"} 4.0' in metrics(own))

    for connection in connections:
        connection.close()

    # Two had been sent and are waited for; the two in the queue are gone.
    own.until(lambda: 'understudy_answers_total{api="http",code="cancelled"} 4.0' in metrics(own))
    own.until(lambda: 'understudy_in_flight{model="slow",version="1.0"} 0.0' in metrics(own))
    assert before == 0


def metrics(running: Deployment) -> str:
    return running.get("/metrics").text


def test_torchserve_s_death_is_noticed_and_mended(own: Deployment, image: bytes) -> None:
    (java,) = [
        child
        for child in psutil.Process(own.process.pid).children(recursive=True)
        if "java" in child.name()
    ]
    java.kill()

    own.until(lambda: own.get("/readyz").status_code == 503)
    own.until(lambda: own.get("/readyz").status_code == 200)
    # Ready means that it is filled again, not only that it answers.
    assert own.detect(image).status_code == 200


def test_stopping_answers_what_is_under_way_and_the_next_start_takes_up(
    own: Deployment, folder: Path, archives: Any, image: bytes
) -> None:
    """Last in this file: it stops the deployment."""
    stream_answers: list[wire.DetectResponse] = []
    stream_end = threading.Event()
    stream_code: list[grpc.StatusCode] = []
    told: list[str] = []

    def camera() -> None:
        def frames() -> Iterator[wire.DetectRequest]:
            yield wire.DetectRequest(image=image, frame_id="f-1")
            stream_end.wait(30)  # a live camera: it does not end its stream

        try:
            stub = detection_pb2_grpc.DetectionServiceStub(channel)
            metadata = (("authorization", f"Bearer {own.key}"),)
            stream_answers.extend(stub.DetectStream(frames(), metadata=metadata))
        except grpc.RpcError as error:
            stream_code.append(error.code())

    with (
        grpc.insecure_channel(own.addresses.grpc_address) as channel,
        ThreadPoolExecutor(5) as cameras,
        ExitStack() as ends,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        # Also where an assertion fails: the executor waits for whoever waits for these.
        ends.callback(watch.cancel)
        ends.callback(stream_end.set)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        streaming = cameras.submit(camera)

        def watched() -> None:
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            told.append("not serving")

        def asked() -> httpx.Response:
            reply = own.detect(image)
            told.append("answered")
            return reply

        watching = cameras.submit(watched)
        under_way = [cameras.submit(asked) for _ in range(3)]
        own.until(lambda: 'understudy_in_flight{model="slow",version="1.0"} 4.0' in metrics(own))

        status = own.stop(timeout_s=20)  # the watch alone would hold it for 30 s
        replies = [one.result() for one in under_way]
        stream_end.set()
        streaming.result(30)
        watching.result(30)

    assert status == 0
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    # Clients hear of the end before what is under way has ended.
    assert told[-1] == "answered"
    assert not (folder / "ready.json").exists()
    assert stream_code == [grpc.StatusCode.UNAVAILABLE]
    with deployed(folder, archives) as again:
        assert again.key == own.key
        # The backends are filled; a gateway hears of it at its next look at the store.
        again.until(lambda: again.get("/readyz").status_code == 200)
        assert again.detect(image).json()["answeredBy"]["model"] == "slow"


def test_without_authentication_it_warns_and_its_death_takes_everything_along(
    tmp_path: Path, archives: Any
) -> None:
    options = {"UNDERSTUDY_AUTH": "false", "UNDERSTUDY_GATEWAYS": "2"}
    with deployed(tmp_path, archives, **options) as running:
        children = psutil.Process(running.process.pid).children(recursive=True)
        url = f"{running.addresses.http_url}/v1/detect"
        reply = httpx.post(url, content=b"x", headers={"Content-Type": "image/jpeg"})
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)

        gone, alive = psutil.wait_procs(children, timeout=10)

    # It came past authentication to a route that is not there yet.
    assert "no route yet" in reply.json()["error"]["message"]
    warned = re.search(r"no_auth.*everyone who reaches a port", (tmp_path / "log").read_text())
    assert warned is not None
    assert alive == []
    # Two gateways, the controller, TorchServe's guard and Java.
    assert len(gone) >= 5
