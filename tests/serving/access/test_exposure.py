"""What an operator is told of what stands open, and what keeps a server from starting."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from deployment import REPOSITORY

from serving.access import exposure
from serving.errors import ConfigurationError
from serving.parts import Part
from serving.settings import Settings, read_settings


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(**{"state_dir": tmp_path / "state", **given})  # type: ignore[arg-type]


def told(configured: Settings) -> list[str]:
    return [event for event, _ in exposure.exposures(configured)]


def test_a_server_for_this_machine_alone_is_told_nothing(tmp_path: Path) -> None:
    assert told(settings(tmp_path)) == []
    assert told(settings(tmp_path, host="::1")) == []


def test_whatever_stands_open_is_told(tmp_path: Path) -> None:
    open_to_all = {"host": "0.0.0.0"}  # noqa: S104 - never bound
    far = {"part": Part.GATEWAY, "store_url": "postgresql+psycopg://db/a", "workers": ("gpu-1",)}
    issued = Authority(tmp_path).issue()
    tls = {"tls_cert_file": issued.cert, "tls_key_file": issued.key}

    assert told(settings(tmp_path, auth=False)) == ["no_auth"]
    assert told(settings(tmp_path, **open_to_all)) == ["no_tls"]
    assert told(settings(tmp_path, **open_to_all, **tls)) == []
    assert told(settings(tmp_path, **far)) == ["workers_in_clear"]
    assert told(settings(tmp_path, **far, workers_ca_file=issued.cert)) == []
    worker = {"part": Part.WORKER, **open_to_all}
    assert told(settings(tmp_path, **worker)) == ["no_tls", "no_client_certificates"]
    assert told(settings(tmp_path, **worker, **tls)) == ["no_client_certificates"]
    assert told(settings(tmp_path, **worker, **tls, tls_client_ca_file=issued.cert)) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_cert_file": "c.pem"}, "UNDERSTUDY_TLS_KEY_FILE"),
        ({"tls_key_file": "c.key"}, "UNDERSTUDY_TLS_CERT_FILE"),
        ({"tls_client_ca_file": "ca.pem"}, "UNDERSTUDY_TLS_CERT_FILE"),
        ({"workers_cert_file": "c.pem", "workers_key_file": "k"}, "UNDERSTUDY_WORKERS_CA_FILE"),
        ({"workers_ca_file": "ca.pem", "workers_cert_file": "c"}, "UNDERSTUDY_WORKERS_KEY_FILE"),
    ],
)
def test_half_a_setting_is_refused_with_its_other_half(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_settings(**given)


def test_files_are_absolute_since_processes_run_elsewhere(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue()
    found = read_settings(tls_cert_file="cert.pem", tls_key_file=issued.key).tls

    assert found is not None
    assert found.cert == Path.cwd() / "cert.pem"


def test_a_key_that_everybody_may_read_keeps_a_server_from_starting(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue()
    issued.key.chmod(0o644)
    configured = settings(tmp_path, tls_cert_file=issued.cert, tls_key_file=issued.key)

    with pytest.raises(ConfigurationError, match="everybody on this machine"):
        exposure.check_tls(configured)


def serve(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "serving.commands.serve",
        "--state-dir",
        str(tmp_path / "state"),
    ]
    ports = [f"--{one}-port=0" for one in ("http", "grpc", "admin", "metrics")]
    return subprocess.run(
        [*command, *ports, *arguments],
        cwd=REPOSITORY,
        env={"PATH": "", "COLUMNS": "1000", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_certificate_that_is_over_keeps_a_server_from_starting(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue(days=-1)

    ended = serve(
        tmp_path,
        UNDERSTUDY_TLS_CERT_FILE=str(issued.cert),
        UNDERSTUDY_TLS_KEY_FILE=str(issued.key),
    )

    assert ended.returncode == 1
    assert re.search(r"tls_cert_file .*ended at .*: renew it", ended.stderr)
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "state").exists()


def test_each_start_without_authentication_warns(tmp_path: Path) -> None:
    # It ends at the store, after it has said so.
    unusable = {"UNDERSTUDY_STORE_URL": "sqlite+aiosqlite:////nowhere/store", "PYTHONUTF8": "1"}

    ends = [serve(tmp_path, "--no-auth", **unusable) for _ in range(2)]

    for ended in ends:
        assert ended.returncode == 1
        (line,) = [one for one in ended.stderr.splitlines() if "no_auth" in one]
        assert "warning" in line
        assert "may detect, deploy and make keys" in line
