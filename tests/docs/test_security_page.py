"""What docs/security.md names is there: each test that it calls upon, each setting."""

import re
from pathlib import Path

import pytest

from serving.settings import Settings

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), TESTS, ids=str)
def test_every_test_that_the_page_names_is_there(file: str, test: str) -> None:
    source = (REPOSITORY / file).read_text(encoding="utf-8")

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)


def test_every_hole_of_the_engine_has_a_test() -> None:
    table = PAGE.partition("## The engine's holes")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]

    assert len(rows) >= 8
    assert all("`tests/" in row for row in rows)


def test_every_setting_that_the_page_names_is_one() -> None:
    named = set(re.findall(r"`UNDERSTUDY_([A-Z_]+)`", PAGE))
    others = {"KEY", "CA_FILE", "CLIENT_CERT_FILE", "CLIENT_KEY_FILE", "SECRETS_DIR", "ADMIN_URL"}

    assert {one.lower() for one in named - others} <= set(Settings.model_fields)
