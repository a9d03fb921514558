import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from certificates import Authority

from serving.tls.server_tls import ServerTls


class _Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def alive() -> Iterator[int]:
    """The port of something that lives."""
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def secret(alive: int, tmp_path: Path) -> Iterator[int]:
    """The port of something that lives behind TLS, and lets in nobody without a certificate."""
    authority = Authority(tmp_path)
    tls = ServerTls(authority.files(authority.issue(), clients=True)).context
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health(ready: Path | None, **urls: str) -> int:
    """Run it as a container does, without the environment's own variables."""
    if ready is not None and urls:
        names = ("http_url", "admin_url", "worker_url")
        ready.write_text(json.dumps({name: urls.get(name, "") for name in names}))
    given = {"PATH": os.environ["PATH"]}
    if ready is not None:
        given["UNDERSTUDY_READY_FILE"] = str(ready)
    command = [sys.executable, "-m", "serving.health"]
    return subprocess.run(
        command, env=given, cwd=Path(__file__).parents[2], capture_output=True, check=False
    ).returncode


def test_all_that_listens_must_live_wherever_it_listens(tmp_path: Path, alive: int) -> None:
    ready, here = tmp_path / "ready.json", f"http://127.0.0.1:{alive}"

    assert health(ready, http_url=here) == 0
    assert health(ready, admin_url=f"http://0.0.0.0:{alive}") == 0
    assert health(ready, http_url=here, worker_url=f"{here}/nowhere") == 1
    assert health(ready, http_url=here, admin_url="http://127.0.0.1:1") == 1


def test_one_that_turns_us_away_for_want_of_a_certificate_lives(
    tmp_path: Path, alive: int, secret: int
) -> None:
    ready = tmp_path / "ready.json"

    assert health(ready, http_url=f"https://127.0.0.1:{secret}") == 0
    # That one does not speak TLS at all.
    assert health(ready, http_url=f"https://127.0.0.1:{alive}") == 1


def test_a_server_that_has_not_started_is_unhealthy(tmp_path: Path) -> None:
    assert health(tmp_path / "ready.json") == 1
    assert health(None) == 1
