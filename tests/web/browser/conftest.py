"""A real Chromium, and pages that must not complain."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from app.web import RunningServer
from tests.web.office import Office

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Containers have no sandbox to give; the rest keeps the browser from calling anybody but us."""


def path_of_chromium() -> str:
    """Where Chromium is. Ends the test with a sentence where it is not."""
    found = os.environ.get("ORDERSYNC_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(
            "The tests of the panel need Chromium, and none was found: install it (Debian: apt-get install chromium), or name it "
            "in ORDERSYNC_TEST_CHROMIUM.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = path_of_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET])
        yield browser
        browser.close()


class Window:
    """A page of the browser, with all that it complained of."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(20_000)

    def _said(self, message: ConsoleMessage) -> None:
        if str(message.type) == "verbose":
            # The browser's advice on forms with several secrets; its console does not show it.
            return
        self.complaints.append(f"{message.type}: {message.text} ({self.page.url})")

    def open(self, path: str) -> None:
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)


@contextmanager
def window(
    browser: Browser, base: str, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Window]:
    """A window of its own, with cookies of its own; at its end nothing must have been printed to the console."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        base_url=base,
    )
    found = Window(context.new_page(), base)
    try:
        yield found
    finally:
        context.close()
    assert found.complaints == []


@pytest.fixture
def served(office: Office) -> Iterator[str]:
    """The address of the panel."""
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(office.app, address="127.0.0.1", port=0, threads=4))
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def folder_for_pictures() -> Path | None:
    """Where pictures go that a person wants to look at: set ORDERSYNC_TEST_PICTURES."""
    wanted = os.environ.get("ORDERSYNC_TEST_PICTURES")
    if not wanted:
        return None
    path = Path(wanted)
    path.mkdir(parents=True, exist_ok=True)
    return path
