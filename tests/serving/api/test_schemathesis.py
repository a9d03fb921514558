"""What OpenAPI promises is kept: schemathesis makes requests from it, right ones and wrong ones."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from deployment import Deployment, deployed

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("st")
CONFIG = Path(__file__).with_name("schemathesis.toml")
RUN_S = 240
# A key's own calls come last: sooner or later they revoke the one that asks.
OF_ONE_KEY = "/keys/"


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Deployment]:
    """A deployment to be changed; no archive has the name in the examples, to be scaled up."""
    with deployed(tmp_path_factory.mktemp("exposed"), archives) as running:
        for model in ("alpha", "beta"):
            running.deploy(model)
        running.set_route(alpha=50, beta=50)
        yield running


def asked(url: str, key: str, folder: Path, examples: int, *options: str) -> None:
    """Let schemathesis ask one API about everything that its description promises."""
    done = subprocess.run(
        [
            *(str(PROGRAM), "--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {key}", "--max-examples", str(examples)),
            *("--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-shrink"),
            *("--request-timeout", "60", "--continue-on-failure", "--no-color", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_cameras_api(exposed: Deployment, tmp_path: Path, image: bytes) -> None:
    before = exposed.processes()
    _, key = exposed.key_of("detect")

    asked(exposed.addresses.http_url, key, tmp_path, 40)

    good = exposed.detect(image, camera_id="gate-7")
    assert good.status_code == 200, good.text
    assert exposed.processes() == before


def test_operators_api(exposed: Deployment, tmp_path: Path) -> None:
    before = exposed.processes()
    _, key = exposed.key_of("admin")

    asked(exposed.addresses.admin_url, key, tmp_path, 10, "--exclude-path-regex", OF_ONE_KEY)
    asked(exposed.addresses.admin_url, key, tmp_path, 10, "--include-path-regex", OF_ONE_KEY)

    assert exposed.processes() == before


def test_a_wrong_method_is_told_all_right_ones(exposed: Deployment) -> None:
    reply = httpx.patch(f"{exposed.addresses.admin_url}/admin/v1/releases")

    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("revision", [True, "1", 2**63, -1])
def test_what_is_no_revision_is_refused(exposed: Deployment, revision: object) -> None:
    _, key = exposed.key_of("operate")

    reply = httpx.post(
        f"{exposed.addresses.admin_url}/admin/v1/routes/default/rollback",
        json={"revision": revision},
        headers={"Authorization": f"Bearer {key}"},
    )

    assert (reply.status_code, reply.json()["error"]["field"]) == (400, "revision")
