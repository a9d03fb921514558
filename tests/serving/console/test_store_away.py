"""The console while its store is away, in a real Chromium: a database that has lost its tables."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Page, async_playwright, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.listening import bind, http_server
from serving.console.console import open_console
from serving.console.services import Services
from serving.console.watch import Watch
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.dataplane.routing import pick
from serving.store.store import Store
from serving.store.values import Scope

pytestmark = [
    pytest.mark.slow,
    # NiceGUI looks at every object of its process, and other tests have brought torch into it.
    pytest.mark.filterwarnings("ignore:.torch.distributed.reduce_op:FutureWarning"),
]

# Each page, with what it shows while all is well.
PAGES = {
    "/": "No route yet",
    "/cameras": "No camera is known",
    "/releases": "No release yet",
    "/rollouts": "No rollout yet",
    "/compare": "No release is loaded",
    "/audit": "first act",
}
TABLES = ("route_revisions", "releases", "rollouts", "audit", "api_keys", "windows", "cameras")


@pytest_asyncio.fixture
async def key(store: Store) -> str:
    made, key_text = mint("somebody", Scope.OPERATE)
    await store.add_key(made)
    await store.audit("ann", "first act", "", "")
    return key_text


@pytest_asyncio.fixture
async def url(store: Store, tmp_path: Path) -> AsyncIterator[str]:
    kept = ArchiveStore(tmp_path / "archives", model_store=tmp_path, trusted_keys=())
    services = Services(
        controller=Controller(store, kept, [], holder="test"),
        store=store,
        authenticator=Authenticator(store),
        backends=(),
        model_store=tmp_path,
        harvest_dir=None,
        image_limit_bytes=1000,
        pick=pick,
        watch=Watch(store),
    )
    app = FastAPI()
    listener = bind("127.0.0.1", 0, "port")
    async with open_console(services) as console:
        app.mount("/console", console)
        async with http_server(app, listener, stop_timeout_s=1, websockets=True):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/console"


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield await (await browser.new_context()).new_page()
        await browser.close()


async def rename(store: Store, *, back: bool) -> None:
    """Take the tables away, or bring them back."""

    async def write(connection: AsyncConnection) -> None:
        for table in TABLES:
            names = (f"{table}_away", table) if back else (table, f"{table}_away")
            await connection.execute(text("ALTER TABLE {} RENAME TO {}".format(*names)))

    await store._transactions.writing(write)()


async def test_every_page_says_that_the_store_is_away_and_of_when_it_speaks(
    store: Store, url: str, key: str, page: Page
) -> None:
    await page.goto(url)
    await page.get_by_label("API key").fill(key)
    await page.keyboard.press("Enter")
    tabs = {path: await page.context.new_page() for path in PAGES}
    for path, tab in tabs.items():
        await tab.goto(f"{url}{path}")
        await expect(tab.get_by_text(PAGES[path]).first).to_be_visible(timeout=15_000)

    await rename(store, back=False)

    for path, tab in tabs.items():
        notice = tab.get_by_role("alert").filter(has_text="The store does not answer")
        await expect(notice).to_contain_text("What is shown is of 20", timeout=15_000)
        # The last that was read is there still, and does not look new.
        old = tab.locator(".old").get_by_text(PAGES[path]).first
        await expect(old).to_be_visible()
        await no_word_of_the_database(tab)
    releases = tabs["/releases"]
    await releases.get_by_role("button", name="Deploy…").click()
    await expect(releases.locator(".q-notification")).to_contain_text("the store does not answer")

    answer = await page.goto(f"{url}/audit")
    assert answer is not None
    assert answer.status == 200
    await expect(page.get_by_role("alert")).to_contain_text("The store does not answer")
    await no_word_of_the_database(page)

    await rename(store, back=True)

    for path, tab in tabs.items():
        await expect(tab.locator(".old")).to_have_count(0, timeout=15_000)
        await expect(tab.get_by_text(PAGES[path]).first).to_be_visible()


async def test_who_signs_in_meanwhile_is_told_in_words(
    store: Store, url: str, key: str, page: Page
) -> None:
    await rename(store, back=False)

    await page.goto(url)
    await page.get_by_label("API key").fill(key)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("The store does not answer")
    await no_word_of_the_database(page)


async def no_word_of_the_database(page: Page) -> None:
    """What the database complains of is the log's."""
    told = await page.inner_text("body")
    assert not [
        word for word in ("SELECT", "sqlite", "no such table", "sqlalche.me") if word in told
    ]
