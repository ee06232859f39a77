"""What is told of the writing to Business Central, beside what went over the wire."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.connectors.business_central.exchanges import LONGEST_BODY
from app.domain.order import LineType
from app.errors import Misconfigured, Reject, Unknown
from app.ports.erp import ErpDocument, Exchange
from app.sandbox.erp import CLIENT_SECRET
from tests.connectors.test_business_central import Request, SandboxHarness
from tests.contracts.erp import Heard, draft, order, other, product

LINES = (product(amount="32.40", quantity="2", credit="3.60"), other(LineType.TAX, "2.05"))


@pytest.fixture
def harness() -> Iterator[SandboxHarness]:
    made = SandboxHarness()
    yield made
    made.server.stop()


@pytest.fixture
def customer(harness: SandboxHarness) -> str:
    harness.add_item("WID-1", name="Widget")
    return harness.add_customer(email="ada@example.test")


def only(heard: Heard) -> Exchange:
    ((exchange,),) = heard.exchanges.values()
    return exchange


@pytest.mark.parametrize("batch", ["auto", "off"])
def test_the_request_of_a_plan_is_what_goes_over_the_wire_byte_for_byte(
    harness: SandboxHarness, customer: str, batch: str
) -> None:
    planned = draft("BGM-1", *LINES, customer=customer)
    heard = Heard()
    erp = harness.open(batch=batch)
    request = erp.plan(planned).request
    assert harness.wire.requests == []
    erp.create_documents([planned], in_time=lambda: True, told=heard)
    assert only(heard).request == request
    sent = harness.wire.requests[0].raw
    assert request.encode() in sent if batch == "auto" else request.encode() == sent
    assert json.loads(request, parse_float=Decimal)["salesOrderLines"][0] == {
        "lineType": "Item",
        "lineObjectNumber": "WID-1",
        "description": "Product WID-1",
        "quantity": 2,
        "unitPrice": Decimal("16.2"),
        "discountAmount": Decimal("3.6"),
        "taxCode": "NONTAXABLE",
    }


@pytest.mark.parametrize("batch", ["auto", "off"])
def test_the_answer_has_status_body_and_what_was_read_back(
    harness: SandboxHarness, customer: str, batch: str
) -> None:
    heard = Heard()
    drafts = [draft(f"BGM-{at}", *LINES, customer=customer) for at in (1, 2)]
    results = harness.open(batch=batch).create_documents(drafts, in_time=lambda: True, told=heard)
    assert set(heard.exchanges) == {"BGM-1", "BGM-2"}
    for number, (exchange,) in heard.exchanges.items():
        written = results[number]
        assert isinstance(written, ErpDocument)
        answer = json.loads(exchange.answer, parse_float=Decimal)
        assert (exchange.what, answer["status"]) == ("sales order", 201)
        assert (answer["body"]["id"], answer["body"]["externalDocumentNumber"]) == (written.id, number)
        (row,) = answer["read_back"]["value"]
        assert (row["id"], row["totalAmountIncludingTax"]) == (written.id, Decimal("30.85"))


def test_the_digits_of_an_answer_stay_as_they_came(harness: SandboxHarness, customer: str) -> None:
    body = b'{"responses": [{"id": "1", "status": 400, "body": {"a": 20.00, "b": 0.10000000000000000555}}]}'
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    heard = Heard()
    harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=heard)
    assert '"body": {"a": 20.00, "b": 0.10000000000000000555}' in only(heard).answer


def test_no_credentials_are_told(harness: SandboxHarness, customer: str) -> None:
    heard = Heard()
    harness.erp.create_customer(order("BGM-1"), in_time=lambda: True, told=heard)
    harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=heard)
    tokens = {request.headers["authorization"].removeprefix("Bearer ") for request in harness.wire.requests}
    text = "".join(each.request + each.answer for each in heard.exchanges["BGM-1"])
    assert len(heard.exchanges["BGM-1"]) == 2
    assert [word for word in (CLIENT_SECRET, *tokens, "Bearer", "Authorization") if word in text] == []


@pytest.mark.parametrize(
    ("_case", "error"),
    [("long", '"' + "x" * (LONGEST_BODY + 10) + '"'), ("deep", "[" * 400 + "]" * 400)],
)
def test_an_answer_that_is_too_much_is_kept_as_far_as_it_makes_sense(
    harness: SandboxHarness, customer: str, _case: str, error: str
) -> None:
    body = f'{{"responses": [{{"id": "1", "status": 400, "body": {error}}}]}}'.encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    heard = Heard()
    result = harness.erp.create_documents(
        [draft("BGM-1", customer=customer)], in_time=lambda: True, told=heard
    )
    assert isinstance(result["BGM-1"], Reject)
    answer = json.loads(only(heard).answer, parse_float=Decimal)
    assert answer["status"] == 400
    assert len(only(heard).answer) < LONGEST_BODY + 200


def test_a_refusal_of_the_whole_call_is_told_for_each_order_of_it(
    harness: SandboxHarness, customer: str
) -> None:
    harness.wire.intercept = lambda request: (
        (400, b'{"error": {"message": "too long"}}') if request.path.endswith("$batch") else None
    )
    heard = Heard()
    drafts = [draft(f"BGM-{at}", customer=customer) for at in (1, 2)]
    with pytest.raises(Misconfigured, match="too long"):
        harness.erp.create_documents(drafts, in_time=lambda: True, told=heard)
    assert set(heard.exchanges) == {"BGM-1", "BGM-2"}
    assert all("too long" in found.answer for (found,) in heard.exchanges.values())


class _OutOfTime(Exception):
    """Stands for the time limit's signal."""


def test_what_may_be_on_its_way_when_the_work_is_stopped_is_told(
    harness: SandboxHarness, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = draft("BGM-1", customer=customer)

    def stopped(*_: object, **__: object) -> None:
        raise _OutOfTime

    monkeypatch.setattr("app.connectors.business_central.client.HttpClient.request", stopped)
    heard = Heard()
    with pytest.raises(_OutOfTime):
        harness.erp.create_documents([planned], in_time=lambda: True, told=heard)
    assert only(heard) == Exchange("sales order", harness.erp.plan(planned).request, "")
    heard = Heard()
    with pytest.raises(_OutOfTime):
        harness.erp.create_customer(order("BGM-2"), in_time=lambda: True, told=heard)
    assert (only(heard).what, only(heard).answer) == ("customer", "")


def test_a_lost_write_whose_document_is_read_back_shows_it(harness: SandboxHarness, customer: str) -> None:
    def forgetful(request: Request) -> tuple[int, bytes] | None:
        if not request.path.endswith("$batch"):
            return None
        return 200, b'{"responses": [{"id": "2", "status": 200, "body": {"value": []}}]}'

    harness.wire.intercept = forgetful
    heard = Heard()
    result = harness.erp.create_documents(
        [draft("BGM-1", customer=customer)], in_time=lambda: True, told=heard
    )
    assert isinstance(result["BGM-1"], Unknown)
    assert json.loads(only(heard).answer, parse_float=Decimal) == {
        "status": None,
        "body": None,
        "read_back": {"value": []},
    }
