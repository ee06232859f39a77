"""Run the demo and take pictures of the panel into docs/panel. Usage: make venv-test, then .venv/bin/python docs/capture_panel.py.

Needs Chromium (Debian: apt-get install chromium), or its path in ORDERSYNC_TEST_CHROMIUM.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "panel"
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE = (1280, 860)
PHONE = (390, 844)
PATIENCE = 180.0
ORDERS = 400
REPAIRED = "BGM-158"


def main() -> None:
    """Take every picture anew."""
    chromium = os.environ.get("ORDERSYNC_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        sys.exit("Chromium was not found; install it, or name it in ORDERSYNC_TEST_CHROMIUM.")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        with said.open("wb") as out:
            command = [ROOT / ".venv/bin/ordersync", "demo", "--orders", str(ORDERS)]
            demo = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
        try:
            link = _told(demo, said, r"this signs in once: (\S+)")
            _told(demo, said, r"(Ctrl-C stops everything)")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium,
                    args=[
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-background-networking",
                        "--no-first-run",
                    ],
                )
                _pictures(browser, link)
                browser.close()
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(60)


def _told(demo: "subprocess.Popen[bytes]", said: Path, pattern: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        text = said.read_text(encoding="utf-8")
        found = re.search(pattern, text)
        if found:
            return found[1]
        if demo.poll() is not None or time.monotonic() > deadline:
            sys.exit(text)
        time.sleep(0.2)


def _pictures(browser: Browser, link: str) -> None:
    base = link.partition("/login/")[0]
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}, base_url=base)
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in as demo").click()
    # A few orders more, placed while somebody looks.
    time.sleep(20)
    _picture(page, "/", "overview")
    _picture(page, "/desk", "order-health")
    page.goto(f"/orders/{REPAIRED}")
    page.get_by_role("button", name="Repair").first.click()
    page.locator("input[aria-invalid=true]").first.fill("WID-001")
    page.get_by_role("button", name="Preview").click()
    _shot(page, "repair")
    _picture(page, "/orders", "orders")
    _picture(page, "/orders/BGM-152", "order")
    _picture(page, "/orders/BGM-152/explain", "explain")
    _picture(page, "/systems/sites/bgm", "site")
    _picture(page, "/alerts", "alerts")
    _picture(page, "/limits", "limits")
    page.emulate_media(color_scheme="dark")
    _picture(page, "/", "overview-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    _picture(page, "/desk", "phone")
    context.close()


def _picture(page: Page, path: str, name: str) -> None:
    page.goto(path)
    _shot(page, name)


def _shot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")
    print(f"docs/panel/{name}.png")


if __name__ == "__main__":
    main()
