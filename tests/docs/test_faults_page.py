import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_every_test_and_alert_that_the_page_names_is_there() -> None:
    page = (REPOSITORY / "docs" / "faults.md").read_text()
    tests = "".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))
    alerts = (REPOSITORY / "deploy" / "prometheus" / "rules" / "alerts.yml").read_text()

    named = set(re.findall(r"`(test_\w+)`", page))
    sounded = set(re.findall(r"\bUnderstudy[A-Z]\w+", page))

    assert len(named) > 25
    assert {name for name in named if f"def {name}(" not in tests} == set()
    assert {name for name in sounded if f"alert: {name}\n" not in alerts} == set()


def test_every_row_names_a_test() -> None:
    page = (REPOSITORY / "docs" / "faults.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]

    without = [row for row in rows if "`test_" not in row and "the same test" not in row]

    assert {row.split("|")[1].strip() for row in without} == {"fault"}
