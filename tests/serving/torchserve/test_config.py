import subprocess
import sys
from pathlib import Path

import pytest

from serving.torchserve.config import (
    Listen,
    Ports,
    TorchServeConfig,
    decline_telemetry,
    environment,
    properties,
)

PORTS = Ports(inference=1, management=2, metrics=3, grpc_inference=4, grpc_management=5)


def written(config: TorchServeConfig) -> dict[str, str]:
    return dict(line.split("=", 1) for line in properties(config, PORTS).splitlines())


def test_torchserve_listens_on_the_loopback_interface_and_asks_for_its_token(
    tmp_path: Path,
) -> None:
    said = written(TorchServeConfig(archives=tmp_path, folder=tmp_path))

    for name in ("inference", "management", "metrics"):
        assert said[f"{name}_address"].startswith("http://127.0.0.1:")
    assert ("disable_token_authorization", "false") in said.items()


def test_where_other_machines_send_frames_its_management_is_still_its_own(tmp_path: Path) -> None:
    listen = Listen("10.0.0.5", inference=1, metrics=3)

    said = written(TorchServeConfig(archives=tmp_path, folder=tmp_path, listen=listen))

    assert said["inference_address"] == "http://10.0.0.5:1"
    assert said["metrics_address"] == "http://10.0.0.5:3"
    assert said["management_address"] == "http://127.0.0.1:2"
    assert said["grpc_management_address"] == "127.0.0.1"
    assert said["allowed_urls"] == "^$"
    assert ("disable_token_authorization", "true") in said.items()


def test_workers_see_the_gpus_that_there_are_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-1,GPU-2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("UNDERSTUDY_STORE_URL", "postgresql+psycopg://me:secret@db/u")
    monkeypatch.setenv("UNDERSTUDY_WORKER_KEY_FILE", "/run/secrets/worker-key")

    seen = environment(TorchServeConfig(archives=tmp_path, folder=tmp_path), tmp_path)

    assert seen["NVIDIA_VISIBLE_DEVICES"] == "GPU-1,GPU-2"
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert not {"UNDERSTUDY_STORE_URL", "UNDERSTUDY_WORKER_KEY_FILE"} & set(seen)


def test_what_workers_import_reports_to_nobody(tmp_path: Path) -> None:
    decline_telemetry(tmp_path)
    seen = environment(TorchServeConfig(archives=tmp_path, folder=tmp_path), tmp_path)
    assert seen["HOME"] == str(tmp_path)

    command = [sys.executable, "-c", "import onnxruntime, openvino"]
    subprocess.run(command, env=seen, check=True)

    # Either would leave an identity of this machine there.
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["openvino_telemetry"]


def test_where_tls_stands_before_it_only_its_metrics_are_heard_elsewhere(tmp_path: Path) -> None:
    listen = Listen("10.0.0.5", inference=None, metrics=3)

    said = written(TorchServeConfig(archives=tmp_path, folder=tmp_path, listen=listen))

    assert said["inference_address"] == "http://127.0.0.1:1"
    assert said["metrics_address"] == "http://10.0.0.5:3"
    assert said["management_address"] == "http://127.0.0.1:2"
