"""The console in a real Chromium, before a real deployment whose cameras never stop."""

import os
import re
import signal
from pathlib import Path

import pytest
from console_visitor import Visitor, visiting
from deployment import Deployment
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.slow

# What is to be seen there once the page has read what it shows.
PLACES = {
    "Live": "Agreement in the shadow, %",
    "Cameras": "gate-8",
    "Releases": "teacher-1.0",
    "Rollouts": "Rollouts",
    "Compare": "Choose an image…",
    "Audit": "route.set",
}
FROM_TEACHER = "8 of 8 cameras are answered by teacher-1.0"
FROM_STUDENT = "8 of 8 cameras are answered by student-1.0"


def test_a_wrong_key_stays_outside(visitor: Visitor) -> None:
    visitor.page.goto(visitor.url)
    visitor.page.get_by_label("API key").fill("us_0_wrong")
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.get_by_role("alert")).to_contain_text("not one of ours")


def test_weight_moves_and_the_traffic_with_it(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.sees(FROM_TEACHER)

    visitor.press("Move weight…")
    visitor.sees("Nothing changes")
    visitor.dialog.get_by_label("student · student-1.0").fill("100")
    visitor.sees("8 of 8 cameras move from teacher (teacher-1.0) to student (student-1.0)")
    visitor.dialog.get_by_label("Why").fill("the student is good")
    visitor.press("Move weight", visitor.dialog)

    visitor.sees(f"Route “default” is at revision {route + 1}")
    visitor.sees(FROM_STUDENT)
    revision = stack.admin("GET", "/routes/default")
    assert (revision["who"], revision["why"]) == ("admin", "the student is good")


def test_an_arm_is_promoted_and_the_route_rolled_back(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.sees(FROM_TEACHER)
    visitor.press("Promote…")
    visitor.sees("8 of 8 cameras move from teacher (teacher-1.0) to student (student-1.0)")
    visitor.press("Promote", visitor.dialog)
    visitor.sees(FROM_STUDENT)

    visitor.press("Roll back…")
    visitor.sees("8 of 8 cameras move from student (student-1.0) to teacher (teacher-1.0)")
    visitor.press("Roll back", visitor.dialog)

    visitor.sees(FROM_TEACHER)
    visitor.go("Audit")
    visitor.sees(f"rollback to revision {route}")
    assert stack.admin("GET", "/routes/default")["revision"] == route + 2


def test_a_version_is_deployed_and_put_on_an_arm(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.go("Releases")
    visitor.press("Deploy…")
    visitor.sees("student-2.0.mar is copied, and its signature is checked")
    visitor.sees("No camera moves")
    visitor.press("Deploy", visitor.dialog)
    # What has begun is not called back by closing what tells of it.
    expect(visitor.dialog.get_by_role("button", name="Cancel")).to_be_disabled()
    visitor.page.keyboard.press("Escape")
    expect(visitor.dialog).to_be_visible()
    visitor.sees("student-2.0 is ready")
    expect(visitor.row("student-2.0", "ready")).to_be_visible()

    visitor.press("Deploy…")
    visitor.sees("Nothing changes")
    visitor.dialog.get_by_label("Workers on each backend").fill("2")
    visitor.sees("student-2.0 is loaded already: it goes from 1 to 2 workers")
    visitor.press("Cancel", visitor.dialog)

    visitor.go("Live")
    visitor.press("Change arms…")
    visitor.dialog.get_by_role("group", name="Arm student").get_by_label("Release").click()
    visitor.page.get_by_role("option", name="student-2.0").click()
    visitor.sees("Arm student is answered by student-2.0 instead of student-1.0.")
    visitor.press("Change route", visitor.dialog)

    visitor.sees(f"Route “default” is at revision {route + 1}")
    expect(visitor.row("student", "student-2.0", "live")).to_be_visible()
    arms = stack.admin("GET", "/routes/default")["arms"]
    assert [one["release"] for one in arms] == ["teacher-1.0", "student-2.0"]


def test_the_arm_that_answers_everybody_gets_another_release(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    stack.deploy("student", "2.0")
    body = {"arms": [{"name": "student", "release": "student-1.0", "weight": 100}]}
    stack.admin("PUT", "/routes/default", body)
    visitor.sign_in()
    visitor.sees(FROM_STUDENT)

    body["arms"][0]["release"] = "student-2.0"
    stack.admin("PUT", "/routes/default", body)

    visitor.sees("8 of 8 cameras are answered by student-2.0")
    expect(visitor.page.get_by_role("alert").filter(has_text="error")).to_have_count(0)


def test_cameras_are_listed_with_who_answers_them(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.go("Cameras")
    expect(visitor.row("gate-8", "answered", "teacher-1.0")).to_be_visible(timeout=20_000)
    expect(visitor.row("gate-")).to_have_count(8)

    visitor.page.get_by_label("Only cameras").fill("gate-3 teacher")

    expect(visitor.row("gate-")).to_have_count(1)
    expect(visitor.row("gate-3")).to_be_visible()


def test_two_releases_are_seen_side_by_side(
    visitor: Visitor, image: bytes, tmp_path: Path, route: int
) -> None:
    picture = tmp_path / "frame.jpg"
    picture.write_bytes(image)
    visitor.sign_in()
    visitor.go("Compare")
    for name, release in (("Left", "teacher-1.0"), ("Right", "student-1.0")):
        visitor.choose(name, release)

    visitor.page.locator("input[type=file]").set_input_files(picture)

    # Each finds two; of one object they agree.
    visitor.sees("Both see 1; only teacher-1.0 sees 1; only student-1.0 sees 1.")
    visitor.sees("Agreement F1 50.0%")
    for release in ("teacher-1.0", "student-1.0"):
        view = visitor.page.get_by_role("img", name=f"{release} sees 2 objects, 1 of them alone")
        expect(view.locator("image")).to_be_visible()
        expect(view.locator("g.alone rect")).to_have_count(1)
    expect(visitor.row("plate", "only teacher-1.0", "0.80")).to_be_visible()

    picture.write_bytes(b"\xff\xd8\xff not a picture")
    visitor.page.locator("input[type=file]").set_input_files(picture)
    expect(visitor.page.get_by_role("alert").filter(has_text="image")).to_be_visible()


def test_a_frame_on_which_the_arms_disagreed_is_there_to_choose(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    harvest = stack.model_store.parent / "harvest"
    stack.until(lambda: any(harvest.glob("*/images/*/*.jpg")))
    visitor.sign_in()
    visitor.go("Compare")
    visitor.choose("Left", "teacher-1.0")
    visitor.choose("Right", "student-1.0")

    visitor.page.get_by_label("or take a frame on which the arms disagreed").click()
    visitor.page.get_by_role("option", name="gate-").first.click()

    visitor.sees("Agreement F1 50.0%")


def test_a_report_beside_an_archive_is_shown_and_runs_nothing(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    page = stack.model_store / "student-1.0.report.html"
    page.write_text("<h1>The gate</h1><script>document.title = 'it ran'</script>")
    visitor.sign_in()
    visitor.go("Releases")

    with visitor.page.expect_popup() as opened:
        visitor.row("student-1.0").get_by_role("link", name="gate").click()

    expect(opened.value.get_by_role("heading", name="The gate")).to_be_visible()
    assert opened.value.title() != "it ran"


def test_an_error_of_the_server_is_shown_as_one(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.press("Move weight…")
    visitor.dialog.get_by_label("student · student-1.0").fill("50")
    # Somebody else is faster.
    arms = stack.admin("GET", "/routes/default")["arms"]
    stack.admin("PUT", "/routes/default", {"arms": arms, "timeout_s": 9, "why": "faster"})

    visitor.press("Move weight", visitor.dialog)

    alert = visitor.dialog.get_by_role("alert")
    expect(alert).to_contain_text(f"revision {route + 1}")
    assert stack.admin("GET", "/routes/default")["revision"] == route + 1


def test_the_keyboard_is_enough(visitor: Visitor, stack: Deployment, route: int) -> None:
    visitor.sign_in()
    keyboard = visitor.page.keyboard
    opener = visitor.page.get_by_role("button", name="Move weight…")
    visitor.tab_to(opener)
    keyboard.press("Enter")
    expect(visitor.dialog).to_be_visible()
    keyboard.press("Escape")
    expect(visitor.dialog).to_be_hidden()
    expect(opener).to_be_focused()

    keyboard.press("Enter")
    visitor.tab_to(visitor.dialog.get_by_label("student · student-1.0"))
    keyboard.press("Control+A")
    keyboard.type("100")
    visitor.sees("8 of 8 cameras move")
    visitor.tab_to(visitor.dialog.get_by_role("button", name="Move weight"))
    keyboard.press("Enter")

    visitor.sees(f"Route “default” is at revision {route + 1}")
    assert stack.admin("GET", "/routes/default")["arms"][1]["weight"] == 100


def test_a_rollout_is_started_and_cancelled(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    # Until a camera is seen, no stage has any.
    visitor.sees(FROM_TEACHER)
    visitor.go("Rollouts")
    visitor.press("Start a rollout…")
    visitor.sees("student (student-1.0) gets 100% (8 cameras) in turn, of 8 cameras.")
    visitor.press("Start", visitor.dialog)
    visitor.sees("student on route default")
    for stage in ("1%", "5%", "25%", "50%"):
        visitor.sees(f"{stage} skipped: too few cameras")

    visitor.go("Live")
    # What it waits for is told once; from then on only figures and ages change.
    visitor.sees("holds until")
    link = visitor.page.get_by_role("link", name=re.compile("^Rollout [0-9a-f]"))
    link.focus()
    # Its age is told anew while everything around is read again.
    aged = visitor.page.locator(".route-head time[data-ago]")
    for _ in range(2):
        expect(aged).not_to_have_text(aged.inner_text(), timeout=20_000)
    expect(link).to_be_focused()

    visitor.go("Rollouts")
    visitor.press("Pause…")
    (under_way,) = stack.admin("GET", "/rollouts?limit=1")
    stack.admin("POST", f"/rollouts/{under_way['id']}/pause", {"why": "somebody else's"})
    # What it was opened from is replaced; the dialog stays, and says what is so by now.
    visitor.sees("The rollout is paused by now", visitor.dialog)
    expect(visitor.dialog.get_by_role("button", name="Pause")).to_be_disabled()
    visitor.press("Cancel", visitor.dialog)
    expect(visitor.dialog).to_be_hidden()
    visitor.press("Cancel…")
    visitor.sees("student keeps the weight that it has")
    visitor.dialog.get_by_label("Why").fill("only tried")
    visitor.dialog.get_by_role("button", name="Cancel", exact=True).last.click()

    visitor.sees("is cancelled")
    (rollout,) = stack.admin("GET", "/rollouts?limit=1")
    assert (rollout["state"], rollout["who"]) == ("cancelled", "admin")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_never_scrolls_sideways(
    stack: Deployment, chromium: Browser, route: int, dark: bool
) -> None:
    with visiting(stack, chromium, width=375, dark=dark) as phone:
        phone.sign_in()

        for place, content in PLACES.items():
            phone.go(place)
            phone.sees(content)
            assert phone.page.evaluate("document.documentElement.scrollWidth") <= 375, place
        phone.go("Live")
        phone.press("Change arms…")
        expect(phone.dialog).to_be_visible()
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 375
        page = phone.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"[0-9]+", page))) < 64) is dark


def test_a_key_of_scope_detect_may_only_look(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    _, key = stack.key_of("detect", "camera")
    visitor.sign_in(key)

    visitor.sees("may only look")
    visitor.sees(FROM_TEACHER)
    for place in ("Live", "Releases", "Rollouts"):
        visitor.go(place)
        visitor.sees(PLACES[place])
        expect(visitor.page.get_by_role("button", name="…")).to_have_count(0)
    assert visitor.status_of("/reports/student-1.0/report") == 403
    for place in ("Cameras", "Audit"):
        visitor.go(place)
        visitor.sees("has scope detect; this needs operate")
        expect(visitor.page.get_by_text("gate-")).to_have_count(0)


def test_a_revoked_key_ends_the_session(visitor: Visitor, stack: Deployment) -> None:
    key_id, key = stack.key_of("operate", "for a while")
    visitor.sign_in(key)

    stack.admin("DELETE", f"/keys/{key_id}")

    visitor.sees("Your session has ended")
    visitor.page.goto(visitor.url)
    expect(visitor.page.get_by_label("API key")).to_be_visible()


def test_who_signs_out_is_out_in_every_tab(visitor: Visitor) -> None:
    visitor.sign_in()
    (cookie,) = visitor.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    other = visitor.second_tab()

    visitor.press("Sign out")

    visitor.sees("You have signed out.")
    expect(other.get_by_label("API key")).to_be_visible()


def test_after_a_restart_an_open_page_leads_to_the_sign_in(
    visitor: Visitor, stack: Deployment, route: int
) -> None:
    visitor.sign_in()
    visitor.sees(FROM_TEACHER)

    os.kill(stack.pid("controller"), signal.SIGKILL)

    visitor.sees("Your session has ended")
    visitor.sign_in()
    visitor.sees(FROM_TEACHER)
