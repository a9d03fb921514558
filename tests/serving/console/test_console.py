"""The console in a real Chromium, before a real deployment whose cameras never stop."""

import pytest
from console_visitor import Visitor
from deployment import Deployment
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def test_a_wrong_key_stays_outside(visitor: Visitor) -> None:
    visitor.page.goto(visitor.url)
    visitor.page.get_by_label("API key").fill("us_0_wrong")
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.get_by_role("alert")).to_contain_text("not one of ours")


def test_weight_moves_and_the_traffic_with_it(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.sees("8 of 8 cameras are answered by teacher-1.0")

    visitor.press("Move weight…")
    visitor.dialog.get_by_label("student · student-1.0").fill("100")
    visitor.sees("8 of 8 cameras move from teacher (teacher-1.0) to student (student-1.0)")
    visitor.dialog.get_by_label("Why").fill("the student is good")
    visitor.press("Move weight", visitor.dialog)

    visitor.sees(f"Route “default” is at revision {route + 1}")
    visitor.sees("8 of 8 cameras are answered by student-1.0")
    revision = stack.admin("GET", "/routes/default")
    assert (revision["who"], revision["why"]) == ("admin", "the student is good")
