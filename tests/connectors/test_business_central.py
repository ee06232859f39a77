"""Business Central over the sandbox ERP: the port's contract, and what the wire shows of it."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from app.connectors.business_central import CONNECTOR, open_erp
from app.connectors.business_central.erp import BusinessCentral
from app.domain.order import LineType, sku_key
from app.errors import Misconfigured, Reject, Retry, Unknown
from app.ports.connector import Account
from app.ports.erp import Draft, ErpDocument, ErpItem, ItemKind
from app.ports.limiters import Limiters
from app.sandbox.erp import CLIENT_ID, CLIENT_SECRET, COMPANY_ID, TENANT, Erp, create_app, demo_fill
from app.sandbox.erp.orders import create_order, ship_and_invoice
from app.sandbox.erp.records import put
from app.sandbox.server import RunningServer, serve
from tests.contracts.erp import (
    ErpContract,
    Trouble,
    address,
    document,
    draft,
    order,
    other,
    product,
    unheard,
)
from tests.fakes.limiters import an_hour_between_calls

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SETTINGS = {
    "account.shipping": "40400",
    "account.tax": "40500",
    "account.fee": "40600",
    "account.gift_card": "40700",
    "account.rounding": "40900",
    "company_currency": "USD",
}
_TYPES = {
    ItemKind.INVENTORY: "Inventory",
    ItemKind.NON_INVENTORY: "Non-Inventory",
    ItemKind.SERVICE: "Service",
}
_FAULTS = {
    Trouble.LOST_REPLY: "reset_after",
    Trouble.LOST_REQUEST: "reset",
    Trouble.LATE: "late",
    Trouble.BUSY: "503",
}
_API = r"^/api/v2\.0/"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes

    @property
    def operations(self) -> list[dict[str, Any]]:
        return list(self.body["requests"])


Intercept = Callable[[Request], tuple[int, bytes] | None]


class Wire:
    """Stands before the sandbox: keeps every request to the API, and may answer or change it."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.requests: list[Request] = []
        self.intercept: Intercept = lambda _: None
        self.forget_preferences = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        is_json = environ.get("CONTENT_TYPE", "").startswith("application/json")
        request = Request(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=environ["QUERY_STRING"],
            headers=headers,
            body=json.loads(body, parse_float=Decimal) if body and is_json else body,
            raw=body,
        )
        if request.path.startswith("/api/"):
            self.requests.append(request)
        answer = self.intercept(request)
        if answer is not None:
            start_response(f"{answer[0]} Made up", [("Content-Type", "application/json")])
            return [answer[1]]
        if self.forget_preferences:
            environ.pop("HTTP_PREFER", None)
        return self._app(environ, start_response)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SandboxHarness:
    """The connector over a sandbox of its own, and the sandbox's books seen past it."""

    def __init__(self) -> None:
        self.books = Erp()
        self.wire = Wire(create_app(self.books))
        self.server: RunningServer = serve(self.wire)
        self.clock = Clock()
        self.erp: BusinessCentral = self.open()
        for number in ("40400", "40500", "40600", "40700", "40900"):
            put(
                self.books.books, "accounts", {"number": number, "displayName": number, "directPosting": True}
            )
        self._orders_before = 0

    def open(
        self,
        *,
        company: str = COMPANY_ID,
        url: str = "",
        secret: str = CLIENT_SECRET,
        http_timeout: float = 5.0,
        limiters: Limiters | None = None,
        **settings: str,
    ) -> BusinessCentral:
        given = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
        return open_erp(
            Account(
                name="bc",
                url=url or f"{self.server.url}/api/v2.0",
                allow_private=True,
                credentials={
                    "token_url": f"{self.server.url}/{TENANT}/oauth2/v2.0/token",
                    "client_id": CLIENT_ID,
                    "client_secret": secret,
                },
                settings=CONNECTOR.read_settings(given) | {"default_customer": "WEB-CASH"},
                http_timeout=http_timeout,
                limiters=limiters or an_hour_between_calls(),
                company=company,
            ),
            clock=self.clock,
        )

    def add_item(
        self,
        number: str,
        *,
        name: str = "",
        blocked: bool = False,
        kind: ItemKind = ItemKind.INVENTORY,
        price: str = "0",
    ) -> None:
        with self.books.lock:
            body = {
                "number": number,
                "displayName": name,
                "blocked": blocked,
                "type": _TYPES[kind],
                "unitPrice": Decimal(price),
            }
            put(self.books.books, "items", body)

    def add_customer(self, *, email: str, name: str = "Somebody", blocked: str = "") -> str:
        with self.books.lock:
            row = put(
                self.books.books, "customers", {"displayName": name, "email": email, "blocked": blocked}
            )
            return str(row.values["number"])

    def customers(self, email: str) -> int:
        with self.books.lock:
            return len(self.books.books.table("customers").find("email", email))

    def documents(self, external_number: str) -> Sequence[tuple[int, Decimal]]:
        with self.books.lock:
            found = self.books.books.table("salesOrders").find("externalDocumentNumber", external_number)
            return [
                (len(self.lines(external_number)), row.values["totalAmountIncludingTax"]) for row in found
            ]

    def header(self, external_number: str) -> dict[str, Any]:
        with self.books.lock:
            [row] = self.books.books.table("salesOrders").find("externalDocumentNumber", external_number)
            return dict(row.values)

    def lines(self, external_number: str) -> list[dict[str, Any]]:
        with self.books.lock:
            books = self.books.books
            row = books.table("salesOrders").find("externalDocumentNumber", external_number)[0]
            return [dict(line.values) for line in books.lines("salesOrderLines", row)]

    def add_document(self, external_number: str) -> None:
        number = self.add_customer(email="")
        with self.books.lock:
            create_order(
                self.books.books, {"externalDocumentNumber": external_number, "customerNumber": number}
            )

    def post_document(self, external_number: str) -> None:
        with self.books.lock:
            [row] = self.books.books.table("salesOrders").find("externalDocumentNumber", external_number)
            ship_and_invoice(self.books.books, row)

    def fail_next_write(self, trouble: Trouble) -> None:
        self._fail(trouble)

    def fail_next_read(self, trouble: Trouble) -> None:
        self._fail(trouble)

    def _fail(self, trouble: Trouble) -> None:
        if trouble is Trouble.REFUSED_CONNECTION:
            self.server.stop()
            return
        with self.books.lock:
            self._orders_before = len(self.books.books.table("salesOrders"))
        self.books.faults.order(
            {"match": {"path": _API}, "kind": _FAULTS[trouble], "seconds": Decimal("0.2")}
        )

    def wait_until_late_writes_are_done(self) -> None:
        for _ in range(200):
            with self.books.lock:
                if len(self.books.books.table("salesOrders")) > self._orders_before:
                    return
            time.sleep(0.02)
        raise AssertionError("the late write never came")

    def lock_out(self) -> None:
        self.books._client = (CLIENT_ID, "another")
        self.books.revoke_tokens()


@pytest.fixture
def harness() -> Iterator[SandboxHarness]:
    made = SandboxHarness()
    yield made
    made.server.stop()


@pytest.fixture
def customer(harness: SandboxHarness) -> str:
    harness.add_item("WID-1", name="Widget")
    return harness.add_customer(email="ada@example.test")


class TestBusinessCentral(ErpContract):
    """The contract of the port, over HTTP, in batches."""

    @pytest.fixture
    def harness(self) -> Iterator[SandboxHarness]:
        made = SandboxHarness()
        yield made
        made.server.stop()


class TestBusinessCentralWithoutBatch(ErpContract):
    """The same for a service without `$batch`, where every request stands alone."""

    @pytest.fixture
    def harness(self) -> Iterator[SandboxHarness]:
        made = SandboxHarness()
        made.erp = made.open(batch="off")
        yield made
        made.server.stop()


def test_the_documents_of_a_hundred_orders_are_one_call(harness: SandboxHarness) -> None:
    harness.erp.find_documents([f"BGM-{at}" for at in range(100)])
    [request] = harness.wire.requests
    assert len(request.operations) == 14
    assert {op["url"].split("?")[0] for op in request.operations} == {
        f"companies({COMPANY_ID})/salesOrders",
        f"companies({COMPANY_ID})/salesInvoices",
    }


def test_customers_and_items_are_one_call_each_and_repeated_keys_are_asked_once(
    harness: SandboxHarness,
) -> None:
    harness.erp.find_customers([f"c{at % 50}@example.test" for at in range(100)])
    harness.erp.find_items([f"sku-{at % 60}" for at in range(120)])
    assert [len(request.operations) for request in harness.wire.requests] == [4, 4]


def test_nothing_is_asked_where_nothing_can_exist(harness: SandboxHarness) -> None:
    assert harness.erp.find_items(["", "X" * 21, "A\nB", "\ud83d"]) == {}
    assert harness.erp.find_customers(["", "a" * 80 + "@b"]) == {"": (), "a" * 80 + "@b": ()}
    assert harness.wire.requests == []


def test_filters_are_percent_encoded_with_quotes_doubled(harness: SandboxHarness) -> None:
    harness.erp.find_items(["o'neil a+b&c", "ÜNI-商品"])
    [operation] = harness.wire.requests[0].operations
    assert operation["url"] == (
        f"companies({COMPANY_ID})/items?$filter=number%20eq%20%27O%27%27NEIL%20A%2BB%26C%27%20or%20number%20eq%20"
        "%27%C3%9CNI-%E5%95%86%E5%93%81%27&$select=number,displayName,type,blocked,lastModifiedDateTime"
    )


@pytest.mark.parametrize("forgets", [False, True], ids=["goes_on_after_errors", "stops_at_the_first_error"])
def test_a_filter_with_too_many_nodes_is_halved_until_it_passes(
    harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    monkeypatch.setattr("app.sandbox.erp.filters.NODE_LIMIT", 20)
    harness.wire.forget_preferences = forgets
    numbers = [f"SKU-{at:02}" for at in range(40)]
    for number in numbers:
        harness.add_item(number)
    assert set(harness.erp.find_items(numbers)) == set(numbers)
    before = len(harness.wire.requests)
    harness.erp.find_items(numbers)
    assert len(harness.wire.requests) == before + 1


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_service_without_batch_is_asked_one_by_one_from_then_on(
    harness: SandboxHarness, status: int
) -> None:
    harness.wire.intercept = lambda request: (status, b"") if request.path.endswith("$batch") else None
    harness.add_item("WID-1")
    customer = harness.add_customer(email="ada@example.test")
    document(
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)[
            "BGM-1"
        ]
    )
    harness.erp.find_items(["WID-1"])
    assert [(r.method, r.path.split("/")[-1]) for r in harness.wire.requests] == [
        ("POST", "$batch"),
        ("POST", "salesOrders"),
        ("GET", "salesOrders"),
        ("GET", "items"),
    ]
    assert [r.headers.get("data-access-intent") for r in harness.wire.requests] == [
        None,
        None,
        None,
        "ReadOnly",
    ]


def test_every_request_asks_for_english_and_json(harness: SandboxHarness) -> None:
    harness.erp.find_items(["WID-1"])
    list(harness.erp.changed_items(None))
    assert {r.headers["accept-language"] for r in harness.wire.requests} == {"en-US"}
    assert {r.headers["accept"] for r in harness.wire.requests} == {"application/json"}


def test_next_links_are_followed_in_a_batch_and_outside(harness: SandboxHarness) -> None:
    numbers = [f"SKU-{at}" for at in range(7)]
    for number in numbers:
        harness.add_item(number)
    harness.books.switches.update({"page_limit": 3})
    assert set(harness.erp.find_items(numbers)) == set(numbers)
    pages = [[item.number for item in page] for page in harness.erp.changed_items(None)]
    assert pages == [numbers[:3], numbers[3:6], numbers[6:]]


def test_changed_items_are_asked_for_by_time_in_pages_of_five_hundred(harness: SandboxHarness) -> None:
    harness.add_item("WID-1")
    [[item]] = harness.erp.changed_items(None)
    assert item.modified_at is not None
    list(harness.erp.changed_items(item.modified_at.astimezone(None)))
    request = harness.wire.requests[-1]
    assert request.headers["prefer"] == "odata.maxpagesize=500"
    stamp = item.modified_at.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(":", "%3A")
    assert request.query.endswith(f"&$filter=lastModifiedDateTime%20gt%20{stamp}")
    assert list(harness.erp.changed_items(item.modified_at)) == []


def test_a_byte_order_mark_is_no_obstacle(harness: SandboxHarness, customer: str) -> None:
    harness.books.switches.update({"byte_order_mark": True})
    assert set(harness.erp.find_items(["WID-1"])) == {"WID-1"}
    document(
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)[
            "BGM-1"
        ]
    )


def test_the_token_is_kept_until_shortly_before_its_end(harness: SandboxHarness) -> None:
    def tokens() -> int:
        return sum(request["path"].endswith("/token") for request in harness.books.requests())

    harness.erp.find_items(["A"])
    harness.clock.now += 3599 - 121
    harness.erp.find_items(["A"])
    assert tokens() == 1
    harness.clock.now += 2
    harness.erp.find_items(["A"])
    assert tokens() == 2


def test_a_token_that_is_refused_is_renewed_once_and_the_call_repeated(
    harness: SandboxHarness, customer: str
) -> None:
    harness.erp.find_items(["WID-1"])
    harness.books.revoke_tokens()
    assert set(harness.erp.find_items(["WID-1"])) == {"WID-1"}
    harness.books.revoke_tokens()
    document(
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)[
            "BGM-1"
        ]
    )
    assert len(harness.documents("BGM-1")) == 1


def test_a_token_that_is_refused_again_is_misconfigured(harness: SandboxHarness, customer: str) -> None:
    harness.wire.intercept = lambda request: (401, b"{}") if request.path.startswith("/api/") else None
    with pytest.raises(Misconfigured, match="refuses access"):
        harness.erp.find_items(["WID-1"])
    assert len(harness.wire.requests) == 2


def test_a_wrong_secret_is_misconfigured_and_not_shown(harness: SandboxHarness) -> None:
    with pytest.raises(Misconfigured, match="invalid_client") as caught:
        harness.open(secret="s3cr3t-value").find_items(["A"])
    assert "s3cr3t" not in caught.value.reason


def test_a_sign_in_service_in_trouble_is_a_retry(harness: SandboxHarness) -> None:
    harness.books.faults.order({"match": {"path": "token"}, "kind": "503"})
    with pytest.raises(Retry) as caught:
        harness.erp.find_items(["A"])
    assert caught.value.after == 30.0


def test_on_premises_signs_in_with_name_and_key(harness: SandboxHarness) -> None:
    account = Account(
        "bc", f"{harness.server.url}/api/v2.0", True, {"username": "ü", "password": "k"}, {}, 5.0, COMPANY_ID
    )
    harness.wire.intercept = lambda _: (503, b"")
    with pytest.raises(Retry):
        open_erp(account).find_items(["A"])
    assert harness.wire.requests[0].headers["authorization"] == "Basic w7w6aw=="


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"credentials": {"username": "u"}}, "credentials"),
        ({"company": ""}, "--company"),
        ({"url": "ftp://x"}, "https://"),
    ],
)
def test_an_account_that_lacks_something_is_misconfigured(given: dict[str, Any], missing: str) -> None:
    account = Account(
        "bc", "https://127.0.0.1/api/v2.0", True, {"username": "u", "password": "p"}, {}, 5.0, COMPANY_ID
    )
    with pytest.raises(Misconfigured, match=missing):
        open_erp(replace(account, **given))


@pytest.mark.parametrize("batch", ["auto", "off"])
def test_an_unknown_company_is_named(harness: SandboxHarness, customer: str, batch: str) -> None:
    erp = harness.open(company="00000000-1111-2222-3333-444444444444", batch=batch)
    with pytest.raises(Misconfigured, match="00000000-1111-2222-3333-444444444444"):
        erp.find_items(["A"])
    with pytest.raises(Misconfigured, match="00000000-1111-2222-3333-444444444444"):
        erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)


def test_a_wrong_address_is_misconfigured(harness: SandboxHarness) -> None:
    with pytest.raises(Misconfigured, match="check --url and --company"):
        harness.open(url=f"{harness.server.url}/api/v1.0").find_items(["A"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((429, b""), Retry),
        ((408, b""), Retry),
        ((504, b""), Retry),
        ((200, b"<html>"), Retry),
        ((200, b'{"responses": 1}'), Retry),
        ((200, b'{"responses": [{"id": "1", "status": 200, "body": {"value": [{"number": "A"}]}}]}'), Retry),
        ((401, b'{"error": {"code": "x", "message": "Service is under maintenance"}}'), Retry),
        ((409, b""), Retry),
        ((403, b'{"error": {"code": "Authorization_RequestDenied", "message": "No."}}'), Misconfigured),
        ((400, b'{"error": {"code": "BadRequest", "message": "No."}}'), Misconfigured),
        ((302, b""), Misconfigured),
    ],
)
def test_what_a_failed_read_means(
    harness: SandboxHarness, answer: tuple[int, bytes], expected: type[Exception]
) -> None:
    harness.wire.intercept = lambda request: answer if request.path.startswith("/api/") else None
    with pytest.raises(expected):
        harness.erp.find_items(["A"])


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (400, "Application_DialogException", "The Item X is blocked.", "bad_sku"),
        (400, "Application_DialogException", "You cannot sell Item 1 because the Sales Blocked", "bad_sku"),
        (400, "Internal_InvalidTableRelation", "(9) cannot be found in the related table (Item).", "bad_sku"),
        (
            400,
            "Internal_InvalidTableRelation",
            "(9) cannot be found in the related table (Country).",
            "erp_refusal",
        ),
        (400, "Application_DialogException", "Customer C1 is blocked with type All", "erp_refusal"),
        (404, "Internal_RecordNotFound", "The Customer does not exist.", "erp_refusal"),
        (409, "Request_EntityChanged", "Another user.", Retry),
        (424, "", "", Retry),
        (408, "", "", Unknown),
        (429, "", "", Unknown),
        (500, "", "", Unknown),
        (503, "", "", Unknown),
        (204, "", "", Unknown),
    ],
)
def test_what_a_failed_write_means(
    harness: SandboxHarness, status: int, code: str, message: str, expected: type[Exception] | str
) -> None:
    error = {"error": {"code": code, "message": f"{message}  CorrelationId:  0f3c-1."}}
    answers: list[dict[str, Any]] = [
        {"id": "1", "status": status, "body": error},
        {"id": "2", "status": 200, "body": {"value": []}},
    ]
    body = json.dumps({"responses": answers}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    result = harness.erp.create_documents(
        [draft("BGM-1", customer="C1")], in_time=lambda: True, told=unheard
    )["BGM-1"]
    if isinstance(expected, str):
        assert isinstance(result, Reject)
        assert result.kind == expected
        assert (
            result.reason == f"Business Central refuses the order: {message} ({code}, CorrelationId 0f3c-1)"
        )
    else:
        assert type(result) is expected


def test_the_total_is_the_one_read_back_not_the_one_in_the_answer(
    harness: SandboxHarness, customer: str
) -> None:
    harness.books.switches.update({"stale_totals": True, "tax_percent": Decimal(10)})
    erp = harness.open(tax__mode="erp")
    written = document(
        erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)["BGM-1"]
    )
    assert written.total == Decimal("29.95")
    assert [line["lineType"] for line in harness.lines("BGM-1")] == ["Item", "Account"]


def test_a_written_order_that_cannot_be_read_back_is_unknown(harness: SandboxHarness, customer: str) -> None:
    harness.books.faults.order({"match": {"operation": r"salesOrders\?"}, "kind": "500"})
    result = harness.erp.create_documents(
        [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
    )["BGM-1"]
    assert isinstance(result, Unknown)
    assert len(harness.documents("BGM-1")) == 1


def test_a_batch_that_stops_although_told_to_go_on_leaves_the_orders_behind_it_unknown(
    harness: SandboxHarness, customer: str
) -> None:
    harness.wire.forget_preferences = True
    drafts = [draft("BGM-1", customer=customer), draft("BGM-2", product("NOWHERE"), customer=customer)]
    results = harness.erp.create_documents(
        [*drafts, draft("BGM-3", customer=customer)], in_time=lambda: True, told=unheard
    )
    assert [type(result) for result in results.values()] == [ErpDocument, Reject, Unknown]
    assert len(harness.documents("BGM-1")) == 1
    assert harness.documents("BGM-3") == []


@pytest.mark.parametrize(
    ("_case", "answers", "expected"),
    [
        (
            "a gap",
            [{"id": "3", "status": 400, "body": {}}, {"id": "4", "status": 200, "body": {"value": []}}],
            [Unknown, Reject, Unknown],
        ),
        (
            "cut off after a failure",
            [{"id": "1", "status": 400, "body": {}}],
            [Reject, Unknown, Unknown],
        ),
        (
            "said not to be tried",
            [{"id": "1", "status": 400}, *({"id": str(at), "status": 424} for at in range(2, 7))],
            [Reject, Retry, Retry],
        ),
        ("none", [], [Unknown, Unknown, Unknown]),
    ],
)
def test_only_a_424_says_of_an_operation_that_it_was_not_tried(
    harness: SandboxHarness,
    customer: str,
    _case: str,
    answers: list[dict[str, Any]],
    expected: list[type[Exception]],
) -> None:
    body = json.dumps({"responses": answers}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    results = harness.erp.create_documents(
        [draft(f"BGM-{at}", customer=customer) for at in (1, 2, 3)], in_time=lambda: True, told=unheard
    )
    assert [type(result) for result in results.values()] == expected


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("3601", 3600.0),
        ("9" * 400, 3600.0),
        ("²", None),
        ("-1", None),
        ("", None),
    ],
)
def test_a_wait_named_within_a_batch_is_digits_and_an_hour_at_most(
    harness: SandboxHarness, header: str, after: float | None
) -> None:
    answers = [{"id": "1", "status": 503, "headers": {"Retry-After": header}}]
    body = json.dumps({"responses": answers}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    with pytest.raises(Retry) as caught:
        harness.erp.find_items(["A"])
    assert caught.value.after == after


def test_time_is_asked_for_after_signing_in_and_again_before_a_repeated_request(
    harness: SandboxHarness, customer: str
) -> None:
    harness.wire.intercept = lambda request: (401, b"{}") if request.path.endswith("$batch") else None
    drafts = [draft(f"BGM-{at}", customer=customer) for at in range(20)]
    results = harness.erp.create_documents(drafts, in_time=lambda: not harness.wire.requests, told=unheard)
    assert {type(result) for result in results.values()} == {Retry}
    assert len(harness.wire.requests) == 1


def test_without_batch_time_is_asked_for_before_each_write_and_what_was_written_is_read_back(
    harness: SandboxHarness, customer: str
) -> None:
    erp = harness.open(batch="off")
    drafts = [draft(f"BGM-{at}", customer=customer) for at in range(1, 9)]
    results = erp.create_documents(drafts, in_time=lambda: not harness.documents("BGM-2"), told=unheard)
    assert [type(result) for result in results.values()] == [ErpDocument] * 2 + [Retry] * 6
    assert [request.method for request in harness.wire.requests] == ["POST", "GET"] * 2


def test_signing_in_is_bounded_by_the_same_timeout(harness: SandboxHarness) -> None:
    released = threading.Event()

    def hangs(request: Request) -> None:
        if request.path.endswith("/token"):
            released.wait(5)

    harness.wire.intercept = hangs
    begun = time.monotonic()
    with pytest.raises(Retry, match="sign-in service gave no answer"):
        harness.open(http_timeout=0.2).find_items(["A"])
    assert time.monotonic() - begun < 4
    released.set()


def test_a_long_message_is_cut_and_only_what_business_central_says_is_shown(
    harness: SandboxHarness, customer: str
) -> None:
    error = {"code": "c" * 999, "message": "m" * 9999 + "  CorrelationId:  0f3c-1."}
    body = json.dumps({"responses": [{"id": "1", "status": 400, "body": {"error": error}}]}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    result = harness.erp.create_documents(
        [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
    )["BGM-1"]
    assert isinstance(result, Reject)
    assert result.reason == (
        f"Business Central refuses the order: {'m' * 500} ({'c' * 100}, CorrelationId 0f3c-1)"
    )


def test_groups_grow_while_the_erp_is_fast_and_shrink_when_it_is_slow(
    harness: SandboxHarness, customer: str
) -> None:
    seconds = {"each": 0.0}

    def slow(request: Request) -> None:
        if request.path.endswith("$batch"):
            harness.clock.now += seconds["each"] * len(request.operations) / 2

    harness.wire.intercept = slow
    harness.erp.create_documents(
        [draft(f"A-{at}", customer=customer) for at in range(100)], in_time=lambda: True, told=unheard
    )
    seconds["each"] = 0.5
    harness.erp.create_documents(
        [draft(f"B-{at}", customer=customer) for at in range(100)], in_time=lambda: True, told=unheard
    )
    sizes = [len(request.operations) // 2 for request in harness.wire.requests]
    assert sizes == [5, 10, 20, 40, 25, 50, 25, 12, 12, 1]


def test_access_lost_midway_is_a_retry_for_the_orders_not_yet_written(
    harness: SandboxHarness, customer: str
) -> None:
    calls = []

    def refuse_second(request: Request) -> tuple[int, bytes] | None:
        if request.path.endswith("$batch"):
            calls.append(request)
        return (403, b"{}") if len(calls) > 1 else None

    harness.wire.intercept = refuse_second
    results = harness.erp.create_documents(
        [draft(f"BGM-{at}", customer=customer) for at in range(20)], in_time=lambda: True, told=unheard
    )
    assert [type(result) for result in results.values()] == [ErpDocument] * 5 + [Retry] * 15


def test_two_drafts_with_one_number_are_written_once(harness: SandboxHarness, customer: str) -> None:
    results = harness.erp.create_documents(
        [draft("BGM-1", customer=customer), draft("bgm-1", customer=customer)],
        in_time=lambda: True,
        told=unheard,
    )
    assert isinstance(results["BGM-1"], ErpDocument)
    assert isinstance(results["bgm-1"], Retry)
    assert len(harness.documents("BGM-1")) == 1


def test_an_order_is_sent_in_one_deep_insert_in_the_pages_own_order(
    harness: SandboxHarness, customer: str
) -> None:
    harness.erp.create_documents(
        [draft("bgm-1", product(credit="2.00"), customer=customer)], in_time=lambda: True, told=unheard
    )
    operation = harness.wire.requests[-1].operations[0]
    assert operation["url"] == f"companies({COMPANY_ID})/salesOrders"
    assert operation["headers"]["Content-Type"] == "application/json"
    body = operation["body"]
    lines = body.pop("salesOrderLines")
    assert body == {
        "externalDocumentNumber": "BGM-1",
        "orderDate": "2026-03-17",
        "customerNumber": customer,
        "shipToName": "Ada Byron",
        "shipToContact": "Ada Byron",
        **{
            f"{party}{part}": value
            for party in ("sellTo", "shipTo")
            for part, value in {
                "AddressLine1": "1 Main St",
                "AddressLine2": "",
                "City": "Springfield",
                "Country": "US",
                "State": "IL",
                "PostCode": "62701",
            }.items()
        },
        "pricesIncludeTax": False,
        "phoneNumber": "",
        "email": "ada@example.test",
    }
    assert [list(line.items()) for line in lines] == [
        [
            ("lineType", "Item"),
            ("lineObjectNumber", "WID-1"),
            ("description", "Product WID-1"),
            ("quantity", 1),
            ("unitPrice", 20),
            ("discountAmount", 2),
            ("taxCode", "NONTAXABLE"),
        ]
    ]
    assert harness.documents("BGM-1") == [(1, Decimal(18))]


def test_every_kind_of_line_reaches_its_account_and_the_total_is_the_orders(
    harness: SandboxHarness, customer: str
) -> None:
    lines = (
        product("wid-1", "9.99", quantity="3", credit="0.37"),
        other(LineType.SHIPPING, "7.95", credit="0.30", name="Ground"),
        other(LineType.SHIPPING, "0.00", name="Free"),
        other(LineType.TAX, "1.10", credit="0.05"),
        other(LineType.TAX, "0.90"),
        other(LineType.COUPON, "0.00"),
        other(LineType.FEE, "-1.50", name="Member rebate"),
        other(LineType.GIFT_CARD, "0.00", credit="4.00", name="PW-1"),
        other(LineType.GIFT_CARD, "0.00", name="tender"),
        other(LineType.STORE_CREDIT, "0.00"),
        other(LineType.ROUNDING, "0.01"),
    )
    placed = draft("BGM-1", *lines, customer=customer)
    written = document(harness.erp.create_documents([placed], in_time=lambda: True, told=unheard)["BGM-1"])
    assert written.total == placed.order.total == Decimal("13.73")
    assert [
        (line["lineObjectNumber"], line["description"], line["unitPrice"]) for line in harness.lines("BGM-1")
    ] == [
        ("WID-1", "Product wid-1", Decimal("3.33")),
        ("40400", "Ground", Decimal("7.65")),
        ("40600", "Member rebate", Decimal("-1.5")),
        ("40700", "PW-1", Decimal(-4)),
        ("40900", "ROUNDING", Decimal("0.01")),
        ("40500", "Tax", Decimal("1.95")),
    ]


def _kit(kind: ItemKind | None, customer: str) -> Draft:
    parent = product("KIT-1", "50.00", quantity="2")
    parts = [
        replace(product(sku, "0.00", quantity=quantity), type=LineType.COMPONENT, parent=1)
        for sku, quantity in (("COMP-A", "6"), ("COMP-B", "2"))
    ]
    items = [] if kind is None else [ErpItem(number="KIT-1", name="Kit", blocked=False, kind=kind)]
    return draft("BGM-1", parent, *parts, customer=customer, items=items)


def test_a_non_inventory_kit_keeps_its_price_and_its_components_cost_nothing(
    harness: SandboxHarness, customer: str
) -> None:
    harness.add_item("KIT-1", kind=ItemKind.NON_INVENTORY)
    harness.add_item("COMP-A", price="5")
    harness.add_item("COMP-B", price="7")
    written = document(
        harness.erp.create_documents(
            [_kit(ItemKind.NON_INVENTORY, customer)], in_time=lambda: True, told=unheard
        )["BGM-1"]
    )
    assert written.total == Decimal(50)
    assert [
        (line["lineObjectNumber"], line["quantity"], line["unitPrice"]) for line in harness.lines("BGM-1")
    ] == [
        ("KIT-1", 2, 25),
        ("COMP-A", 6, 0),
        ("COMP-B", 2, 0),
    ]


@pytest.mark.parametrize("kind", [ItemKind.INVENTORY, ItemKind.SERVICE, None])
def test_any_other_kit_is_refused_before_anything_is_sent(
    harness: SandboxHarness, customer: str, kind: ItemKind | None
) -> None:
    result = harness.erp.create_documents([_kit(kind, customer)], in_time=lambda: True, told=unheard)["BGM-1"]
    assert isinstance(result, Reject)
    assert result.kind == "kit"
    assert harness.wire.requests == []


def test_an_order_of_another_currency_is_written_in_it(harness: SandboxHarness, customer: str) -> None:
    demo_fill(harness.books)
    yen = order("BGM-1", product("WID-1", "1250", quantity="3"), currency="JPY")
    written = document(
        harness.erp.create_documents([Draft("BGM-1", customer, yen, {})], in_time=lambda: True, told=unheard)[
            "BGM-1"
        ]
    )
    assert (written.currency, written.total) == ("JPY", Decimal(1250))
    assert harness.wire.requests[-1].operations[0]["body"]["currencyCode"] == "JPY"


def test_an_order_invoiced_in_parts_is_one_document(harness: SandboxHarness, customer: str) -> None:
    document(
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)[
            "BGM-1"
        ]
    )
    header = harness.header("BGM-1")
    with harness.books.lock:
        for at, total in enumerate(("10.00", "20.00")):
            values = {
                "number": f"PS-{at}",
                "externalDocumentNumber": "BGM-1",
                "orderNumber": header["number"],
                "customerNumber": customer,
                "currencyCode": "USD",
                "totalAmountIncludingTax": Decimal(total),
            }
            harness.books.books.add("salesInvoices", values)
    [found] = harness.erp.find_documents(["BGM-1"])["BGM-1"]
    assert (found.number, found.posted) == (header["number"], False)
    with harness.books.lock:
        [row] = harness.books.books.table("salesOrders").rows()
        harness.books.books.table("salesOrders").remove(row)
    [found] = harness.erp.find_documents(["BGM-1"])["BGM-1"]
    assert (found.posted, found.total) == (True, Decimal(30))


def test_a_new_customer_is_made_of_the_billing_address(harness: SandboxHarness) -> None:
    bill = address(
        company="Byron & Co",
        phone="(217) 555-0100 ext. 7",
        address1="x" * 120,
        address2="y" * 60,
        city="c" * 40,
        state="s" * 31,
    )
    made = harness.erp.create_customer(order("BGM-1", bill=bill), in_time=lambda: True, told=unheard)
    with harness.books.lock:
        row = harness.books.books.table("customers").first("number", made.number)
    assert row is not None
    shown = ("displayName", "type", "phoneNumber", "email", "country", "postalCode", "blocked")
    assert [row.values[name] for name in shown] == [
        "Byron & Co",
        "Company",
        "(217) 555 0100 . 7",
        "ada@example.test",
        "US",
        "62701",
        "_x0020_",
    ]
    assert [len(row.values[name]) for name in ("addressLine1", "addressLine2", "city", "state")] == [
        100,
        50,
        30,
        30,
    ]


def test_a_customer_that_the_erp_refuses_is_a_rejection(harness: SandboxHarness) -> None:
    nameless = order("BGM-1", bill=address(first_name="", last_name="", email=""))
    with pytest.raises(Reject, match="neither a name nor"):
        harness.erp.create_customer(nameless, in_time=lambda: True, told=unheard)
    assert harness.wire.requests == []


def test_an_item_of_an_unknown_type_is_not_guessed(harness: SandboxHarness) -> None:
    row = {
        "number": "A",
        "displayName": "",
        "type": "Configured",
        "blocked": False,
        "lastModifiedDateTime": "",
    }
    body = json.dumps({"responses": [{"id": "1", "status": 200, "body": {"value": [row]}}]}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    with pytest.raises(Misconfigured, match="Configured"):
        harness.erp.find_items(["A"])


def test_the_demo_items_are_found_as_the_shop_names_them(harness: SandboxHarness) -> None:
    demo_fill(harness.books)
    found = harness.erp.find_items(["üni-商品", "kit-parent-123", "a/b c.d_#1", "SALESBLK-1"])
    assert {sku: (item.blocked, item.kind) for sku, item in found.items()} == {
        sku_key("üni-商品"): (True, ItemKind.INVENTORY),
        "KIT-PARENT-123": (False, ItemKind.NON_INVENTORY),
        "A/B C.D_#1": (False, ItemKind.INVENTORY),
        "SALESBLK-1": (False, ItemKind.INVENTORY),
    }


def test_an_examination_reads_no_order_that_is_there(harness: SandboxHarness, customer: str) -> None:
    harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)
    harness.wire.requests.clear()
    harness.open(company=COMPANY_ID.upper()).examine(customer=customer.lower())
    companies, batch = harness.wire.requests
    assert (companies.method, companies.path) == ("GET", "/api/v2.0/companies")
    assert {each["method"] for each in batch.operations} == {"GET"}
    asked = [each["url"].partition("/")[2] for each in batch.operations]
    assert [each.partition("?")[0] for each in asked] == [
        "customers", "items", "salesOrders", "salesInvoices", "accounts",
    ]  # fmt: skip
    assert all("ORDERSYNC-DOCTOR" in each for each in asked[1:4])


def test_an_examination_without_batches_finds_the_same(harness: SandboxHarness, customer: str) -> None:
    together = harness.erp.examine(customer=customer)
    one_by_one = harness.open(batch="off").examine(customer=customer)
    assert None not in {together.answered_at, one_by_one.answered_at}
    # A second may begin between the two.
    assert replace(one_by_one, answered_at=None) == replace(together, answered_at=None)


@pytest.mark.parametrize("body", [b"[]", b'{"value": {}}', b"<html>"])
def test_companies_that_cannot_be_read_are_asked_for_again(harness: SandboxHarness, body: bytes) -> None:
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("companies") else None
    with pytest.raises(Retry, match="companies"):
        harness.erp.examine(customer="")


def test_a_permission_that_is_missing_is_found_by_an_examination(harness: SandboxHarness) -> None:
    refusal = {"error": {"code": "Authorization_RequestDenied", "message": "No permission on Sales Header."}}
    answers: list[dict[str, Any]] = [
        {
            "id": str(number),
            "status": 403 if number == 3 else 200,
            "body": refusal if number == 3 else {"value": []},
        }
        for number in range(1, 6)
    ]
    body = json.dumps({"responses": answers}).encode()
    harness.wire.intercept = lambda request: (200, body) if request.path.endswith("$batch") else None
    with pytest.raises(Misconfigured, match="No permission on Sales Header"):
        harness.erp.examine(customer="")


def test_the_connector_presents_itself() -> None:
    assert (CONNECTOR.platform, CONNECTOR.port, CONNECTOR.late) == (
        "business_central",
        "erp",
        timedelta(minutes=20),
    )
    assert [(window.weekday, window.length) for window in CONNECTOR.windows] == [(6, timedelta(hours=9))]
