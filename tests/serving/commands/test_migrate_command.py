import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from understudy.cli import app


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store's file that is not there yet, named in the environment."""
    file = tmp_path / "store.sqlite3"
    monkeypatch.setenv("UNDERSTUDY_STORE_URL", f"sqlite+aiosqlite:///{file}")
    return file


def migrate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["migrate", *arguments])


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as opened:
        return {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}


def test_an_empty_store_gets_its_tables_and_a_second_time_changes_nothing(store: Path) -> None:
    assert migrate().exit_code == 0
    made = tables(store)

    assert migrate().exit_code == 0
    assert {"releases", "alembic_version"} <= made == tables(store)


def test_who_waits_changes_nothing_and_is_refused_in_the_end(store: Path) -> None:
    waited = migrate("--wait", "0")

    assert waited.exit_code == 1
    assert "understudy migrate" in waited.stderr
    assert "releases" not in tables(store)


def test_who_waits_for_a_store_that_is_ready_is_let_go(store: Path) -> None:
    migrate()

    waited = migrate("--wait", "0")

    assert (waited.exit_code, waited.stderr) == (0, "")


def test_a_newer_version_s_store_is_left_alone(store: Path) -> None:
    migrate()
    with closing(sqlite3.connect(store)) as opened:
        opened.execute("UPDATE alembic_version SET version_num = 'of-tomorrow'")
        opened.commit()

    assert migrate().exit_code == 1
    assert "of-tomorrow" in migrate("--wait", "0").stderr
