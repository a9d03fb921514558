"""The component `tls` of the cluster's manifests, on `base` and on `minimal`."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
from cluster import Cluster, with_component

from serving.settings import Settings

PARTS = ("gateway", "controller", "worker")
FOLDER = "/run/understudy/tls"


@cache
def cluster(overlay: str) -> Cluster:
    with TemporaryDirectory() as scratch:
        return with_component(overlay, "tls", Path(scratch))


def variables(main: dict[str, Any]) -> dict[str, str]:
    given = {one["name"]: one.get("value", "") for one in main.get("env", [])}
    return {name: value for name, value in given.items() if FOLDER in value}


@pytest.mark.parametrize("version", ["1.34", "1.37"])
@pytest.mark.parametrize("overlay", ["base", "minimal"])
def test_with_tls_every_resource_is_what_kubernetes_takes(overlay: str, version: str) -> None:
    for one in cluster(overlay).resources:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("overlay", ["base", "minimal"])
@pytest.mark.parametrize("part", PARTS)
def test_each_part_reads_its_own_secret_which_only_it_and_its_group_may(
    overlay: str, part: str
) -> None:
    workload = cluster(overlay).workload(part)

    (mount,) = [one for one in workload.main["volumeMounts"] if one["name"] == "tls"]
    (volume,) = [one for one in workload.pod["volumes"] if one["name"] == "tls"]

    assert mount == {"name": "tls", "mountPath": FOLDER, "readOnly": True}  # no subPath: renewed
    assert volume["secret"] == {"secretName": f"understudy-{part}-tls", "defaultMode": 0o440}
    given = {name.removeprefix("UNDERSTUDY_").lower() for name in variables(workload.main)}
    assert given <= set(Settings.model_fields)
    assert {"tls_cert_file", "tls_key_file"} <= given


@pytest.mark.parametrize("overlay", ["base", "minimal"])
def test_parts_show_each_other_certificates(overlay: str) -> None:
    found = {part: variables(cluster(overlay).workload(part).main) for part in PARTS}

    for part in ("gateway", "controller"):
        assert found[part]["UNDERSTUDY_WORKERS_CA_FILE"] == f"{FOLDER}/ca.crt"
        assert found[part]["UNDERSTUDY_WORKERS_CERT_FILE"] == f"{FOLDER}/tls.crt"
        assert found[part]["UNDERSTUDY_WORKERS_KEY_FILE"] == f"{FOLDER}/tls.key"
        # Cameras and operators show a key, not a certificate.
        assert "UNDERSTUDY_TLS_CLIENT_CA_FILE" not in found[part]
    assert found["worker"]["UNDERSTUDY_TLS_CLIENT_CA_FILE"] == f"{FOLDER}/ca.crt"


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_as_the_part_can_answer(probe: str) -> None:
    for part in ("gateway", "controller"):
        assert cluster("base").workload(part).main[probe]["httpGet"]["scheme"] == "HTTPS"
    worker = cluster("base").workload("worker").main[probe]
    assert "httpGet" not in worker
    assert worker["exec"]["command"] == ["python3", "-I", "-m", "serving.health"]
