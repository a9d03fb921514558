"""What of a whole deployment can be reached, and from where."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from deployment import Deployment, deployed

pytestmark = pytest.mark.slow

# All of 127.0.0.0/8 is this machine's: what listens here alone is not heard at 127.0.0.1.
HOST = "127.0.0.5"


@dataclass(frozen=True)
class Heard:
    """A listening socket.

    Attributes:
        program: That listens.
        host: Where.
        port: Where.
    """

    program: str
    host: str
    port: int


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("outside")
    with deployed(folder, archives, UNDERSTUDY_HOST=HOST) as running:
        running.deploy("student")
        running.set_route(student=100)
        yield running


def heard(running: Deployment) -> list[Heard]:
    supervisor = psutil.Process(running.process.pid)
    return [
        Heard(one.name(), connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for one in (supervisor, *supervisor.children(recursive=True))
        for connection in one.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def test_only_the_four_ports_of_the_settings_are_heard_outside(
    outside: Deployment, image: bytes
) -> None:
    assert outside.detect(image, camera_id="gate-7").status_code == 200
    addresses = outside.addresses
    urls = (addresses.http_url, addresses.admin_url, addresses.metrics_url)
    ours = {urlsplit(url).port for url in urls} | {int(addresses.grpc_address.rpartition(":")[2])}

    found = heard(outside)

    assert {one.port for one in found if one.host == HOST} == ours
    assert {one.host for one in found} == {HOST, "127.0.0.1"}


def test_nothing_of_torchserve_is_heard_outside(outside: Deployment) -> None:
    torchserve = [one for one in heard(outside) if one.program == "java"]

    assert len(torchserve) >= 3
    assert {one.host for one in torchserve} == {"127.0.0.1"}


def test_nobody_but_its_owner_reads_the_tokens_of_torchserve(outside: Deployment) -> None:
    state = outside.addresses.admin_key_file.parent

    (tokens,) = state.glob("**/key_file.json")
    folders = [folder for folder in tokens.parents if folder.is_relative_to(state)]

    assert any(folder.stat().st_mode & 0o077 == 0 for folder in folders)
    assert state.stat().st_mode & 0o777 == 0o700
