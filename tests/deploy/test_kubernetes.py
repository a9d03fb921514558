"""The cluster's manifests: valid, complete, closed. None of it has met a real cluster here."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cluster import COMPONENT, OVERLAYS, SECRETS, Cluster, Workload, kustomize, rendered, selects

from serving.parts import Part
from serving.settings import Settings

SERVING = ("base", "gpu", "minimal")
# Read from the environment, and no settings of `understudy serve`.
OTHERS = {"UNDERSTUDY_SECRETS_DIR", "UNDERSTUDY_HOME", "UNDERSTUDY_DATA"}
# The oldest that its makers still mend at the time of writing, and the newest.
VERSIONS = ("1.34", "1.37")


@cache
def cluster(overlay: str) -> Cluster:
    with TemporaryDirectory() as scratch:
        return rendered(overlay, Path(scratch))


def all_workloads() -> Iterator[tuple[str, Workload]]:
    for overlay in OVERLAYS:
        for one in cluster(overlay).workloads():
            yield overlay, one


def environment(overlay: str, container: dict[str, Any]) -> dict[str, Any]:
    """What a container sees, its ConfigMaps' values included."""
    seen: dict[str, Any] = {}
    for one in container.get("envFrom", []):
        seen |= cluster(overlay).one("ConfigMap", one["configMapRef"]["name"])["data"]
    return seen | {one["name"]: one.get("value") for one in container.get("env", [])}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_is_what_kubernetes_takes(overlay: str, version: str) -> None:
    for one in cluster(overlay).resources:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_in_one_namespace_and_has_the_product_s_name(overlay: str) -> None:
    for one in cluster(overlay).resources:
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "understudy"
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "understudy"


def test_the_pods_have_no_more_rights_than_they_need() -> None:
    for overlay, workload in all_workloads():
        pod, where = workload.pod, f"{overlay}: {workload.name}"
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["enableServiceLinks"] is False, where  # they would look like settings
        assert pod["securityContext"]["runAsNonRoot"] is True, where
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), where
        for container in workload.containers:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, where
            assert rights["readOnlyRootFilesystem"] is True, where
            assert rights["capabilities"] == {"drop": ["ALL"]}, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where


def test_whatever_a_pod_names_is_there() -> None:
    made = {one["name"]: one for one in _generators()}
    claims = {name for one in OVERLAYS for name in cluster(one).names("PersistentVolumeClaim")}
    for overlay, workload in all_workloads():
        where = f"{overlay}: {workload.name}"
        volumes = {one["name"]: one for one in workload.pod.get("volumes", [])}
        for one in workload.resource["spec"].get("volumeClaimTemplates", []):
            volumes[one["metadata"]["name"]] = one
        mounted = {
            one["name"]
            for container in workload.containers
            for one in container.get("volumeMounts", [])
        }
        assert mounted == set(volumes), where
        for one in volumes.values():
            if "secret" in one:
                assert one["secret"]["secretName"] in made, where
            if "persistentVolumeClaim" in one:
                assert one["persistentVolumeClaim"]["claimName"] in claims, where


def _generators() -> list[dict[str, Any]]:
    found = yaml.safe_load((SECRETS / "kustomization.yaml").read_text())["secretGenerator"]
    return list(found)


def test_secrets_are_made_of_files_that_are_explained_and_never_committed(tmp_path: Path) -> None:
    told = (SECRETS / "README.md").read_text()
    shutil.copy(SECRETS / "kustomization.yaml", tmp_path)
    files = {name for one in _generators() for name in one["files"]}
    for name in files:
        assert f"| `{name}` |" in told
        (tmp_path / name).write_text("x")

    made = {one["metadata"]["name"]: one for one in yaml.safe_load_all(kustomize(tmp_path))}

    assert set(made) == {one["name"] for one in _generators()}
    assert (SECRETS / ".gitignore").read_text().splitlines()[1] == "*"
    for _, workload in all_workloads():
        mounts = {
            one["name"]: one["mountPath"]
            for container in workload.containers
            for one in container.get("volumeMounts", [])
        }
        for volume in workload.pod.get("volumes", []):
            if "secret" in volume:
                keys = made[volume["secret"]["secretName"]]["data"]
                _names_only(workload, mounts[volume["name"]], set(keys))


def _names_only(workload: Workload, folder: str, keys: set[str]) -> None:
    """Check that files named below a secret's folder are the secret's."""
    words = [
        str(word)
        for container in workload.containers
        for word in [
            *container.get("args", []),
            *(one.get("value", "") for one in container.get("env", [])),
        ]
    ]
    for word in " ".join(words).replace("=", " ").split():
        if word.startswith(f"{folder}/"):
            assert word.removeprefix(f"{folder}/") in keys


@pytest.mark.parametrize("overlay", SERVING)
def test_every_setting_is_one_of_ours_and_every_part_starts(overlay: str) -> None:
    known = {f"UNDERSTUDY_{name.upper()}" for name in Settings.model_fields} | OTHERS
    parts = set()
    for workload in cluster(overlay).workloads():
        for container in workload.containers:
            given = {one for one in environment(overlay, container) if one.startswith("UNDER")}
            assert given <= known, workload.name
        if workload.main.get("args", [""])[0] == "serve":
            parts.add(Part(workload.main["args"][1]))

    assert parts == {Part.GATEWAY, Part.CONTROLLER, Part.WORKER}


@pytest.mark.parametrize("overlay", SERVING)
def test_ports_are_those_that_the_parts_listen_on(overlay: str) -> None:
    default = {name: field.default for name, field in Settings.model_fields.items()}
    listening = {
        "gateway": {"http": "http_port", "grpc": "grpc_port", "metrics": "metrics_port"},
        "controller": {"admin": "admin_port", "metrics": "metrics_port"},
        "worker": {
            "door": "worker_port",
            "inference": "inference_port",
            "metrics": "metrics_port",
        },
    }
    for component, ports in listening.items():
        found = cluster(overlay).workload(component).ports()
        assert found == {name: default[setting] for name, setting in ports.items()}


@pytest.mark.parametrize("overlay", SERVING)
def test_each_part_is_probed_where_it_listens(overlay: str) -> None:
    for component in ("gateway", "controller", "worker"):
        main = cluster(overlay).workload(component).main
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = main[probe]["httpGet"]
            assert asked["port"] in cluster(overlay).workload(component).ports()
            assert asked["path"] in {"/livez", "/readyz"}
        # A pod that is not ready must not be killed for it.
        assert main["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("overlay", SERVING)
def test_a_pod_has_longer_to_stop_than_a_drain_takes(overlay: str) -> None:
    drain_s = Settings.model_fields["stop_timeout_s"].default
    for component in ("gateway", "controller", "worker"):
        pod = cluster(overlay).workload(component).pod
        hook = pod["containers"][0].get("lifecycle", {}).get("preStop")
        pause_s = int(hook["exec"]["command"][1]) if hook else 0
        assert pod["terminationGracePeriodSeconds"] >= drain_s + pause_s + 15


@pytest.mark.parametrize("overlay", SERVING)
def test_the_workers_that_are_named_are_those_that_there_are(overlay: str) -> None:
    workers = cluster(overlay).workload("worker").resource
    named = cluster(overlay).one("ConfigMap", "understudy-settings")["data"]["UNDERSTUDY_WORKERS"]
    service = workers["spec"]["serviceName"]

    assert Settings(workers=named).worker_names == (service,)
    assert not Settings(workers=named).worker_hosts
    headless = cluster(overlay).one("Service", service)["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_budgets_and_scalers_find_what_they_are_for(overlay: str) -> None:
    here = cluster(overlay)
    for service in here.of("Service"):
        (workload,) = (
            one for one in here.workloads() if service["spec"]["selector"].items() <= _of(one)
        )
        for port in service["spec"]["ports"]:
            if "targetPort" in port:
                assert workload.ports()[port["targetPort"]] == port["port"]
    for budget in here.of("PodDisruptionBudget"):
        assert any(selects(budget["spec"]["selector"], one.labels) for one in here.workloads())
    for scaler in here.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert "replicas" not in here.one(target["kind"], target["name"])["spec"]


def _of(workload: Workload) -> Any:
    return workload.labels.items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_spoken_of_by_one_policy_and_all_else_is_closed(overlay: str) -> None:
    here = cluster(overlay)
    for workload in here.workloads():
        (policy,) = here.policies_of(workload)
        assert set(policy["policyTypes"]) == {"Ingress", "Egress"}, workload.name
    if overlay in SERVING:
        assert here.one("NetworkPolicy", "understudy-nothing")["spec"] == {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
        }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_port_that_a_policy_names_is_one_of_the_pod_that_it_leads_to(overlay: str) -> None:
    here = cluster(overlay)
    for workload in here.workloads():
        (policy,) = here.policies_of(workload)
        assert _named(policy["ingress"]) <= set(workload.ports()), workload.name
        for rule in policy["egress"]:
            to = [one["podSelector"] for one in rule.get("to", []) if "podSelector" in one]
            led_to = [x for x in here.workloads() if any(selects(one, x.labels) for one in to)]
            assert _named([rule]) <= {name for one in led_to for name in one.ports()}


def _named(rules: list[dict[str, Any]]) -> set[str]:
    ports = [one["port"] for rule in rules for one in rule.get("ports", [])]
    return {one for one in ports if isinstance(one, str)}


@pytest.mark.parametrize("overlay", SERVING)
def test_a_worker_is_filled_by_the_controller_alone_and_reaches_nobody(overlay: str) -> None:
    here = cluster(overlay)
    (policy,) = here.policies_of(here.workload("worker"))
    door = [
        rule for rule in policy["ingress"] if any(port["port"] == "door" for port in rule["ports"])
    ]
    frames = [
        one["podSelector"]["matchLabels"][COMPONENT]
        for rule in policy["ingress"]
        if any(port["port"] == "inference" for port in rule["ports"])
        for one in rule["from"]
    ]

    assert [rule["from"] for rule in door] == [
        [{"podSelector": {"matchLabels": {COMPONENT: "controller"}}}]
    ]
    assert sorted(frames) == ["controller", "gateway"]
    assert policy["egress"] == []
    # Nor is the key to the door anybody else's.
    holders = {
        one.component
        for one in here.workloads()
        for volume in one.pod["volumes"]
        if volume.get("secret", {}).get("secretName") == "understudy-worker-key"
    }
    assert holders == {"controller", "worker"}


def test_overlays_are_what_their_names_say() -> None:
    gpu = cluster("gpu").workload("worker").main["resources"]["limits"]
    minimal = cluster("minimal")

    assert gpu["nvidia.com/gpu"] == 1
    assert not minimal.of("HorizontalPodAutoscaler", "PodDisruptionBudget")
    assert minimal.workload("gateway").resource["spec"]["replicas"] == 1
    assert minimal.workload("postgres").main["image"] == "postgres:17"
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= {
        one["kind"] for one in cluster("base").resources
    }


def test_frames_are_kept_only_where_redistillation_is_asked_for() -> None:
    def kept(overlay: str) -> str | None:
        main = cluster(overlay).workload("gateway").main
        return environment(overlay, main).get("UNDERSTUDY_HARVEST_DIR")

    harvest = cluster("redistil").workload("redistil").main

    assert [kept(one) for one in SERVING] == [None, None, None]
    folder = kept("redistil")
    assert f"--harvest={folder}" in harvest["args"]
    assert folder in {one["mountPath"] for one in harvest["volumeMounts"]}


def test_a_training_has_as_many_pods_as_torchrun_waits_for() -> None:
    job = cluster("distil").workload("distil")
    spec, args = job.resource["spec"], job.main["args"]
    service = cluster("distil").one("Service", job.pod["subdomain"])

    assert spec["completionMode"] == "Indexed"
    assert f"--nnodes={spec['completions']}" in args
    assert spec["parallelism"] == spec["completions"]
    first = f"{job.name}-0.{service['metadata']['name']}"
    port = service["spec"]["ports"][0]["port"]
    assert f"--rdzv-endpoint={first}:{port}" in args


@pytest.mark.slow
def test_pods_of_a_training_find_each_other_and_run_the_job(tmp_path: Path) -> None:
    job = cluster("distil").workload("distil").main
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Two pods on this machine; in the place of `understudy` a program that says what it was told.
    said = tmp_path / "said"
    program = tmp_path / "understudy"
    program.write_text(f'#!/bin/sh\necho "$RANK of $WORLD_SIZE: $*" >> {said}\n')
    program.chmod(0o755)
    given = {one["name"]: one["value"] for one in job["env"] if "value" in one}
    given |= {"HOME": str(tmp_path), "RUN": str(tmp_path / "run"), "OMP_NUM_THREADS": "1"}
    given["PATH"] = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [*job["command"][2:], *job["args"]]
    for was, here in (
        ("understudy-distil-0.understudy-distil:29500", f"127.0.0.1:{port}"),
        ("$(POD_IP)", "127.0.0.1"),
    ):
        command = [word.replace(was, here) for word in command]

    def run() -> set[str]:
        said.write_text("")
        pods = [subprocess.Popen(command, env=os.environ | given) for _ in range(2)]
        assert [one.wait(240) for one in pods] == [0, 0]
        return set(said.read_text().splitlines())

    first = run()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.yaml").touch()
    again = run()

    options = "--model-store /home/understudy/model_store "
    options += "--signing-key /home/understudy/signing/signing-key.pem"
    begun = f"job run /home/understudy/jobs/job.yaml --run-dir {tmp_path}/run {options}"
    assert first == {f"{rank} of 2: {begun}" for rank in range(2)}
    assert again == {f"{rank} of 2: job resume {tmp_path}/run" for rank in range(2)}
