"""Workers on other machines behind TLS: both sides show certificates, and both are renewed."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx
import psutil
import pytest
from certificates import Authority, Issued
from parts_apart import SECRET, WORKERS, Apart, apart, until

pytestmark = pytest.mark.slow

HOST = WORKERS[0]
KEY = {"Authorization": f"Bearer {SECRET}"}


@dataclass(frozen=True)
class Encrypted:
    """A deployment in parts whose parts speak TLS with each other.

    Attributes:
        parts: One worker, a controller, a gateway.
        authority: Signed both certificates.
        worker: The worker's.
        gateway: The gateway's and the controller's.
    """

    parts: Apart
    authority: Authority
    worker: Issued
    gateway: Issued

    def place(self, number: int) -> str:
        """HOST:PORT of the worker's door (0) or its port for frames (1)."""
        return f"{HOST}:{self.parts.ports[number]}"

    def answered(self, image: bytes) -> bool:
        return self.parts.detect(image).status_code == 200


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("encrypted")
    (folder / "store").mkdir()
    authority = Authority(folder)
    worker, gateway = authority.issue("worker"), authority.issue("gateway")
    url = f"sqlite+aiosqlite:///{folder}/store/store.sqlite3"
    with apart(folder, archives, url) as opened:
        opened.workers = HOST
        archives.build(opened.model_store, "student")
        opened.start_worker(
            HOST,
            UNDERSTUDY_TLS_CERT_FILE=str(worker.cert),
            UNDERSTUDY_TLS_KEY_FILE=str(worker.key),
            UNDERSTUDY_TLS_CLIENT_CA_FILE=str(authority.file),
        )
        near = {
            "UNDERSTUDY_WORKERS_CA_FILE": str(authority.file),
            "UNDERSTUDY_WORKERS_CERT_FILE": str(gateway.cert),
            "UNDERSTUDY_WORKERS_KEY_FILE": str(gateway.key),
        }
        opened.start("controller", **near)
        opened.start("gateway", **near)
        assert opened.deploy("student").is_success
        arms = [{"name": "student", "release": "student-1.0", "weight": 100}]
        assert opened.admin("PUT", "/routes/default", {"arms": arms, "why": "test"}).is_success
        yield Encrypted(opened, authority, worker, gateway)


def test_frames_and_management_go_through(encrypted: Encrypted, image: bytes) -> None:
    reply = encrypted.parts.detect(image)

    assert reply.status_code == 200, reply.text
    assert reply.json()["detections"]
    worker = encrypted.parts.running[f"worker-{HOST}"].addresses
    assert worker.worker_url == f"https://{encrypted.place(0)}"


@pytest.mark.parametrize("number", [0, 1])
def test_nobody_without_a_certificate_comes_in(encrypted: Encrypted, number: int) -> None:
    url = f"https://{encrypted.place(number)}/ping"

    with pytest.raises(httpx.TransportError):
        httpx.get(url, verify=encrypted.authority.client().context(), headers=KEY)
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http"), headers=KEY)
    known = encrypted.authority.client(encrypted.gateway).context()
    assert httpx.get(url, verify=known, headers=KEY).status_code in {200, 404}


def test_a_certificate_alone_opens_no_door(encrypted: Encrypted) -> None:
    known = encrypted.authority.client(encrypted.gateway).context()

    refused = httpx.get(f"https://{encrypted.place(0)}/models", verify=known)

    assert refused.status_code == 401


def test_the_controller_s_metrics_say_when_the_worker_s_certificate_ends(
    encrypted: Encrypted,
) -> None:
    url = encrypted.parts.running["controller"].addresses.metrics_url
    name = "understudy_certificate_expiry_timestamp_seconds"

    def ends() -> list[float]:
        lines = httpx.get(url).text.splitlines()
        mine = [one for one in lines if one.startswith(name) and 'listener="worker"' in one]
        return [float(one.rpartition(" ")[2]) for one in mine]

    until(lambda: ends() == [encrypted.worker.ends.timestamp()])


def test_torchserve_itself_listens_on_the_loopback_interface_alone(encrypted: Encrypted) -> None:
    worker = encrypted.parts.running[f"worker-{HOST}"]
    supervisor = psutil.Process(worker.process.pid)
    everyone = [supervisor, *supervisor.children(recursive=True)]
    listening = {
        (one.name(), *connection.laddr)
        for one in everyone
        for connection in one.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }

    java = {
        (host.removeprefix("::ffff:"), port) for name, host, port in listening if "java" in name
    }
    outside = {(host, port) for host, port in java if host != "127.0.0.1"}
    # Its metrics, which name no camera, are Prometheus' to read.
    assert len(outside) == 1
    assert outside == {(HOST, _port(worker.addresses.torchserve_metrics_url))}
    assert len(java) >= 3


def _port(url: str) -> int:
    port = httpx.URL(url).port
    assert port is not None
    return port


def _shown(place: str, context: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    host, _, port = place.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def test_both_sides_certificates_are_renewed_under_frames(
    encrypted: Encrypted, image: bytes
) -> None:
    known = encrypted.authority.client(encrypted.gateway).context()
    done, lost = Event(), []

    def camera() -> int:
        sent = 0
        while not done.is_set():
            sent += 1
            if not encrypted.answered(image):
                lost.append(sent)
        return sent

    with ThreadPoolExecutor() as threads:
        frames = threads.submit(camera)
        new = encrypted.authority.issue("worker", days=9)
        new.moved_to(encrypted.worker)
        places = [encrypted.place(number) for number in (0, 1)]
        until(lambda: {_shown(one, known) for one in places} == {new.serial})
        other = encrypted.authority.issue("gateway", days=9)
        other.moved_to(encrypted.gateway)
        logs = [encrypted.parts.folder / f"{name}.log" for name in ("gateway", "controller")]
        until(lambda: all("certificate_renewed" in log.read_text() for log in logs))
        done.set()
        sent = frames.result()

    assert sent > 10
    assert not lost
