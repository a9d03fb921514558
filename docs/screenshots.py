"""Pictures of the console for README and docs, from a real deployment with cameras before it.

Needs a demo that has run (`make demo`) and Chromium (`apt-get install chromium`), and four minutes:

    python docs/screenshots.py --demo runs/demo --model-store model_store
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from serving.client import AsyncDetectClient
from understudy.demo.fleet import Fleet
from understudy.demo.stack import Stack, serving

CAMERAS = 12
PERIOD_S = 1.0
FOLDER = Path(__file__).parent / "images"
# So long each weight is kept, for the charts to have a course.
ACT_S = 55.0


async def main(frames: list[Path], model_store: Path, chromium: str, act_s: float) -> None:
    """Serve the demo's archives, and take the pictures while a rollout goes on."""
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        state.mkdir(mode=0o700)
        async with (
            serving(state, model_store, Path(scratch) / "log") as stack,
            async_playwright() as playwright,
        ):
            await prepare(stack)
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            async with cameras(stack, [frame.read_bytes() for frame in frames]):
                await asyncio.sleep(act_s)
                await route(stack, 25, "a quarter, to begin with")
                await asyncio.sleep(act_s)
                await route(stack, 50, "half of the cameras: no complaints")
                await asyncio.sleep(act_s)
                await desktop(stack, browser, frames[0])
                await phone(stack, browser)
            await browser.close()


async def prepare(stack: Stack) -> None:
    """Deploy both releases, and let the teacher answer every camera."""
    for name in ("teacher", "student"):
        await stack.call("POST", "/releases", {"path": f"demo-{name}-1.0.mar"})
    await route(stack, 0, "the student begins in the teacher's shadow")


async def route(stack: Stack, student: float, why: str) -> None:
    """Give the student so many percent."""
    weights = {"teacher": 100 - student, "student": student}
    body: dict[str, Any] = {
        "arms": [
            {"name": name, "release": f"demo-{name}-1.0", "weight": weight}
            for name, weight in weights.items()
        ],
        "shadow": {"arm": "student", "rate": 0.5},
        "fallback": {"arm": "teacher", "budget": 0.2},
        "why": why,
    }
    await stack.call("PUT", "/routes/default", body)


@asynccontextmanager
async def cameras(stack: Stack, frames: list[bytes]) -> AsyncIterator[None]:
    """Keep cameras sending for as long as the block runs."""
    async with AsyncExitStack() as clients:
        client = await clients.enter_async_context(
            AsyncDetectClient(stack.addresses.grpc_address, stack.key)
        )
        asks = {f"gate-{number}": client.detect for number in range(1, CAMERAS + 1)}
        fleet = Fleet(asks, frames, period_s=PERIOD_S, deadline_s=10.0)
        sending = asyncio.create_task(fleet.run())
        try:
            yield
        finally:
            fleet.stop()
            await sending


async def desktop(stack: Stack, browser: Browser, frame: Path) -> None:
    """Take the pictures of a wide window, by day and by night."""
    page = await visit(stack, browser, 1440, 860)
    await shoot(page, "live")
    await page.get_by_role("button", name="Move weight…").click()
    await page.get_by_label("student · demo-student-1.0").fill("75")
    await page.get_by_text("What will happen").wait_for()
    await shoot(page, "move")
    await page.keyboard.press("Escape")

    await page.get_by_role("link", name="Rollouts").click()
    await page.get_by_role("button", name="Start a rollout…").click()
    await page.get_by_role("button", name="Start", exact=True).click()
    await page.get_by_role("heading", name="student on route default").wait_for()
    await page.get_by_role("button", name="Close").click()
    await page.get_by_role("link", name="Compare").click()
    await page.locator("input[type=file]").set_input_files(frame)
    await page.get_by_role("img").first.wait_for()
    await shoot(page, "compare")

    night = await visit(stack, browser, 1440, 860, dark=True)
    await shoot(night, "live-dark")
    await night.get_by_role("link", name="Rollouts").click()
    await night.get_by_role("heading", name="student on route default").wait_for()
    await shoot(night, "rollout-dark")
    await night.get_by_role("link", name="Cameras").click()
    await night.get_by_role("cell", name="gate-12").wait_for()
    await shoot(night, "cameras-dark")


async def phone(stack: Stack, browser: Browser) -> None:
    """Take the picture of a narrow window."""
    await shoot(await visit(stack, browser, 375, 812), "phone")


async def visit(
    stack: Stack, browser: Browser, width: int, height: int, *, dark: bool = False
) -> Page:
    """Sign in, and wait until the charts are drawn."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await page.goto(f"{stack.addresses.admin_url}/console")
    await page.get_by_label("API key").fill(stack.key)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="5 min", exact=True).click()
    return page


async def shoot(page: Page, name: str) -> None:
    """Write docs/images/console-NAME.png once what moves has come to rest."""
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(2500)
    await page.screenshot(path=FOLDER / f"console-{name}.png")
    print(FOLDER / f"console-{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"))
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--act-s", type=float, default=ACT_S)
    given = parser.parse_args()
    pictures = sorted(given.demo.glob("job/data/images/test/*"))
    asyncio.run(main(pictures, given.model_store.absolute(), given.chromium, given.act_s))
