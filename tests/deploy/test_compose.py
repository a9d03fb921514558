"""The Compose file: of its specification, complete, closed. No container engine has run it here."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.parts import Part
from serving.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("understudy-")}
PARTS = ("gateway", "controller", "worker", "worker-gpu")
ONE_SHOT = {"migrate", "distill"}


def test_the_file_is_of_the_compose_specification() -> None:
    # Its schema is pinned with the checker.
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(FILE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_parts_are_there_and_each_comes_from_its_stage() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY.parent / "Dockerfile").read_text(), re.M)

    assert {*PARTS, "postgres", "prometheus", "grafana", "distill", "migrate"} <= set(SERVICES)
    for name, one in OURS.items():
        assert one["build"]["target"] in stages, name
        assert (DEPLOY / one["build"]["context"]).resolve() == DEPLOY.parent
    for name in PARTS:
        assert SERVICES[name]["command"] == ["serve", Part(name.split("-")[0])]


@pytest.mark.parametrize("name", sorted(set(OURS) | {"prometheus", "pushgateway", "grafana"}))
def test_a_container_has_a_root_file_system_that_it_cannot_write_and_no_rights(name: str) -> None:
    one = SERVICES[name]

    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in one["security_opt"]
    assert "privileged" not in one


def test_the_gpu_is_reserved_in_its_profile_alone_and_both_workers_have_one_name() -> None:
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]

    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in SERVICES["worker"]
    assert [SERVICES[name]["profiles"] for name in ("worker", "worker-gpu")] == [["cpu"], ["gpu"]]
    for name in ("worker", "worker-gpu"):
        assert SERVICES[name]["networks"] == {"workers": {"aliases": ["worker"]}}
    assert SERVICES["gateway"]["environment"]["UNDERSTUDY_WORKERS"].endswith(":-worker}")


def test_whoever_runs_on_has_a_health_check_and_time_to_stop() -> None:
    for name, one in SERVICES.items():
        if name not in ONE_SHOT:
            assert one["healthcheck"]["test"], name
        if name in PARTS:
            stop_s = int(one["stop_grace_period"].removesuffix("s"))
            assert stop_s >= Settings.model_fields["stop_timeout_s"].default + 15, name


def test_whoever_is_waited_for_can_be() -> None:
    conditions = {
        "service_healthy": lambda one: "test" in one["healthcheck"],
        "service_completed_successfully": lambda one: one.get("restart") in {"no", "on-failure"},
    }
    for name, one in SERVICES.items():
        for other, how in one.get("depends_on", {}).items():
            assert conditions[how["condition"]](SERVICES[other]), f"{name} waits for {other}"
            # One of a profile that was not asked for is not there.
            assert how.get("required", True) is ("profiles" not in SERVICES[other])


def test_ports_are_this_host_s_alone_unless_somebody_says_otherwise() -> None:
    for name, one in SERVICES.items():
        for port in one.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${UNDERSTUDY_PUBLISH:-127.0.0.1}:")), name
    assert not any("ports" in SERVICES[name] for name in ("worker", "worker-gpu", "postgres"))


def test_workers_and_the_store_are_in_networks_without_a_way_out() -> None:
    closed = {name for name, one in COMPOSE["networks"].items() if one and one.get("internal")}

    for name in ("worker", "worker-gpu", "postgres", "distill"):
        assert set(SERVICES[name]["networks"]) <= closed, name


def test_a_job_reaches_the_pushgateway_and_nobody_else() -> None:
    (network,) = SERVICES["distill"]["networks"]
    others = {name for name, one in SERVICES.items() if network in one.get("networks", [])}

    assert others == {"distill", "pushgateway"}
    assert SERVICES["distill"]["environment"]["UNDERSTUDY_PUSHGATEWAY"] == "pushgateway:9091"
    # It would be given to whoever asks, from the host's network too.
    assert "ports" not in SERVICES["pushgateway"]
    (kept,) = SERVICES["pushgateway"]["volumes"]
    (persisted,) = SERVICES["pushgateway"]["command"]
    assert persisted.removeprefix("--persistence.file=").startswith(kept.split(":")[1])


def secrets_of(one: dict[str, Any]) -> dict[str, str]:
    """The files that a service finds in /run/secrets, and which secret each is."""
    given = [
        x if isinstance(x, dict) else {"source": x, "target": x} for x in one.get("secrets", [])
    ]
    return {secret["target"]: secret["source"] for secret in given}


def test_secrets_are_files_that_are_explained_and_no_value_is_in_the_environment() -> None:
    told = (DEPLOY / "secrets" / "README.md").read_text()
    for secret in COMPOSE["secrets"].values():
        assert f"| `{Path(secret['file']).name}` |" in told
        assert Path(secret["file"]).parent == Path("secrets")
    for name, one in SERVICES.items():
        found = secrets_of(one)
        assert set(found.values()) <= set(COMPOSE["secrets"]), name
        for variable, value in one.get("environment", {}).items():
            if str(value).startswith("/run/secrets/"):
                assert str(value).removeprefix("/run/secrets/") in found, f"{name}: {variable}"
            assert not re.search("PASSWORD$|_KEY$|STORE_URL$", variable), f"{name}: {variable}"


def test_the_store_s_url_and_the_worker_key_reach_those_alone_who_need_them() -> None:
    def holders(secret: str) -> set[str]:
        return {name for name, one in SERVICES.items() if secret in secrets_of(one).values()}

    assert holders("store-url") == {"gateway", "controller", "migrate"}
    assert holders("worker-key") == {"controller", "worker", "worker-gpu"}
    assert holders("signing-key.pem") == {"distill"}
    for name in holders("store-url"):
        # Settings are read from files called as their variables.
        assert "UNDERSTUDY_STORE_URL" in secrets_of(SERVICES[name])
        assert SERVICES[name]["environment"]["UNDERSTUDY_SECRETS_DIR"] == "/run/secrets"


def test_every_setting_is_one_of_ours() -> None:
    known = {f"UNDERSTUDY_{name.upper()}" for name in Settings.model_fields}
    known |= {"UNDERSTUDY_SECRETS_DIR", "UNDERSTUDY_DATA", "UNDERSTUDY_HOME"}
    known.add("UNDERSTUDY_PUSHGATEWAY")  # of jobs, which have no settings
    for name, one in OURS.items():
        assert {x for x in one["environment"] if x.startswith("UNDER")} <= known, name


def test_what_is_mounted_from_here_is_here() -> None:
    for name, one in SERVICES.items():
        for volume in one.get("volumes", []):
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            # UNDERSTUDY_DATA: where people have their data sets.
            if source.startswith(".") and source != "../data":
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            elif not source.startswith("."):
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_grafana_finds_its_dashboards_and_prometheus() -> None:
    mounts = {
        volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]
    }
    providers = DEPLOY / "grafana" / "provisioning" / "dashboards" / "understudy.yaml"
    (provider,) = yaml.safe_load(providers.read_text())["providers"]

    assert mounts[provider["options"]["path"]] == "./grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"
    url = SERVICES["grafana"]["environment"]["UNDERSTUDY_PROMETHEUS_URL"]
    assert url == "http://prometheus:9090"
    assert set(SERVICES["grafana"]["networks"]) & set(SERVICES["prometheus"]["networks"])


def test_prometheus_scrapes_every_part_where_it_listens() -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    port = Settings.model_fields["metrics_port"].default
    scraped = set()
    for job in config["scrape_configs"]:
        for one in job.get("static_configs", []):
            scraped |= set(one["targets"])
        for one in job.get("dns_sd_configs", []):
            scraped |= {f"{name}:{one['port']}" for name in one["names"]}

    ours = {f"{name}:{port}" for name in ("gateway", "controller", "worker")}
    assert scraped == {*ours, "pushgateway:9091"}
    for name in ("gateway", "controller", "worker", "pushgateway"):
        assert set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"]), name
    beside = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert config["global"] == beside["global"]
    (pushed,) = (one for one in config["scrape_configs"] if one["job_name"] == "pushgateway")
    pushed_beside = {**pushed, "static_configs": [{"targets": ["127.0.0.1:9091"]}]}
    assert pushed_beside in beside["scrape_configs"]
