"""The demo as somebody sees it who opens the panel: the run arrives, a rejected order is repaired and goes to the ERP."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.conftest import ORDERSYNC, plain_environment
from tests.web.browser.conftest import window

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

_PATIENCE = 90.0


class Demo:
    """`ordersync demo` with slow peers, so that there is time to watch."""

    def __init__(self, folder: Path) -> None:
        self.said = folder / "said.txt"
        environment = {**plain_environment(), "HOME": str(folder)}
        with self.said.open("wb") as out:
            command = [ORDERSYNC, "demo", "--orders", "60", "--latency-ms", "120"]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=environment)

    def told(self, pattern: str) -> str:
        """What it prints, as soon as it does."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            text = self.said.read_text(encoding="utf-8")
            found = re.search(pattern, text)
            if found:
                return found[1]
            assert self.process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)

    def documents(self) -> dict[str, Any]:
        """What the ERP holds, by order number."""
        address = self.told(r"The ERP's documents: +(\S+)")
        with urlopen(address, timeout=10) as answer:
            found = json.load(answer)["documents"]
        return {each["externalDocumentNumber"]: each for each in found}

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGKILL)
            raise


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    found = Demo(tmp_path)
    yield found
    found.end()


def test_a_person_signs_in_watches_the_run_arrive_and_repairs_an_order_which_goes_to_the_erp(
    demo: Demo, chromium: Browser
) -> None:
    link = demo.told(r"this signs in once: (\S+)")
    base = link.partition("/login/")[0]
    with window(chromium, base) as seen:
        page = seen.page
        page.goto(link)
        page.get_by_role("button", name="Sign in as demo").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")

        # The run arrives without a reload.
        page.evaluate("window.notLoadedAgain = true")
        table = page.locator("main")
        expect(table).to_contain_text("Open errors", ignore_case=True)
        deadline = time.monotonic() + _PATIENCE
        while page.locator("[data-figure=open-errors]").inner_text() in {"", "0"}:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert page.evaluate("window.notLoadedAgain") is True
        demo.told(r"(Ctrl-C stops everything)")

        # One that was rejected for its SKU is repaired.
        page.get_by_role("link", name="Order health").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Order health")
        assert "BGM-158" not in demo.documents()
        page.goto("/orders/BGM-158")
        page.get_by_role("button", name="Repair").first.click()
        field = page.locator("input[aria-invalid=true]").first
        expect(field).to_have_value("PNT")
        field.fill("WID-001")
        page.get_by_label("Why", exact=False).fill("The buyer meant the widget.")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("main")).to_contain_text("It would be written to the ERP as BGM-158")
        assert "BGM-158" not in demo.documents()
        expect(page.locator("input[name='new:/lines/0/sku']")).to_have_value("WID-001")
        page.get_by_role("button", name="Save and resume").click()
        deadline = time.monotonic() + _PATIENCE
        while "BGM-158" not in demo.documents():
            assert time.monotonic() < deadline, page.locator("main").inner_text()
            time.sleep(0.2)
        page.goto("/orders/BGM-158")
        expect(page.locator("main")).to_contain_text(demo.documents()["BGM-158"]["number"])
        expect(page.locator("main")).to_contain_text("The buyer meant the widget.")
