import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_programs import program

from serving.error_info import CAMERAS_OWN

REPOSITORY = Path(__file__).parents[2]
PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
_LABEL = re.compile(r"\$labels\.(\w+)")


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}


def planted() -> dict[str, dict[str, Any]]:
    tests = yaml.safe_load((PROMETHEUS / "tests" / "alerts_fire.yml").read_text())["tests"]
    return {test["name"]: test for test in tests}


def told(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_its_rules_are_valid() -> None:
    said = told(program("promtool"), "check", "config", "prometheus.yml", cwd=PROMETHEUS)

    assert "is valid prometheus config file syntax" in said
    assert said.count("rules found") == 3


@pytest.mark.parametrize("name", ["alerts_fire.yml", "healthy.yml"])
def test_alerts_fire_on_what_is_planted_and_are_silent_on_a_healthy_fleet(name: str) -> None:
    said = told(program("promtool"), "test", "rules", name, cwd=PROMETHEUS / "tests")

    assert "SUCCESS" in said


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_its_planted_fault(name: str) -> None:
    early, late = planted()[name]["promql_expr_test"]

    expression = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    assert early["expr"] == late["expr"] == expression
    assert early["exp_samples"] == []
    assert len(late["exp_samples"]) == 1


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_to_do_and_names_only_labels_that_it_has(name: str) -> None:
    alert = ALERTS[name]
    annotations = alert["annotations"]

    page, _, anchor = annotations["runbook"].partition("#")
    headings = re.findall(r"^### (\w+)$", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    fired = planted()[name]["promql_expr_test"][1]["exp_samples"][0]["labels"]
    named = set(_LABEL.findall(annotations["summary"] + annotations["description"]))
    assert named <= set(re.findall(r"(\w+)=", fired))


def test_the_runbook_has_no_section_without_an_alert() -> None:
    headings = re.findall(
        r"^### (\w+)$", (REPOSITORY / "docs" / "runbook.md").read_text(), re.MULTILINE
    )

    assert headings == list(ALERTS)


def test_errors_are_what_the_rollouts_count_as_errors() -> None:
    (rule,) = [
        one for one in rules("recording.yml") if one["record"] == "arm:understudy_errors:rate5m"
    ]

    excluded = re.search(r'code!~"([^"]*)"', rule["expr"])

    assert excluded is not None
    assert set(excluded.group(1).split("|")) == CAMERAS_OWN | {"ok"}
