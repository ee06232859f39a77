"""Order health, as people use it: looking, finding, repairing, and doing something about many at once."""

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from app.db.store import SqlStore
from app.ports.accounts import Role
from app.ports.desk import ErrorFilter, ErrorSort
from app.sandbox.erp.records import put
from app.sync import desk as desk_words
from app.sync.panel import desk, repairing
from app.sync.repair import Field
from tests.db.many_errors import fill
from tests.fixtures import databases
from tests.pipeline.world import Json, MakeWorld, World, plain_order
from tests.web.office import Browser, Office

DONE = ("done", "deliver", "")
HOSTILE = "<script>alert('x')</script>\"&\x1b[2J"


def with_sku(order_id: int, sku: str, **changes: Any) -> Json:
    body = plain_order(order_id, **changes)
    body["line_items"][0]["sku"] = sku
    return body


def without_postcode(order_id: int) -> Json:
    address = {
        "first_name": "Ada", "last_name": "Example", "company": "", "address_1": "1 Example Street", "address_2": "",
        "city": "Springfield", "state": "IL", "postcode": "", "country": "US", "phone": "",
    }  # fmt: skip
    return plain_order(order_id) | {"shipping": address}


def opened(make_world: MakeWorld, *orders: Json) -> Office:
    """A panel on a world that has read these orders."""
    office = Office(make_world(orders=list(orders)))
    office.world.run()
    return office


def error_id(world: World, order_id: int) -> int:
    return int(world.errors()[order_id]["id"])


def field_of(html: str, name: str) -> str:
    """What a hidden or visible input of the form holds."""
    found = re.search(rf'name="{re.escape(name)}"[^>]* value="([^"]*)"', html)
    assert found, name
    return unescape(found[1])


def fields_of(html: str) -> Json:
    """The repair form as a browser would send it, unchanged."""
    form = html.partition('class="repair"')[2].partition("</form>")[0]
    found: Json = {
        unescape(name): unescape(text)
        for name, text in re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form)
    }
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        found[unescape(name)] = unescape(text)
    for name, options in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        found[unescape(name)] = re.findall(r"selected>([^<]+)<", options)[0]
    found.pop("csrf_token")
    return found


def repair(
    browser: Browser, world: World, order_id: int, to: str = "", *, more: Json | None = None, **values: str
) -> TestResponse:
    """Fill in the repair form and send it; a name is the pointer with underscores doubled for slashes."""
    path = f"/desk/{error_id(world, order_id)}/repair"
    filled = fields_of(browser.page(path))
    filled |= {f"new:/{name.replace('__', '/')}": text for name, text in values.items()} | (more or {})
    return browser.post(path + to, **filled)


def everything(world: World) -> tuple[Any, ...]:
    tables = ("rm_thread", "rm_event", "rm_repair", "rm_error_orders", "rm_run")
    return tuple(world.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables)


# Looking.


def test_an_empty_desk_says_so(office: Office) -> None:
    page = office.signed_in(Role.VIEWER).page("/desk")
    assert "0 errors; at risk: nothing that is known." in page
    assert "What would happen?" not in page


def test_the_desk_shows_figures_and_errors_with_links(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), without_postcode(2), plain_order(3))
    page = office.signed_in(Role.VIEWER).page("/desk")
    assert "2 errors; at risk: " in page
    assert re.search(r'data-figure="open-errors"><a href="/desk">2</a>', page)
    assert "19.99 USD" in page
    assert 'href="/desk?kind=bad_sku"' in page
    assert 'href="/orders/BGM-1"' in page
    assert f'href="/desk/{error_id(office.world, 1)}"' in page
    assert "The SKU NOPE-1 does not exist in Business Central" in page
    assert 'formaction="' not in page


def test_every_part_of_the_filter_narrows_the_list(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), without_postcode(2))
    browser = office.signed_in(Role.OPERATOR)
    browser.post("/desk/assign", error=str(error_id(office.world, 1)), to="me")

    def found(query: str) -> set[str]:
        return set(re.findall(r'href="/orders/(?:BGM-)?(\d+)"', browser.page(f"/desk?{query}")))

    assert found("") == {"1", "2"}
    for query in ("kind=bad_sku", "stage=verify_skus", "assignee=operator1", "text=nope-1"):
        assert (query, found(query)) == (query, {"1"})
    for query in ("kind=address", "stage=normalize", "assignee=-"):
        assert (query, found(query)) == (query, {"2"})
    assert found("site=bgm") == {"1", "2"}
    assert found("since=2026-11-25T11:00") == {"1", "2"}
    assert found("since=2027-01-01") == set()
    assert found("text=' OR 1=1 --") == set()
    assert found("text=%00") == {"1", "2"}
    office.world.place(with_sku(1, "WID-001"))
    office.world.run()
    assert found("") == {"2"}
    assert found("resolved=1") == {"1", "2"}


def test_a_filter_that_is_no_valid_wish_is_left_out_and_said(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser = office.signed_in(Role.VIEWER)
    for query, word in (
        ("site=nope", "site"),
        ("kind=nope", "kind"),
        ("stage=nope", "stage"),
        ("sort=nope", "sort"),
        ("since=nope", "Since"),
    ):
        page = browser.page(f"/desk?{query}")
        assert "That part of the filter is left out." in page, word
        assert "BGM-1" in page
    for number in ("0", "-1", "x", "99999999999", "1.5"):
        assert browser.get(f"/desk?page={number}").status_code == 404
    assert browser.get("/desk/errors.csv?kind=nope").status_code == 422


def test_long_lists_are_paged_and_sorted(make_world: MakeWorld) -> None:
    office = Office(make_world())
    fill(office.world.engine, site_id=office.world.site_id, errors=120, now=office.world.clock.now())
    browser = office.signed_in(Role.VIEWER)

    def numbers(query: str) -> list[str]:
        return re.findall(r'href="/orders/BGM-(\d+)"', browser.page(f"/desk?{query}"))

    assert numbers("sort=order") == [str(each) for each in range(1, 51)]
    assert numbers("sort=order&page=3") == [str(each) for each in range(101, 121)]
    assert numbers("sort=order&reverse=1")[0] == "120"
    assert numbers("page=4") == []
    for sort in ErrorSort:
        first = desk.health(office.panel, ErrorFilter(), sort=sort, reverse=False, page=1).rows[0]
        assert numbers(f"sort={sort}")[0] == first["platform_order_id"]
    assert 'rel="next"' in browser.page("/desk?page=2")
    assert 'rel="next"' not in browser.page("/desk?page=3")


def test_the_figures_are_those_of_the_open_errors(make_world: MakeWorld) -> None:
    world = make_world()
    fill(world.engine, site_id=world.site_id, errors=200, now=world.clock.now())
    store = world.parts.store
    assert isinstance(store, SqlStore)
    figures = store.error_figures()
    sums = store.error_sums(ErrorFilter())
    assert (figures.errors, figures.unassigned, dict(figures.money)) == (200, 200, dict(sums.money))
    assert sum(figures.kinds.values()) == sum(figures.ages) == 200
    for kind, count in figures.kinds.items():
        assert store.error_sums(ErrorFilter(kind=kind)).errors == count


def test_text_from_a_shop_is_only_text(make_world: MakeWorld) -> None:
    body = with_sku(1, "NOPE-1")
    body["line_items"][0]["name"] = HOSTILE
    body["customer_note"] = HOSTILE
    office = opened(make_world, body, with_sku(2, "<b>NOPE</b>"))
    browser = office.signed_in(Role.OPERATOR)
    number = error_id(office.world, 1)
    for path in ("/desk", f"/desk/{number}", f"/desk/{number}/repair", "/desk?text=<script>"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert "<b>NOPE" not in page
        assert "\x1b" not in page
    assert "&lt;script&gt;alert" in browser.page(f"/desk/{number}")


# One error.


def test_one_error_tells_what_happened_and_what_it_takes(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    number = error_id(office.world, 1)
    page = office.signed_in(Role.VIEWER).page(f"/desk/{number}")
    for words in (
        "The SKU NOPE-1 does not exist",
        "Correct the SKU in the shop",
        "“Repair”",
        "19.99 USD",
        "error 1 opened (bad_sku at /lines/0/sku)",
    ):
        assert words in page, words
    assert "ordersync " not in page.partition("What the shop sent")[0].partition("<main")[2]
    for button in ("Resume", "Settle as it is", "Note it"):
        assert f">{button}</button>" not in page
    operator = office.signed_in(Role.OPERATOR).page(f"/desk/{number}")
    assert ">Resume</button>" in operator
    assert "Send again" not in operator
    assert f'href="/desk/{number}/repair"' in operator


def test_an_error_is_found_by_its_order(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser = office.signed_in(Role.VIEWER)
    answer = browser.get("/desk/of/BGM-1")
    assert answer.headers["Location"] == f"/desk/{error_id(office.world, 1)}"
    for path in (
        "/desk/of/BGM-9",
        "/desk/of/%00",
        "/desk/999",
        "/desk/2147483648",
        "/desk/99999999999999999999",
        "/desk/0",
    ):
        assert browser.get(path).status_code == 404, path


def test_a_number_of_an_order_never_hides_the_error_of_that_id(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), without_postcode(2))
    first, second = error_id(office.world, 1), error_id(office.world, 2)
    databases.execute(
        office.world.engine,
        "UPDATE rm_error_orders SET order_number = :number WHERE id = :id",
        number=str(first),
        id=second,
    )
    page = office.signed_in(Role.VIEWER).page(f"/desk/{first}")
    assert "The SKU NOPE-1 does not exist" in page


def test_every_command_in_the_words_of_the_desk_has_words_of_the_panel() -> None:
    for kind in desk_words.KINDS:
        assert "ordersync " not in desk.in_panel(desk_words.takes(kind)), kind


def test_people_assign_and_comment(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser = office.signed_in(Role.OPERATOR)
    number = str(error_id(office.world, 1))
    single: Json = {"error": number, "single": "1", "back": f"/desk/{number}"}
    page = browser.post("/desk/assign", to="me", **single).text
    assert "1 open error is operator1&#39;s now." in page
    page = browser.post("/desk/comment", comment="Asked <the> supplier.", **single).text
    assert "Asked &lt;the&gt; supplier." in page
    assert browser.post("/desk/assign", to="user:nobody-known", **single).status_code == 422
    assert browser.post("/desk/comment", comment=" ", **single).status_code == 422
    assert office.world.rows("SELECT assignee FROM rm_error_orders") == [{"assignee": "operator1"}]
    browser.post("/desk/assign", to="nobody", **single)
    assert office.world.rows("SELECT assignee FROM rm_error_orders") == [{"assignee": None}]
    events = office.world.rows('SELECT event, "by" FROM rm_event ORDER BY id DESC LIMIT 3')
    assert [each["event"] for each in events] == ["assigned", "commented", "assigned"]
    assert {each["by"] for each in events} == {"operator1"}


# Repairing.


def test_an_order_is_repaired_by_the_form_and_exported(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    page = browser.page(f"/desk/{error_id(world, 1)}/repair")
    assert re.search(r'name="new:/lines/0/sku"[^>]*aria-invalid="true"[^>]*autofocus', page)
    assert page.index("Line 1: ") < page.index("Billing address")
    answer = repair(
        browser, world, 1, lines__0__sku="WID-001", more={"resume": "1", "reason": "a typing error"}
    )
    assert "/lines/0/sku: &#39;NOPE-1&#39; is now &#39;WID-001&#39;" in answer.text
    assert "Resumed: It goes on from verify_skus." in answer.text
    assert len(office.doors.rung) == 1
    world.settle()
    assert (world.states(), world.document_numbers()) == ({1: DONE}, ["BGM-1"])
    (kept,) = world.rows('SELECT pointer, after, "by", reason FROM rm_repair')
    assert kept == {
        "pointer": "/lines/0/sku",
        "after": '"WID-001"',
        "by": "operator1",
        "reason": "a typing error",
    }


def test_a_field_of_the_raw_body_is_repaired_too(make_world: MakeWorld) -> None:
    office = opened(make_world, without_postcode(1))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    page = browser.page(f"/desk/{error_id(world, 1)}/repair")
    assert re.search(r'name="new:/shipping/postcode"[^>]*aria-invalid="true"', page)
    assert "<summary>Everything else that the shop sent" in page
    assert repair(browser, world, 1, shipping__postcode="62701").status_code == 200
    assert world.rows("SELECT pointer FROM rm_repair") == [{"pointer": "/shipping/postcode"}]
    browser.post("/desk/resume", error=str(error_id(world, 1)))
    world.settle()
    assert world.states() == {1: DONE}


def test_a_preview_changes_nothing_and_keeps_what_was_typed(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    before = everything(world)
    answer = repair(browser, world, 1, "/preview", lines__0__sku="WID-001", more={"reason": "because <i>"})
    assert answer.status_code == 200
    for words in (
        "Preview. Nothing was stored.",
        "It would be written to the ERP as BGM-1",
        "<strong>export</strong>",
        "lineObjectNumber",
    ):
        assert words in answer.text, words
    assert field_of(answer.text, "new:/lines/0/sku") == "WID-001"
    assert field_of(answer.text, "old:/lines/0/sku") == "NOPE-1"
    assert field_of(answer.text, "reason") == "because <i>"
    assert (everything(world), office.doors.rung) == (before, [])


def test_a_repair_that_would_be_rejected_says_so_at_its_field(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    before = everything(world)
    for to in ("", "/preview"):
        answer = repair(browser, world, 1, to, lines__0__sku="NOPE-2")
        assert answer.status_code == 422
        assert field_of(answer.text, "new:/lines/0/sku") == "NOPE-2"
        assert re.search(r'id="why/lines/0/sku">The SKU NOPE-2 does not exist', answer.text)
    assert everything(world) == before
    answer = repair(browser, world, 1, lines__0__amount="abc")
    assert (answer.status_code, "must be a number" in answer.text) == (422, True)
    assert repair(browser, world, 1).status_code == 422
    answer = repair(browser, world, 1, more={"new:/number": "7", "old:/number": "1"})
    assert (answer.status_code, "cannot be changed here" in answer.text) == (422, True)
    assert everything(world) == before


def test_the_second_of_two_people_sees_both_values_and_loses_nothing(make_world: MakeWorld) -> None:
    office = opened(make_world, plain_order(1, email="twice@example.test"))
    world = office.world
    ben, anna = office.signed_in(Role.OPERATOR, name="ben"), office.signed_in(Role.OPERATOR, name="anna")
    path = f"/desk/{error_id(world, 1)}/repair"
    form = fields_of(ben.page(path))
    assert repair(anna, world, 1, bill__email="once@example.test").status_code == 200
    typed = form | {"new:/bill/email": "other@example.test", "new:/ship/city": "Berlin", "reason": "by phone"}
    answer = ben.post(path, **typed)
    assert answer.status_code == 422
    assert "has been changed since this form was opened" in answer.text
    assert field_of(answer.text, "new:/bill/email") == "other@example.test"
    assert "It holds now: once@example.test" in answer.text
    assert (field_of(answer.text, "new:/ship/city"), field_of(answer.text, "reason")) == (
        "Berlin",
        "by phone",
    )
    assert len(world.rows("SELECT * FROM rm_repair")) == 1
    again = fields_of(answer.text)
    assert ben.post(path, **again).status_code == 200
    kept = world.rows("SELECT pointer, after FROM rm_repair WHERE ended_at IS NULL ORDER BY pointer")
    assert [each["after"] for each in kept] == ['"other@example.test"', '"Berlin"']


def test_a_repair_is_withdrawn(make_world: MakeWorld) -> None:
    office = opened(make_world, plain_order(1, email="twice@example.test"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    repair(browser, world, 1, bill__email="once@example.test", bill__city="Berlin")
    number = error_id(world, 1)
    page = browser.page(f"/desk/{number}")
    revision = field_of(page, "revision")
    for pointer, said, left in (
        ("/bill/email", "The repair stays as it is.", 2),
        ("/bill/state", "No repair of /bill/state is in force", 2),
        ("/bill/city", "The repair of /bill/city is withdrawn", 1),
        ("/bill/city", "changed since you looked at it", 1),
    ):
        answer = browser.post(f"/desk/{number}/withdraw", pointer=pointer, revision=revision)
        assert said in unescape(answer.text), pointer
        assert len(world.rows("SELECT * FROM rm_repair WHERE ended_at IS NULL")) == left


def test_what_cannot_be_repaired_is_said(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    number = error_id(world, 1)
    world.place(with_sku(1, "WID-001"))
    world.run()
    answer = browser.get(f"/desk/{number}/repair", follow_redirects=True)
    assert "only an order that stands in error can be repaired" in answer.text
    page = browser.page(f"/desk/{number}")
    assert "a new version arrived" in page
    for button in ("Resume", "Yes, run from the start"):
        assert f">{button}</button>" not in page
    assert browser.get("/desk/999/repair").status_code == 404
    assert browser.post("/desk/999/repair", revision="1").status_code == 404


def test_no_personal_data_of_a_repair_is_in_the_record_of_actions(make_world: MakeWorld) -> None:
    office = opened(make_world, plain_order(1, email="twice@example.test"))
    browser = office.signed_in(Role.OPERATOR)
    repair(browser, office.world, 1, bill__email="once@example.test")
    browser.post(
        "/desk/comment", error=str(office.world.errors()[1]["id"]), comment="Ada of ada@example.test called."
    )
    comment, repaired = office.panel.store.actions(before=None, limit=2)
    assert (comment.action, repaired.action) == ("errors.comment", "errors.repair")
    assert "example.test" not in str((comment, repaired))
    assert "ada@example.test called" in str(office.world.rows("SELECT body FROM rm_payload"))


def test_only_as_many_fields_as_a_form_can_send_are_in_it() -> None:
    found = [Field(pointer=f"/meta/{each}", value="ü" * 500, failing=each == 99) for each in range(100)]
    groups, rest, left_out = repairing._arranged(found)
    assert [each.title for each in groups] == ["What the error is about"]
    assert (groups[0].fields[0].pointer, len(rest) + left_out) == ("/meta/99", 99)
    assert 0 < left_out < 99


def test_line_ends_of_a_form_are_no_change() -> None:
    assert repairing.changed({"/a": "x\r\ny", "/b": "1"}, {"/a": "x\ny", "/b": "2"}) == {"/b": "1"}


# Many at once.


def test_three_are_resumed_and_what_came_of_each_is_told(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), with_sku(2, "NOPE-2"), with_sku(3, "NOPE-3"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    ids = [str(error_id(world, each)) for each in (1, 2, 3)]
    repair(browser, world, 1, lines__0__sku="WID-001")
    browser.post("/desk/skip", error=ids[2], reason="written by hand")
    world.clock.advance(60)
    world.shop.update(2, {"status": "cancelled"})
    foreseen = browser.post("/desk/preview", error=ids)
    assert "Nothing was changed: this is what would happen." in foreseen.text
    assert (foreseen.text.count(">would go on<"), foreseen.text.count(">would stop<")) == (1, 1)
    assert (world.ends()[2], office.doors.rung) == ("rejected", [])
    answer = browser.post("/desk/resume", error=ids)
    assert answer.status_code == 200
    for words in (
        "It goes on from verify_skus.",
        "Its status on the platform is now &#39;cancelled&#39;",
        "To run it all the same, replay it (“Run from the start”)",
    ):
        assert words in answer.text, words
    assert len(office.doors.rung) == 1
    world.settle()
    assert (world.ends(), world.document_numbers()) == ({1: "done", 2: "closed", 3: "closed"}, ["BGM-1"])


def test_all_that_the_filter_matches_are_taken_and_no_others(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), with_sku(2, "NOPE-2"), without_postcode(3))
    browser = office.signed_in(Role.OPERATOR)
    browser.post("/desk/assign", which="all", kind="bad_sku", to="me")
    rows = office.world.rows("SELECT kind, assignee FROM rm_error_orders ORDER BY kind")
    assert [each["assignee"] for each in rows] == [None, "operator1", "operator1"]
    before = everything(office.world)
    wishes: list[Json] = [{"kind": "nope"}, {"site": "nope"}, {"since": "soon"}]
    for wrong in wishes:
        assert browser.post("/desk/resume", which="all", **wrong).status_code == 422
    assert browser.post("/desk/resume", which="all", text="matches nothing").status_code == 422
    assert browser.post("/desk/resume").status_code == 422
    assert browser.post("/desk/resume", error=["99", "x", "9999999999"]).status_code == 422
    assert browser.post("/desk/resume", error="1", how="nope").status_code == 422
    assert everything(office.world) == before


def test_a_thousand_orders_are_taken_at_once_at_most(make_world: MakeWorld) -> None:
    office = Office(make_world())
    fill(office.world.engine, site_id=office.world.site_id, errors=1_010, now=office.world.clock.now())
    browser = office.signed_in(Role.OPERATOR)
    assert "(the first 1,000 at once, as they are sorted here)" in browser.page("/desk")
    browser.post("/desk/assign", which="all", sort="order", to="me")
    (given,) = office.world.rows("SELECT COUNT(*) AS n FROM rm_error_orders WHERE assignee = 'operator1'")
    assert given["n"] == 1_000
    left = office.world.rows("SELECT order_number FROM rm_error_orders WHERE assignee IS NULL ORDER BY id")
    assert [each["order_number"] for each in left] == [f"BGM-{each}" for each in range(1_001, 1_011)]
    too_many = browser.post("/desk/assign", error=[str(each) for each in range(1, 1_003)], to="nobody")
    assert (too_many.status_code, "At most 1,000 orders are taken at once" in too_many.text) == (422, True)


def test_settling_asks_first_and_wants_a_reason(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), with_sku(2, "NOPE-2"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    before = everything(world)
    asked = browser.post("/desk/skip/ask", which="all", kind="bad_sku").text
    threads = re.findall(r'name="order" value="(\d+:\d+)"', asked)
    assert (len(threads), "Yes, settle 2 orders as they are" in asked) == (2, True)
    assert browser.post("/desk/skip", order=threads, reason=" ").status_code == 422
    answer = browser.post("/desk/skip", order=threads, reason="x" * 2001)
    assert (answer.status_code, "x" * 2001 in answer.text) == (422, True)
    assert everything(world) == before
    answer = browser.post("/desk/skip", order=threads, reason="written by hand")
    assert answer.text.count("Nothing more is done for it (written by hand).") == 2
    assert (world.ends(), world.errors()) == ({1: "closed", 2: "closed"}, {})
    assert ">Yes, run from the start</button>" in browser.page("/desk/1")
    older_page = browser.post("/desk/resume", error="1", how="restart").text
    assert "The error that it was chosen by is not open any more" in older_page
    assert world.ends() == {1: "closed", 2: "closed"}
    assert (
        "It goes on from normalize." in browser.post("/desk/resume", error="1", how="restart", over="1").text
    )


def test_a_worker_that_could_not_be_told_is_said(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), with_sku(2, "NOPE-2"))
    office.doors.is_there = False
    browser = office.signed_in(Role.OPERATOR)
    number = error_id(office.world, 1)
    answer = browser.post("/desk/resume", error=str(number), single="1", back=f"/desk/{number}")
    assert (
        "No worker could be told; the order is due, and the next one that runs comes for it." in answer.text
    )
    answer = repair(browser, office.world, 2, lines__0__sku="WID-001", more={"resume": "1"})
    assert "No worker could be told" in answer.text
    office.world.settle()
    assert office.world.ends() == {1: "rejected", 2: "done"}


def test_an_order_runs_again_from_the_start(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    number = error_id(world, 1)
    for how in ("restart", "read_again"):
        answer = browser.post("/desk/resume", error=str(number), how=how, single="1", back=f"/desk/{number}")
        assert "It goes on from normalize." in answer.text
        world.settle()
    refused = browser.post(
        "/desk/resume", error=str(number), how="send_again", single="1", back=f"/desk/{number}"
    )
    assert "Only an order whose document was found to be deleted" in refused.text
    assert f"#{number}" in browser.page("/desk")


# The export.


def test_the_filtered_errors_are_exported_without_formulas(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "=2+3"), without_postcode(2))
    answer = office.signed_in(Role.VIEWER).get("/desk/errors.csv?kind=bad_sku")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    header, *rows = list(csv.reader(io.StringIO(answer.text)))
    assert [row[header.index("order_number")] for row in rows] == ["BGM-1"]
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


# What is held.


def held_world(make_world: MakeWorld) -> Office:
    office = Office(make_world(orders=[with_sku(each, f"NEW-{1 + each % 2}") for each in range(1, 6)]))
    for sku in ("NEW-1", "NEW-2"):
        with office.world.erp.lock:
            put(office.world.erp.books, "items", {"number": sku})
    office.world.run()
    assert set(office.world.ends().values()) == {"held"}
    return office


def test_held_orders_are_grouped_by_what_they_wait_for_and_released(make_world: MakeWorld) -> None:
    office = held_world(make_world)
    viewer, browser = office.signed_in(Role.VIEWER), office.signed_in(Role.OPERATOR)
    page = viewer.page("/desk/held")
    assert "5 orders are held." in page
    assert "Try at once" not in page
    groups = re.findall(
        r'href="(/desk/held\?[^"]+)">the SKU (NEW-\d)</a></td>\s*<td>sku</td><td class="number">(\d)', page
    )
    assert [each[1:] for each in groups] == [("NEW-2", "3"), ("NEW-1", "2")]
    narrowed = viewer.page(unescape(groups[1][0]))
    assert set(re.findall(r'href="/orders/BGM-(\d)"', narrowed)) == {"2", "4"}
    answer = browser.post("/desk/held/release", which="all", kind="sku", what="NEW-1")
    assert answer.text.count("It is tried again at verify_skus.") == 2
    thread = office.world.rows("SELECT id FROM rm_thread WHERE platform_order_id = '1'")[0]["id"]
    assert "It is tried again" in browser.post("/desk/held/release", order=str(thread)).text
    told = office.world.rows("SELECT \"by\" FROM rm_event WHERE event = 'released'")
    assert [each["by"] for each in told] == ["operator1"] * 3
    assert len(office.doors.rung) == 2
    assert browser.post("/desk/held/release", order="x").status_code == 422
    assert viewer.get("/desk/held?page=0").status_code == 404
    assert viewer.get("/desk/held?site=nope").status_code == 422
    assert "0 orders are held" in viewer.page("/desk/held?kind=%00no&what=%00")


# Who may.


POSTS = (
    "preview",
    "resume",
    "skip/ask",
    "skip",
    "assign",
    "comment",
    "held/release",
    "1/repair",
    "1/repair/preview",
    "1/withdraw",
)


@pytest.mark.parametrize("path", POSTS)
def test_a_viewer_and_a_form_from_elsewhere_change_nothing(make_world: MakeWorld, path: str) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    before = everything(office.world)
    fields: Json = {
        "error": "1",
        "order": "1",
        "to": "me",
        "reason": "x",
        "comment": "x",
        "pointer": "/lines/0/sku",
        "revision": "1",
    }
    viewer = office.signed_in(Role.VIEWER)
    assert viewer.post(f"/desk/{path}", **fields).status_code == 403
    operator = office.signed_in(Role.OPERATOR)
    assert operator.client.post(f"/desk/{path}", data=fields).status_code == 400
    assert operator.get(f"/desk/{path}").status_code in {200, 404, 405}
    assert everything(office.world) == before
    assert viewer.get("/desk/1/repair").status_code == 403
    for page in ("/desk", "/desk/1", "/desk/held", "/desk/errors.csv"):
        assert office.browser().get(page).status_code == 303


def test_the_pages_of_the_desk_ask_the_database_a_bounded_number_of_questions(make_world: MakeWorld) -> None:
    office = Office(make_world())
    fill(office.world.engine, site_id=office.world.site_id, errors=60, now=office.world.clock.now())
    browser = office.signed_in(Role.OPERATOR)
    asked: list[str] = []
    event.listen(office.world.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    counts = {}
    for path in ("/desk", "/desk?site=bgm&kind=bad_sku", "/desk/held", "/desk/1"):
        asked.clear()
        browser.page(path)
        counts[path] = len(asked)
    assert max(counts.values()) < 40, counts
