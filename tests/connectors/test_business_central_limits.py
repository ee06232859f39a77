"""What an answer of Business Central says about the account, also where it holds the answers to a batch."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.connectors.business_central.operations import report
from app.errors import Held, Retry
from app.ports.limiters import Report, Verdict
from app.transport import Answer, LocalLimiters
from tests.connectors.test_business_central import SandboxHarness, harness  # noqa: F401 - a fixture

GOOD = Report(Verdict.GOOD)
LATER = {"Retry-After": "300"}


def batch(*inner: tuple[Any, Mapping[str, str]], status: int = 200) -> Answer:
    responses = [
        {"id": str(number), "status": status, "headers": headers, "body": {}}
        for number, (status, headers) in enumerate(inner, start=1)
    ]
    return Answer(status, {}, json.dumps({"@odata.context": "x", "responses": responses}).encode())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (batch((429, LATER)), Report(Verdict.REFUSED, wait=300.0)),
        (batch((201, {}), (429, {"retry-after": "20"}), (429, LATER)), Report(Verdict.REFUSED, wait=300.0)),
        (batch((500, {}), (429, {})), Report(Verdict.REFUSED)),
        (batch((503, LATER)), Report(Verdict.FAILED, wait=300.0, fault="it answered 503 within a batch")),
        (batch((503, {}), (424, {})), Report(Verdict.FAILED, fault="it answered 503 within a batch")),
        (batch((500, {}), (201, {})), GOOD),
        (batch((400, {}), (409, {})), GOOD),
        (batch((424, {})), GOOD),
        (batch(("no status", {})), GOOD),
        (batch(), GOOD),
        (batch((201, {}), status=503), Report(Verdict.FAILED, fault="it answered 503")),
        (Answer(200, {}, b'{"responses": 429}'), GOOD),
        (Answer(200, {}, b'{"responses": [429'), GOOD),
        (Answer(200, {}, b'{"value": [{"displayName": "\\"responses\\" 429"}]}'), GOOD),
        (Answer(429, LATER, b""), Report(Verdict.REFUSED, wait=300.0)),
    ],
)
def test_the_worst_answer_of_a_batch_is_what_counts(answer: Answer, told: Report) -> None:
    assert report(answer) == told


def test_an_account_that_is_throttled_within_a_batch_is_left_alone(harness: SandboxHarness) -> None:  # noqa: F811 - the fixture
    erp = harness.open(limiters=LocalLimiters())
    throttled = batch((429, LATER)).body
    harness.wire.intercept = lambda request: (200, throttled) if request.path.endswith("$batch") else None
    with pytest.raises(Retry):
        erp.find_items(["PP"])
    for _ in range(3):
        with pytest.raises(Held, match="has asked for fewer calls"):
            erp.find_items(["PP"])
    assert len(harness.wire.requests) == 1
