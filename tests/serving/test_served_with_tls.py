"""`understudy serve` with TLS, its certificate renewed under a camera."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from certificates import Authority, Issued
from deployment import REPOSITORY, Deployment, deployed

from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient, HttpDetectClient

pytestmark = pytest.mark.slow

EXPIRY = "understudy_certificate_expiry_timestamp_seconds"


@dataclass(frozen=True)
class Secured:
    """A deployment whose listeners speak TLS.

    Attributes:
        running: It; what tests ask of it trusts `authority`.
        authority: Signed its certificate.
        first: The certificate that it began with.
    """

    running: Deployment
    authority: Authority
    first: Issued

    def ends(self) -> dict[str, float]:
        """When the certificate of each listener ends, as the metrics say."""
        lines = [one for one in self.running.metrics().splitlines() if one.startswith(EXPIRY)]
        found = {}
        for line in lines:
            listener = line.partition('listener="')[2].partition('"')[0]
            found[listener] = float(line.rpartition(" ")[2])
        return found


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    issued = authority.issue()
    given = {
        "UNDERSTUDY_TLS_CERT_FILE": str(issued.cert),
        "UNDERSTUDY_TLS_KEY_FILE": str(issued.key),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.file))  # httpx's own way to trust
        with deployed(folder, archives, **given) as running:
            running.deploy("student")
            running.set_route(student=100)
            yield Secured(running, authority, issued)


def test_every_listener_of_cameras_and_operators_speaks_tls(secured: Secured, image: bytes) -> None:
    addresses = secured.running.addresses

    assert secured.running.detect(image, camera_id="gate-7").status_code == 200
    assert addresses.http_url.startswith("https://")
    assert addresses.admin_url.startswith("https://")
    assert addresses.grpc_address.startswith("grpcs://")
    for url in (addresses.http_url, addresses.admin_url):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url.replace("https://", "http://") + "/livez")


def test_the_metrics_say_when_each_listener_s_certificate_ends(secured: Secured) -> None:
    ends = secured.ends()

    assert set(ends) == {"http", "grpc", "admin"}


async def test_clients_of_cameras_speak_it(secured: Secured, image: bytes) -> None:
    addresses, key = secured.running.addresses, secured.running.key
    asked = wire.DetectRequest(image=image, camera_id="gate-7", frame_id="1")
    trusted = secured.authority.client()

    async with (
        AsyncDetectClient(addresses.grpc_address, key, tls=trusted) as grpc,
        HttpDetectClient(addresses.http_url, key, tls=trusted) as http,
    ):
        answers = [await grpc.detect(asked), await http.detect(asked)]

    assert [one.frame_id for one in answers] == ["1", "1"]


def test_operators_commands_speak_it_and_say_what_they_lack(secured: Secured) -> None:
    addresses = secured.running.addresses
    given = {
        "PATH": os.environ["PATH"],
        "UNDERSTUDY_ADMIN_URL": addresses.admin_url,
        "UNDERSTUDY_KEY": secured.running.key,
        "UNDERSTUDY_HOME": str(secured.first.cert.parent),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "understudy", "key", "list"]

    def asked(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *options],
            cwd=REPOSITORY,
            env=given | more,
            capture_output=True,
            text=True,
            check=False,
        )

    trusting = asked("--ca", str(secured.authority.file))
    strange = asked()
    clear = asked(UNDERSTUDY_ADMIN_URL=addresses.admin_url.replace("https", "http"))

    assert trusting.returncode == 0
    assert "admin" in trusting.stdout
    assert strange.returncode == 1
    assert "is not trusted" in strange.stderr
    assert "UNDERSTUDY_CA_FILE" in strange.stderr
    assert clear.returncode == 1
    assert "begin it with https://" in clear.stderr


def test_the_camera_command_speaks_it(secured: Secured, tmp_path: Path, image: bytes) -> None:
    source = tmp_path / "frame.jpg"
    source.write_bytes(image)
    command = [sys.executable, "-m", "understudy", "camera", "--source", str(source)]
    command += ["--address", secured.running.addresses.grpc_address, "--key", secured.running.key]
    command += ["--output", str(tmp_path / "out.mp4"), "--ca", str(secured.authority.file)]
    plain = {"PATH": os.environ["PATH"], "UNDERSTUDY_HOME": str(tmp_path), "COLUMNS": "100"}

    trusting, strange = [
        subprocess.run(one, cwd=REPOSITORY, env=plain, capture_output=True, text=True, check=False)
        for one in (command, command[:-2])
    ]

    assert trusting.returncode == 0, trusting.stdout + trusting.stderr
    assert "frames answered" in trusting.stdout
    assert strange.returncode == 1
    assert "no gateway answers at grpcs://" in strange.stdout


def test_a_browser_s_session_is_sent_over_tls_alone(secured: Secured) -> None:
    url = secured.running.addresses.admin_url
    with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
        reply = browser.post("/console/sign-in", data={"key": secured.running.key})

    assert reply.status_code == 303
    assert "secure" in reply.headers["set-cookie"].lower()


async def test_a_renewed_certificate_is_shown_while_a_camera_s_stream_goes_on(
    secured: Secured, image: bytes
) -> None:
    addresses, key = secured.running.addresses, secured.running.key
    asked: asyncio.Queue[wire.DetectRequest | None] = asyncio.Queue()
    frames = [wire.DetectRequest(image=image, camera_id="c", frame_id=str(n)) for n in range(2)]

    async def camera() -> AsyncIterator[wire.DetectRequest]:
        while (one := await asked.get()) is not None:
            yield one

    new = secured.authority.issue(days=9)
    trusted = secured.authority.client()
    async with AsyncDetectClient(addresses.grpc_address, key, tls=trusted) as client:
        answers = client.stream(camera())
        asked.put_nowait(frames[0])
        before = await anext(answers)

        new.moved_to(secured.first)
        wanted = dict.fromkeys(("http", "grpc", "admin"), new.ends.timestamp())
        await asyncio.to_thread(secured.running.until, lambda: secured.ends() == wanted)
        serials = [
            await _shown(urlsplit(url).netloc, trusted.context())
            for url in (addresses.http_url, addresses.admin_url, addresses.grpc_address)
        ]
        asked.put_nowait(frames[1])
        after = await anext(answers)
        asked.put_nowait(None)

    assert [before.frame_id, after.frame_id] == ["0", "1"]
    assert not after.HasField("error")
    assert serials == [new.serial] * 3


async def _shown(place: str, context: ssl.SSLContext) -> int:
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, _, port = place.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    return int(certificate["serialNumber"], 16)
