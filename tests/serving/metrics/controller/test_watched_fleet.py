"""Every panel and every alert, asked of a real Prometheus that watches a real deployment."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from certificates import Authority
from deployment import deployed
from watched_fleet import REPOSITORY, Watched, environment, watched_fleet

from deploy.dashboards.board import ROUTE_CHANGED, Board
from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panel import Panel

pytestmark = pytest.mark.slow

PANELS = [(board, panel) for board in BOARDS for row in board.rows for panel in row.panels]
VARIABLES = {one.name: one.query for board in BOARDS for one in board.variables}
RULES = REPOSITORY / "deploy" / "prometheus" / "rules" / "alerts.yml"
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}
_SELECTOR = re.compile(r"(?:\b(?:arm|release|folder):|\bunderstudy|\bup\b)[\w:]*(?:\{[^}]*\})?")
_LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    authority = Authority(folder)
    issued = authority.issue()
    options = {
        "UNDERSTUDY_TLS_CERT_FILE": str(issued.cert),
        "UNDERSTUDY_TLS_KEY_FILE": str(issued.key),
        "UNDERSTUDY_GATEWAYS": "2",
        "UNDERSTUDY_WAITING_ROOM": "8",
        "UNDERSTUDY_HARVEST_DIR": str(folder / "harvest"),
        "UNDERSTUDY_HARVEST_BELOW_F1": "1",
    }
    with (
        environment("SSL_CERT_FILE", str(authority.file)),  # httpx's own way to trust
        deployed(folder, archives, **options) as running,
        watched_fleet(folder, running, authority.client()) as seen,
    ):
        yield seen


def as_asked(expression: str) -> str:
    """Put in what Grafana puts in: everything chosen, and an interval."""
    chosen = re.sub(r"\$(?:" + "|".join(VARIABLES) + r")\b", ".*", expression)
    asked = chosen.replace("$__rate_interval", "1m")
    assert "$" not in asked
    return asked


def named(value: tuple[Board, Panel]) -> str:
    board, panel = value
    return f"{board.name}: {panel.title}"


def test_every_target_is_read(fleet: Watched) -> None:
    targets = fleet.asked("targets")["activeTargets"]

    assert {one["labels"]["job"] for one in targets} == {"understudy", "torchserve", "pushgateway"}
    assert [one["health"] for one in targets] == ["up"] * len(targets)


def test_every_rule_is_evaluated_without_an_error(fleet: Watched) -> None:
    rules = [rule for group in fleet.asked("rules")["groups"] for rule in group["rules"]]

    assert len(rules) > len(ALERTS)
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=map(named, PANELS))
def test_every_query_of_every_panel_returns_data(
    fleet: Watched, board: Board, panel: Panel
) -> None:
    for query in panel.queries:
        # What stands for "it never happened" does not count: here it did.
        asked = as_asked(query.expression).removesuffix(" or on () vector(0)")
        values = [value for one in fleet.values(asked) for _, value in one["values"]]
        assert [value for value in values if value != "NaN"], asked


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_has_values(fleet: Watched, name: str) -> None:
    found = _LABEL_VALUES.fullmatch(VARIABLES[name])
    assert found is not None
    series = fleet.asked("series", {"match[]": as_asked(found.group(1))})

    assert {one[found.group(2)] for one in series}


def test_changes_of_the_routes_are_marked(fleet: Watched) -> None:
    assert fleet.values(ROUTE_CHANGED)


@pytest.mark.parametrize("name", ALERTS)
def test_every_operand_of_every_alert_is_there(fleet: Watched, name: str) -> None:
    selectors = _SELECTOR.findall(ALERTS[name])

    assert selectors
    for selector in selectors:
        assert fleet.values(selector), selector


def test_no_series_names_a_camera_or_a_key(fleet: Watched) -> None:
    names = fleet.asked("labels")

    assert not {"camera", "camera_id", "frame", "frame_id", "key", "key_id"} & set(names)
    values = {value for name in names for value in fleet.asked(f"label/{name}/values")}
    assert not {value for value in values if value.startswith(("cam-", "unheard", "us_"))}
