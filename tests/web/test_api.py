"""The API as programs read it: who gets in, lists that stay as they are, exact amounts, and problems in one form."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.ports.accounts import Scope
from app.sandbox.erp import CLIENT_SECRET
from app.sync.panel import accounts
from app.web.api import paging
from tests.fixtures.databases import Databases
from tests.pipeline.world import MakeWorld, World, opened_world, plain_order
from tests.web.office import Office
from tests.web.programs import PREFIX, PROBLEM, Program, assert_problem, busy_world, read


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return busy_world(make_world)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


@pytest.fixture
def program(office: Office) -> Program:
    return Program(office)


@pytest.fixture(scope="module")
def common(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One world for all tests that leave it as it is."""
    with ExitStack() as stack:

        def make(**settings: Any) -> World:
            return stack.enter_context(opened_world(databases, tmp_path_factory.mktemp("api"), **settings))

        yield Office(busy_world(make))


@pytest.fixture
def reader(common: Office) -> Program:
    """A program that changes nothing of its world, with a token of its own."""
    return Program(common)


SCOPES = {
    ("GET", "/orders"): Scope.ORDERS_READ,
    ("GET", "/orders/1"): Scope.ORDERS_READ,
    ("POST", "/orders/1/retry"): Scope.ERRORS_WRITE,
    ("GET", "/held"): Scope.ORDERS_READ,
    ("GET", "/errors"): Scope.ERRORS_READ,
    ("GET", "/errors/summary"): Scope.ERRORS_READ,
    ("GET", "/errors/1"): Scope.ERRORS_READ,
    ("GET", "/errors/1/fields"): Scope.ERRORS_READ,
    ("POST", "/errors/1/repair"): Scope.ERRORS_WRITE,
    ("POST", "/errors/1/resume"): Scope.ERRORS_WRITE,
    ("POST", "/errors/1/skip"): Scope.ERRORS_WRITE,
    ("POST", "/errors/1/assign"): Scope.ERRORS_WRITE,
    ("POST", "/errors/1/comment"): Scope.ERRORS_WRITE,
    ("GET", "/sites"): Scope.SITES_READ,
    ("GET", "/sites/bgm"): Scope.SITES_READ,
    ("GET", "/sites/bgm/certificates"): Scope.SITES_READ,
    ("POST", "/sites/bgm/pause"): Scope.SITES_WRITE,
    ("POST", "/sites/bgm/resume"): Scope.SITES_WRITE,
    ("GET", "/overview"): Scope.SITES_READ,
    ("GET", "/runs"): Scope.RUNS_READ,
    ("GET", "/runs/1"): Scope.RUNS_READ,
    ("POST", "/runs"): Scope.RUNS_WRITE,
}
BODIES: dict[str, Any] = {
    "repair": {"changes": {"/total": "19.99"}},
    "skip": {"reason": "settled"},
    "assign": {"to": "anna"},
    "comment": {"text": "seen"},
    "runs": {"site": "bgm"},
}


def ask(program: Program, method: str, path: str, **more: Any) -> Any:
    if method == "GET":
        return program.client.get(PREFIX + path, **more)
    body = BODIES.get(path.rpartition("/")[2], {})
    return program.client.post(PREFIX + path, json=body, **more)


def stored(office: Office) -> list[Any]:
    """All that a request could have changed."""
    tables = ("rm_thread", "rm_error_orders", "rm_event", "rm_run", "rm_action", "rm_idempotency", "rm_sites")
    return [office.world.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables]


# Who gets in.


def test_every_operation_takes_its_scope_and_no_other(office: Office) -> None:
    for (method, path), scope in SCOPES.items():
        others = [each for each in Scope if each is not scope]
        before = stored(office)
        refused = read(
            ask(Program(office, *others), method, path, headers=Program(office, *others).headers), 403
        )
        assert refused["detail"] == f"This takes the scope {scope}, which this token does not have."
        assert stored(office) == before
        program = Program(office, scope)
        answer = ask(program, method, path, headers=program.headers)
        assert answer.status_code < 300 or path.startswith("/errors/1/"), (method, path, answer.text)


def test_every_address_of_the_api_is_in_the_table_of_scopes(common: Office) -> None:
    rules = [
        (method, rule)
        for rule in common.app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX) and not rule.rule.endswith("/openapi.json")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    matched = common.app.url_map.bind("")
    covered = {
        (method, matched.match(PREFIX + path, method=method, return_rule=True)[0].rule)
        for method, path in SCOPES
    }
    assert {(method, rule.rule) for method, rule in rules} == covered
    for _, rule in rules:
        assert common.app.view_functions[rule.endpoint].needs_scope in Scope  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "given",
    ["", "os_", "Bearer", "Bearer os_nonsense", "Bearer os_a b", "Basic dDp0", "Token {key}", "{key}", "Bearer é", "Bearer a=b"],
)  # fmt: skip
def test_without_a_good_token_nobody_gets_in(common: Office, given: str) -> None:
    reader = Program(common)
    before = stored(common)
    for method, path in SCOPES:
        answer = ask(reader, method, path, headers={"Authorization": given.format(key=reader.key)})
        read(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert stored(common) == before


def test_a_revoked_token_and_one_that_has_ended_open_nothing(office: Office, program: Program) -> None:
    program.page("/runs")
    accounts.revoke_token(office.panel, "t0")
    read(program.get("/runs"), 401)
    key = accounts.make_token(office.panel, name="short", scopes=list(Scope), days=1, by="tests")
    headers = {"Authorization": f"bearer {key}"}
    assert program.client.get(f"{PREFIX}/runs", headers=headers).status_code == 200
    office.world.clock.advance(86_401)
    read(program.client.get(f"{PREFIX}/runs", headers=headers), 401)


def test_a_person_who_is_signed_in_is_nobody_here(common: Office) -> None:
    browser = common.signed_in()
    read(browser.get(f"{PREFIX}/orders"), 401)
    read(browser.client.post(f"{PREFIX}/runs", json={"site": "bgm"}), 401)


def test_a_post_needs_no_form_token(program: Program) -> None:
    assert program.done("/orders/7/retry")["end"] == "released"


# What is there.


def test_an_exported_order_is_told_in_full(reader: Program) -> None:
    order = reader.page("/orders", number="BGM-1")["items"][0]
    assert (order["state"], order["total"], order["currency"]) == ("done", "19.99", "USD")
    assert order["order_date_raw"].startswith("2026-11-20T")
    assert order["order_date"].endswith("Z")
    assert order["order_date"].startswith("2026-11-20T")
    full = reader.page(f"/orders/{order['id']}")
    assert {name: full[name] for name in order} == order
    assert [(each["type"], each["sku"], each["amount"]) for each in full["lines"]] == [
        ("product", "WID-001", "19.99")
    ]
    assert full["lines"][0]["quantity"] == "1"
    assert (full["header"]["subtotal"], full["header"]["total"]) == ("19.99", "19.99")
    assert [each["kind"] for each in full["addresses"]] == ["bill", "ship"]
    assert [(each["kind"], each["state"]) for each in full["steps"]] == [
        ("acknowledge", "done"),
        ("export", "done"),
    ]
    assert full["errors"] == []
    assert full["events"][0]["what"] == "read from the shop, version 1"
    assert full["events"][-1]["what"].startswith("the ERP holds it as document")


def test_an_order_that_was_never_written_shows_what_was_read_of_it(reader: Program) -> None:
    order = reader.page("/orders", number="BGM-5")["items"][0]
    assert (order["state"], order["total"]) == ("rejected", None)
    full = reader.page(f"/orders/{order['id']}")
    assert (full["header"]["total"], full["header"]["subtotal"]) == ("19.99", "19.99")
    assert full["lines"][0]["sku"] == "NEW-1"
    assert [(each["kind"], each["order_id"]) for each in full["errors"]] == [("bad_sku", order["id"])]
    unreadable = reader.page(f"/orders/{reader.page('/orders', number='BGM-3')['items'][0]['id']}")
    assert (unreadable["header"], unreadable["lines"]) == (None, [])


def test_what_a_shop_wrote_comes_back_as_it_was(reader: Program) -> None:
    order = reader.page("/orders", number="BGM-2")["items"][0]
    assert reader.page(f"/orders/{order['id']}")["header"]["customer_note"] == '<script>alert("x")</script>'


def numbers(found: dict[str, Any]) -> list[str]:
    return [each["order_number"] for each in found["items"]]


def test_orders_are_found_by_each_filter(reader: Program) -> None:
    assert numbers(reader.page("/orders")) == [f"BGM-{number}" for number in (7, 6, 5, 4, 3, 2, 1)]
    assert numbers(reader.page("/orders", state="done")) == ["BGM-2", "BGM-1"]
    assert numbers(reader.page("/orders", text="NEW-1")) == ["BGM-5"]
    assert numbers(reader.page("/orders", site="bgm", state="held")) == ["BGM-7"]
    assert numbers(reader.page("/orders", run=1, number="BGM-1")) == ["BGM-1"]
    assert numbers(reader.page("/orders", run=2)) == []
    assert numbers(reader.page("/orders", amended="true")) == []
    assert len(numbers(reader.page("/orders", amended="false"))) == 7
    assert len(numbers(reader.page("/orders", since="0001-01-01T00:00:00+14:00"))) == 7
    assert numbers(reader.page("/orders", since="9999-12-31T23:59:59Z")) == []
    later = reader.page("/orders", number="BGM-7")["items"][0]["updated_at"]
    assert "BGM-7" in numbers(reader.page("/orders", updated_since=later))
    assert "BGM-3" not in numbers(reader.page("/orders", updated_since=later))


def test_held_orders_say_what_they_wait_for(reader: Program) -> None:
    (order,) = reader.page("/held", site="bgm")["items"]
    assert (order["order_number"], order["hold_kind"]) == ("BGM-7", "sku")
    assert "LATE-1" in order["reason"]


def test_errors_are_found_by_each_filter(program: Program) -> None:
    kinds = [each["kind"] for each in program.page("/errors")["items"]]
    assert sorted(kinds) == ["address", "bad_sku", "balance", "payment"]
    assert numbers(program.page("/errors", kind="balance")) == ["BGM-3"]
    assert numbers(program.page("/errors", stage="verify_skus")) == ["BGM-5"]
    assert numbers(program.page("/errors", text="postcode", site="bgm")) == ["BGM-4"]
    program.done("/errors/1/assign", {"to": "anna"})
    assert len(numbers(program.page("/errors", assignee="anna"))) == 1
    assert len(numbers(program.page("/errors", assignee=""))) == 3
    program.done("/errors/1/skip", {"reason": "settled by hand"})
    assert len(numbers(program.page("/errors"))) == 3
    everything = program.page("/errors", resolved="true")["items"]
    assert [each["id"] for each in everything] == [4, 3, 2, 1]
    assert (everything[-1]["resolution"], everything[-1]["resolved_by"]) == ("skipped", "api:t0")


def test_errors_are_summed_by_kind_and_currency(reader: Program) -> None:
    found = reader.page("/errors/summary")
    assert found["errors"] == 4
    assert {each["kind"]: each["errors"] for each in found["kinds"]} == {
        "address": 1, "bad_sku": 1, "balance": 1, "payment": 1,
    }  # fmt: skip
    known = [each["money"] for each in found["kinds"] if each["kind"] == "bad_sku"]
    assert known == [[{"currency": "USD", "amount": "19.99"}]]
    total = sum(Decimal(each["amount"]) for kind in found["kinds"] for each in kind["money"])
    assert found["money"] == [{"currency": "USD", "amount": str(total)}]


def test_an_error_says_what_it_takes_and_which_field_fails(reader: Program) -> None:
    (row,) = reader.page("/errors", kind="bad_sku")["items"]
    error = reader.page(f"/errors/{row['id']}")
    assert error["takes"].startswith("Correct the SKU in the shop")
    assert error["document"]["lines"][0]["sku"] == "NEW-1"
    fields = reader.page(f"/errors/{row['id']}/fields")
    assert [each["pointer"] for each in fields["fields"] if each["failing"]] == ["/lines/0/sku"]
    assert fields["order_id"] == row["order_id"]


def test_no_answer_holds_a_credential_or_a_token(reader: Program, common: Office) -> None:
    secrets = ("ck_sandbox", "cs_sandbox", CLIENT_SECRET, reader.key)
    texts = [
        ask(reader, method, path, headers=reader.headers).text for method, path in SCOPES if method == "GET"
    ]
    texts += [
        reader.client.get(f"{PREFIX}/openapi.json").text,
        str(common.world.rows("SELECT * FROM rm_action")),
    ]
    for text in texts:
        assert not any(secret in text for secret in secrets)
    assert "credentials" not in reader.get("/sites/bgm").text


def test_certificates_are_told(reader: Program) -> None:
    (found,) = reader.page("/sites/bgm/certificates")["items"]
    assert (found["complete"], found["counts"], found["findings"]) == (
        True,
        {"platform": 7},
        [{"order": "BGM-1", "what": "nothing"}],
    )


def test_the_overview_counts_what_there_is(reader: Program) -> None:
    found = reader.page("/overview")
    assert (found["held"], found["errors"]) == (1, 4)
    assert [(each["name"], each["errors"]) for each in found["sites"]] == [("bgm", 4)]


# Lists.


def test_pages_of_a_list_stay_as_they_are_while_orders_arrive(program: Program, world: World) -> None:
    first = program.page("/orders", limit=3)
    assert numbers(first) == ["BGM-7", "BGM-6", "BGM-5"]
    world.place(*(plain_order(number) for number in (8, 9)))
    world.run()
    second = program.page("/orders", limit=3, cursor=first["next_cursor"])
    third = program.page("/orders", limit=3, cursor=second["next_cursor"])
    assert numbers(second) == ["BGM-4", "BGM-3", "BGM-2"]
    assert numbers(third) == ["BGM-1"]
    assert third["next_cursor"] is None
    assert numbers(program.page("/orders", limit=2)) == ["BGM-9", "BGM-8"]


def test_a_last_page_that_is_full_has_no_next_one(reader: Program) -> None:
    assert reader.page("/orders", limit=7)["next_cursor"] is None
    assert reader.page("/orders", limit=6)["next_cursor"] is not None
    errors = reader.page("/errors", limit=1, resolved="true")
    assert len(reader.page("/errors", limit=200, resolved="true", cursor=errors["next_cursor"])["items"]) == 3
    world_runs = reader.page("/runs", limit=1)
    assert (len(world_runs["items"]), world_runs["next_cursor"]) == (1, None)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "7", "%", "null", "a" * 9999, "é", encoded("1:0"), encoded("1:-4"), encoded("1:99999999999"), encoded("2:7"),
     encoded("1:7 "), encoded("1:07"), encoded("1:7") + "=", encoded("1:1 OR 1=1")],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(reader: Program, cursor: str) -> None:
    for path in ("/orders", "/errors", "/held", "/runs", "/sites/bgm/certificates"):
        found = read(reader.get(path, cursor=cursor), 422)
        assert found["errors"] == [
            {"in": "query", "field": "cursor", "detail": "Take the next_cursor of the page before."}
        ]


def test_a_cursor_is_read_as_it_was_written() -> None:
    for number in (1, 7, 2**31 - 1):
        assert paging.place(paging.cursor(number)) == number


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=1_0", "limit"), ("limit=٣", "limit"), ("limit=", "limit"),
        ("limit=1&limit=2", "limit"), ("limit=99999999999999999999", "limit"), ("state=lost", "state"), ("run=0", "run"),
        ("run=2147483648", "run"), ("amended=yes", "amended"), ("amended=1", "amended"), ("since=yesterday", "since"),
        ("since=2026-11-01", "since"), ("since=2026-11-01T12:00:00", "since"), ("since=2026-13-01T00:00:00Z", "since"),
        ("text=%00", "text"), ("text=" + "x" * 256, "text"), ("sort=money", "sort"), ("site=bgm&offset=3", "offset"),
    ],
)  # fmt: skip
def test_a_query_that_is_not_documented_is_refused_and_names_the_field(
    reader: Program, query: str, field: str
) -> None:
    found = read(reader.client.get(f"{PREFIX}/orders?{query}", headers=reader.headers), 422)
    assert {each["field"] for each in found["errors"]} == {field}
    assert {each["in"] for each in found["errors"]} == {"query"}


def test_an_unknown_site_is_named_in_a_filter(reader: Program) -> None:
    for path in ("/orders", "/errors", "/held", "/runs"):
        assert "'nope'" in read(reader.get(path, site="nope"), 422)["detail"]


# Problems.


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nope", "/orders/", "/orders/0", "/orders/99", "/orders/-1", "/orders/1.0", "/orders/٣", "/orders/2147483648", "/orders/2147483647", "/errors/2147483647", "/runs/2147483647",
     "/orders/" + "9" * 5000, "/orders/1/x", "/errors/99", "/errors/99/fields", "/runs/99", "/sites/nope", "/sites/%00",
     "/sites/nope/certificates", "/orders/1%00"],
)  # fmt: skip
def test_what_is_not_there_is_told_alike(reader: Program, path: str) -> None:
    found = read(reader.get(path), 404)
    assert found["detail"] == "There is no such address, or what it names is not there."


def test_an_unknown_address_is_told_without_a_token_too(common: Office) -> None:
    client = common.app.test_client()
    for path in ("/api/nope", "/api/v2/orders", f"{PREFIX}/nope"):
        read(client.get(path), 404)
        read(client.post(path, data="x"), 404)
    for path in ("/api//v1/orders", f"{PREFIX}/orders//1"):
        read(client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/orders", "GET"), ("DELETE", "/orders/1", "GET"), ("GET", "/errors/1/skip", "POST"), ("PUT", "/runs", "GET"),
     ("OPTIONS", "/errors/1/skip", "POST"), ("PATCH", "/openapi.json", "GET"),
     ("OPTIONS", "/openapi.json", "GET")],
)  # fmt: skip
def test_a_method_that_is_not_taken_is_told_which_are(
    reader: Program, method: str, path: str, allowed: str
) -> None:
    answer = reader.client.open(PREFIX + path, method=method, headers=reader.headers)
    read(answer, 405)
    assert allowed in answer.headers["Allow"].split(", ")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "text/plain", 415), (b"{}", None, 415), (b"text=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/vnd.api+json", 415), (b"{", "application/json", 400), (b"\xff\xfe", "application/json", 400),
        (b'{"text": NaN}', "application/json", 400), (b'{"text": Infinity}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400), (b'{"text": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"text": 1e99999999999999999999}', "application/json", 400),
        (b'{"text": "a", "text": "b"}', "application/json", 400), (b'{"text": "a", "te\\u0078t": "a"}', "application/json", 400),
        (b'{"text": [{"a": 1, "a": 1}]}', "application/json", 400),
        (b"[]", "application/json", 422), (b'"x"', "application/json", 422), (b"null", "application/json", 422),
        (b"", "application/json", 422), (b"{}", "application/json; charset=utf-8", 422), (b'{"text": ""}', "application/json", 422),
        (b'{"text": " \\n "}', "application/json", 422), (b'{"text": 1}', "application/json", 422),
        (b'{"text": "\\u0000"}', "application/json", 422), (b'{"text": "\\ud800"}', "application/json", 422),
        (b'{"text": "x", "more": 1}', "application/json", 422), (b'{"text": "' + b"x" * 2001 + b'"}', "application/json", 422),
        (b'{"text": "' + b"x" * 2_100_000 + b'"}', "application/json", 413),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_changes_nothing(
    reader: Program, common: Office, body: bytes, content_type: str | None, status: int
) -> None:
    before = stored(common)[:3]
    headers = {**reader.headers, "Idempotency-Key": "k"}
    answer = reader.client.post(
        f"{PREFIX}/errors/1/comment", data=body, content_type=content_type, headers=headers
    )
    read(answer, status)
    assert stored(common)[:3] == before
    # The same key is good for the request as it should have been.
    assert reader.post("/errors/1/comment", {"text": "x"}, key="k").status_code == 200


def test_while_the_database_is_away_it_is_told_so(
    reader: Program, common: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any, **_kwargs: Any) -> None:
        raise OperationalError("SELECT secret", {}, Exception("password=hunter2"))

    monkeypatch.setattr(type(common.panel.store), "runs_before", away)
    answer = reader.get("/runs")
    assert "hunter2" not in json.dumps(read(answer, 503))
    assert answer.headers["Retry-After"] == "60"


def test_a_fault_of_the_program_is_told_by_the_number_it_has_in_the_log(
    reader: Program, common: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise ZeroDivisionError("of 4111111111111111")

    monkeypatch.setattr(type(common.panel.store), "runs_before", broken)
    found = read(reader.get("/runs"), 500)
    assert "4111" not in json.dumps(found)
    assert found["request"] in found["detail"]
    assert found["request"] in capsys.readouterr().out


def test_other_addresses_answer_as_before(common: Office) -> None:
    assert common.browser().get("/nowhere").content_type.startswith("text/html")
    assert common.app.test_client().post("/hooks/nope/x").content_type != PROBLEM


# The document.


def test_the_document_is_open_and_describes_every_answer(common: Office) -> None:
    answer = common.app.test_client().get(f"{PREFIX}/openapi.json")
    document = json.loads(answer.text, parse_float=Decimal)
    assert (answer.status_code, document["openapi"]) == (200, "3.1.0")
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    operations = [
        each for path in document["paths"].values() for name, each in path.items() if name != "parameters"
    ]
    assert len(operations) == len(SCOPES)
    for each in operations:
        assert each["summary"]
        assert {"401", "403", "500", "503"} <= set(each["responses"])
        assert list(each["security"][0]) == ["token"]
    assert "bgm" not in answer.text


@pytest.mark.parametrize("revision", ["1e1000000", "1e10000000", "-1e200000", "1.5", "1e-5"])
def test_a_number_that_is_whole_and_endless_is_refused_at_once(office: Office, revision: str) -> None:
    answer = office.app.test_client().post(
        "/api/v1/errors/1/repair",
        data=f'{{"changes": {{"/x": "1"}}, "revision": {revision}}}',
        headers={"Authorization": f"Bearer {office.token()}", "Content-Type": "application/json"},
    )
    assert_problem(read(answer, 422), 422)
