"""A sandbox that is started with its clock ahead says so in all that it dates."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

AHEAD = timedelta(days=1)


@pytest.mark.parametrize(
    ("sandbox", "generate", "listed"),
    [
        ("shop", {"count": 1, "lines": 1, "skus": ["WID-001"]}, "/_sandbox/orders"),
        ("bigcommerce", {"count": 1, "lines": 1, "skus": ["WID-001"]}, "/_sandbox/orders"),
        ("erp", None, "/_sandbox/documents"),
    ],
)
def test_the_date_header_and_new_orders_are_of_the_clock_that_is_ahead(
    sandbox: str, generate: dict[str, object] | None, listed: str
) -> None:
    command = [sys.executable, "-m", f"app.sandbox.{sandbox}", "--port", "0", "--empty"]
    command += ["--clock-ahead", str(AHEAD.total_seconds())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        if generate is not None:
            requests.post(f"{found[0]}/_sandbox/generate", json=generate, timeout=5).raise_for_status()
        answer = requests.get(f"{found[0]}{listed}", timeout=5)
        process.send_signal(signal.SIGTERM)
    expected = datetime.now(UTC) + AHEAD
    assert abs(parsedate_to_datetime(answer.headers["Date"]) - expected) < timedelta(minutes=1)
    if generate is not None:
        assert f"{expected:%d %b %Y}" in answer.text or f"{expected:%Y-%m-%d}" in answer.text, answer.text
