"""One deployment with cameras before it and one Chromium for all tests of the console."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from console_visitor import Visitor, visiting
from deployment import Deployment, deployed
from fleet_of_cameras import sending
from playwright.sync_api import Browser, sync_playwright

# The teacher sees both objects of a picture; the student one of them, and a ghost.
SEEN_BY_TEACHER = ((20, 20, 16, 16, 0.9, 0.01), (44, 40, 12, 20, 0.02, 0.8))
SEEN_BY_STUDENT = ((20, 21, 16, 16, 0.7, 0.01), (10, 50, 8, 8, 0.02, 0.6))


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, archives: Any, image: bytes
) -> Iterator[Deployment]:
    """A deployment whose cameras never stop: teacher and student on the default route."""
    folder = tmp_path_factory.mktemp("console")
    harvest = {
        "UNDERSTUDY_HARVEST_DIR": str(folder / "harvest"),
        "UNDERSTUDY_HARVEST_BELOW_F1": "0.9",
    }
    with deployed(folder, archives, **harvest) as running:
        running.deploy("teacher", boxes=SEEN_BY_TEACHER)
        running.deploy("student", boxes=SEEN_BY_STUDENT)
        running.build(running.model_store, "student", "2.0", boxes=SEEN_BY_TEACHER)
        with sending(running, image, cameras=8):
            yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium; any host but this machine is unknown to it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                # As root, in a container, there is no other way.
                "--no-sandbox",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def route(stack: Deployment) -> int:
    """The default route as each test finds it: all to the teacher, the student in its shadow."""
    arms = [
        {"name": "teacher", "release": "teacher-1.0", "weight": 100},
        {"name": "student", "release": "student-1.0", "weight": 0},
    ]
    body = {"arms": arms, "shadow": {"arm": "student", "rate": 1.0}, "why": "as it was"}
    return int(stack.admin("PUT", "/routes/default", body)["revision"])


@pytest.fixture
def visitor(stack: Deployment, chromium: Browser) -> Iterator[Visitor]:
    """Somebody with a browser at the console's door."""
    with visiting(stack, chromium) as visitor:
        yield visitor
