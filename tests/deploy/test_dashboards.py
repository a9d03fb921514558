"""The dashboards as they are committed: up to date, whole, and read by Grafana's own types.

Whether their queries return data is asked of a real Prometheus in test_watched_fleet.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.board import Board
from deploy.dashboards.boards import BOARDS, FOLDER, file_of

PROVISIONING = Path(__file__).parents[2] / "deploy" / "grafana" / "provisioning"


def named(board: Board) -> str:
    return board.name


def committed(board: Board) -> Any:
    return json.loads(file_of(board).read_text())


def panels(board: Board) -> list[Any]:
    return [one for one in committed(board)["panels"] if one["type"] != "row"]


@pytest.mark.parametrize("board", BOARDS, ids=named)
def test_what_is_committed_is_what_the_code_makes(board: Board) -> None:
    assert file_of(board).read_text() == board.json(), "run `make dashboards`"


def test_there_is_no_dashboard_without_code() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {board.name for board in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=named)
def test_grafana_s_own_types_read_it_and_write_the_same(board: Board) -> None:
    read = Dashboard.from_json(committed(board))

    assert json.loads(json.dumps(read, cls=JSONEncoder)) == committed(board)


@pytest.mark.parametrize("board", BOARDS, ids=named)
def test_every_panel_says_what_it_is_and_asks_the_chosen_source(board: Board) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0


@pytest.mark.parametrize("board", BOARDS, ids=named)
def test_no_two_panels_lie_on_one_another_or_share_an_id(board: Board) -> None:
    every = committed(board)["panels"]
    cells = [
        (x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in every}) == len(every)


@pytest.mark.parametrize("board", BOARDS, ids=named)
def test_every_variable_is_used_and_none_is_unknown(board: Board) -> None:
    known = {one["name"] for one in committed(board)["templating"]["list"]}

    queries = " ".join(query["expr"] for panel in panels(board) for query in panel["targets"])
    assert known == {"datasource", *(variable.name for variable in board.variables)}
    for variable in board.variables:
        assert f"${variable.name}" in queries, f"{variable.name} chooses nothing"


def test_the_boards_are_those_that_operators_are_promised() -> None:
    titles = [board.title.removeprefix("Understudy: ") for board in BOARDS]

    assert titles == [
        "Overview",
        "A/B and rollout",
        "Latency",
        "Student against teacher",
        "Distillation jobs",
        "Workers",
    ]


def test_provisioning_names_the_source_and_the_folder() -> None:
    source = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "understudy.yaml").read_text())

    (one,) = source["datasources"]
    assert (one["type"], one["url"]) == ("prometheus", "${UNDERSTUDY_PROMETHEUS_URL}")
    (other,) = provider["providers"]
    assert other["type"] == "file"
    assert other["options"]["path"].startswith("/var/lib/grafana/dashboards/")
