"""A sandbox that is started with its clock ahead dates its answers and its records by that."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.sandbox.test_erp_sign_in import ROOT, SIGN_IN, TOKEN

AHEAD = timedelta(days=1)


def of_an_order_in_the_shop(url: str) -> datetime:
    return datetime.fromisoformat(_placed(url)["date_modified_gmt"]).replace(tzinfo=UTC)


def of_an_order_in_the_store(url: str) -> datetime:
    return parsedate_to_datetime(_placed(url)["date_modified"])


def _placed(url: str) -> dict[str, str]:
    wanted = {"count": 1, "lines": 1, "skus": ["WID-001"]}
    (order_id,) = requests.post(f"{url}/_sandbox/generate", json=wanted, timeout=5).json()["ids"]
    orders = requests.get(f"{url}/_sandbox/orders", timeout=5).json()
    found: dict[str, str] = next(each for each in orders if each["id"] == order_id)
    return found


def of_an_item_in_the_erp(url: str) -> datetime:
    token = requests.post(f"{url}{TOKEN}", data=SIGN_IN, timeout=5).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    items = requests.get(f"{url}{ROOT}/items?$top=1", headers=headers, timeout=5).json()["value"]
    return datetime.fromisoformat(items[0]["lastModifiedDateTime"])


@pytest.mark.parametrize(
    ("sandbox", "newest"),
    [
        ("shop", of_an_order_in_the_shop),
        ("bigcommerce", of_an_order_in_the_store),
        ("erp", of_an_item_in_the_erp),
    ],
)
def test_what_it_dates_is_of_the_clock_that_it_was_given(
    sandbox: str, newest: Callable[[str], datetime]
) -> None:
    command = [sys.executable, "-m", f"app.sandbox.{sandbox}", "--port", "0"]
    command += ["--clock-ahead", str(AHEAD.total_seconds())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found is not None
            record = newest(found[0])
            header = parsedate_to_datetime(
                requests.get(f"{found[0]}/_sandbox/requests", timeout=5).headers["Date"]
            )
        finally:
            process.send_signal(signal.SIGTERM)
    now = datetime.now(UTC) + AHEAD
    assert now - timedelta(minutes=1) < record < now + timedelta(seconds=1)
    assert now - timedelta(minutes=1) < header < now + timedelta(seconds=1)
