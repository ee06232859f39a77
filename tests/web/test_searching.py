"""Finding orders by what a person knows of them."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, event

from app.domain.road import State
from app.ports.accounts import Role
from app.ports.searching import Search
from app.sync.archive import archive
from app.sync.panel import searching
from app.sync.privacy import erase, find
from tests.pipeline.world import Json, MakeWorld, World, plain_order
from tests.web.office import Browser, Office

EVIL = '<script>alert("x")</script>'


def of(order_id: int, first: str, last: str, *, email: str = "", sku: str = "", **changes: Any) -> Json:
    body = plain_order(order_id, email=email, **changes)
    body["billing"] |= {"first_name": first, "last_name": last}
    if sku:
        body["line_items"][0]["sku"] = sku
    return body


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is asked of the database."""
    told: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        told.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(engine, "before_cursor_execute", note)


def found(office: Office, text: str, **wanted: Any) -> list[str]:
    """The numbers of the orders on the first page."""
    listed = searching.listed(office.panel, Search(text=text, **wanted))
    return [each.order_number for each in listed.orders]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Five orders of four people, two of which were rejected before they were written."""
    made = make_world(
        orders=[
            of(1001, "Ada", "Lovelace", email="Ada.Lovelace@Example.test"),
            of(1002, "Zoë", "MacDonald", email="zoe_100%@example.test"),
            of(1003, "Ada", "Byron", email="ada.lovelace@example.test"),
            of(1004, "Günther", "Müller", total="1.00"),
            of(1005, "Grace", "Hopper", sku="NO-SUCH-ITEM"),
        ]
    )
    made.run()
    assert made.ends()[1004] == "rejected"
    return made


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


@pytest.mark.parametrize(
    ("_case", "text", "numbers"),
    [
        ("the number", "BGM-1001", ["BGM-1001"]),
        ("the number in small letters", "bgm-1001", ["BGM-1001"]),
        ("the number without its prefix", "1002", ["BGM-1002"]),
        ("a part of the number", "100", ["BGM-1005", "BGM-1004", "BGM-1003", "BGM-1002", "BGM-1001"]),
        ("the number of one that was never written", "gm-1004", ["BGM-1004"]),
        ("the first name", "ada", ["BGM-1003", "BGM-1001"]),
        ("the last name", "LOVELACE", ["BGM-1003", "BGM-1001"]),
        ("both names", "Ada Byron", ["BGM-1003"]),
        ("both names the other way round", "byron  ada", ["BGM-1003"]),
        ("a name with a capital inside", "macdonald", ["BGM-1002"]),
        ("a letter beyond ASCII", "zoë", ["BGM-1002"]),
        ("the same as a capital", "ZOË", ["BGM-1002"]),
        ("an e-mail address", "ada.lovelace@example.test", ["BGM-1003", "BGM-1001"]),
        ("a part of an e-mail address", "lovelace@", ["BGM-1003", "BGM-1001"]),
        ("an SKU", "WID-001", ["BGM-1003", "BGM-1002", "BGM-1001"]),
        ("an SKU in small letters", "wid-001", ["BGM-1003", "BGM-1002", "BGM-1001"]),
        ("words of two orders", "byron macdonald", []),
        ("nothing there is", "nobody", []),
        ("blanks around", "  ada byron  ", ["BGM-1003"]),
    ],
)  # fmt: skip
def test_orders_are_found(office: Office, _case: str, text: str, numbers: list[str]) -> None:
    assert found(office, text) == numbers


def test_an_order_is_found_by_the_number_of_its_document(office: Office) -> None:
    (row,) = office.world.rows(
        "SELECT erp_document_number AS n FROM rm_order WHERE order_number = 'BGM-1001'"
    )
    assert found(office, row["n"]) == found(office, row["n"].lower()) == ["BGM-1001"]
    answer = office.signed_in(Role.VIEWER).get(f"/orders?q={row['n'].lower()}")
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/orders/BGM-1001")


@pytest.mark.parametrize(
    ("_case", "text", "numbers"),
    [
        ("a percent sign is a percent sign", "100%@", ["BGM-1002"]),
        ("and no wildcard", "a%a", []),
        ("an underscore", "e_1", ["BGM-1002"]),
        ("and no wildcard either", "a_a", []),
        ("a quote", "' OR 1=1 --", []),
        ("a slash", "/", []),
        ("a backslash", "\\", []),
        ("an emoji", "😀", []),
        ("from right to left", "\u202eada", []),
        ("Hebrew", "שלום", []),
        ("a NUL within", "a\x00da byron", ["BGM-1003"]),
        ("half a character", "\ud800", []),
        ("very many letters", "a" * 5000, []),
        ("very many words", "ada " * 60, ["BGM-1003", "BGM-1001"]),
        ("a letter whose capital is two", "ß" * 200, []),
    ],
)
def test_hostile_texts_are_texts(office: Office, _case: str, text: str, numbers: list[str]) -> None:
    assert found(office, text) == numbers
    browser = office.signed_in(Role.VIEWER)
    path = f"/orders?every=1&q={quote(text.encode('utf-8', 'surrogatepass'))}"
    assert browser.get(path).status_code == 200
    assert browser.get(path.replace("every=1&", "")).status_code in {200, 302}


def test_only_orders_of_the_filter_are_listed(office: Office) -> None:
    world = office.world
    assert found(office, "", state=State.REJECTED) == ["BGM-1005", "BGM-1004"]
    assert found(office, "04", state=State.REJECTED) == ["BGM-1004"]
    assert found(office, "ada", state=State.REJECTED) == []
    assert len(found(office, "", site="bgm")) == 5
    assert found(office, "ada", site="bgm") == ["BGM-1003", "BGM-1001"]
    assert found(office, "BGM-1001", site="bgm") == ["BGM-1001"]
    assert found(office, "", site="no such site") == []
    assert found(office, "BGM-1001", site="no such site") == []
    world.clock.advance(86_400)
    world.place(plain_order(1010))
    world.place(world.shop.order(1001) | {"customer_note": "Ring twice."})
    world.run()
    assert found(office, "", since=world.clock.now() - timedelta(hours=12)) == ["BGM-1010"]
    assert found(office, "", amended=True) == found(office, "ada", amended=True) == ["BGM-1001"]


@pytest.mark.parametrize("part", ["", "/explain", "/received/1", "/received/1.json", "/sent/1"])
def test_an_order_of_a_site_that_no_database_takes_is_not_found(office: Office, part: str) -> None:
    browser = office.signed_in(Role.OPERATOR)
    for site in ("%00", "a%00b", "%ed%a0%80"):
        assert browser.get(f"/orders/BGM-1001{part}?site={site}").status_code == 404
    assert found(office, "BGM-1001", site="a\x00") == found(office, "", site="\ud800") == []
    for action in ("retry", "resume"):
        assert browser.post(f"/orders/BGM-1001/{action}", site="a\x00b").status_code == 404


def test_a_filter_that_is_no_valid_word_is_left_out_and_named(office: Office) -> None:
    page = unescape(
        office.signed_in(Role.VIEWER).page(f"/orders?site={quote(EVIL)}&state=nosuch&since=31.12.2026")
    )
    assert "There is no site" in page
    assert "There is no state 'nosuch'." in page
    assert "'31.12.2026' is no day" in page
    assert "BGM-1001" in page


@pytest.mark.parametrize("where", ["older=x", "older=-1", "newer=99999999999", "older=4294967296"])
def test_a_page_that_cannot_be_is_not_found(office: Office, where: str) -> None:
    assert office.signed_in(Role.VIEWER).get(f"/orders?{where}").status_code == 404


def test_a_number_leads_to_its_order_and_back_to_everything_like_it(office: Office) -> None:
    browser = office.signed_in(Role.VIEWER)
    for text in ("BGM-1001", "bgm-1001", "1001"):
        answer = browser.get(f"/orders?q={text}")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/orders/BGM-1001?q={text}")
    page = browser.page("/orders/BGM-1001?q=1001")
    assert "/orders?q=1001&amp;every=1" in page
    assert "BGM-1001" in browser.page("/orders?q=1001&every=1")
    # Not where the filter says otherwise.
    assert "No order is like that" in browser.page("/orders?q=1001&state=rejected")


def test_pages_stay_where_they_are_while_orders_arrive(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[plain_order(each) for each in range(1001, 1121)]))
    world = office.world
    world.run()
    first = searching.listed(office.panel, Search())
    assert (len(first.orders), first.newer) == (50, None)
    world.clock.advance(3600)
    world.place(*(plain_order(each) for each in range(2001, 2004)))
    world.run()
    second = searching.listed(office.panel, Search(), older=first.older)
    third = searching.listed(office.panel, Search(), older=second.older)
    ids = [each.id for part in (first, second, third) for each in part.orders]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) == 120
    assert third.older is None
    back = searching.listed(office.panel, Search(), newer=third.newer)
    assert back.orders == second.orders
    top = searching.listed(office.panel, Search(), newer=back.newer)
    # The three new ones stand before what was the first page.
    assert top.orders == first.orders
    newest = searching.listed(office.panel, Search(), newer=top.newer)
    assert newest.newer is None
    assert [each.order_number for each in newest.orders][:3] == ["BGM-2003", "BGM-2002", "BGM-2001"]
    browser = office.signed_in(Role.VIEWER)
    page = browser.page("/orders?state=done")
    assert f"/orders?older={newest.older}&amp;every=1&amp;state=done" in page


def test_a_longer_list_takes_no_more_questions(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[plain_order(each) for each in range(1001, 1041)]))
    browser = office.signed_in(Role.VIEWER)
    counts = []
    for text in ("", "wid-001"):
        for _ in range(2):
            with statements(office.world.engine) as asked:
                browser.page(f"/orders?q={text}")
            counts.append(len(asked))
            office.world.run()
    assert counts[1] <= counts[0] + 1
    assert counts[3] <= counts[2] + 1
    assert max(counts) <= 16


def test_orders_in_the_archive_are_found_by_number(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[of(1001, "Ada", "Lovelace")]))
    world = office.world
    world.run()
    (row,) = world.rows("SELECT erp_document_number AS n FROM rm_order")
    world.clock.advance(91 * 86_400)
    world.place(plain_order(1900))
    world.run()
    assert archive(world.parts, days=90).orders == 1
    assert world.rows("SELECT order_number AS n FROM rm_order") == [{"n": "BGM-1900"}]
    assert found(office, "BGM-1001") == found(office, "1001") == found(office, row["n"]) == ["BGM-1001"]
    page = office.signed_in(Role.VIEWER).page("/orders?q=1001&every=1")
    assert "archived" in page
    assert "Ada Lovelace" in page
    assert row["n"] in page


def test_erased_orders_are_found_by_number_and_show_nobody(office: Office) -> None:
    world = office.world
    erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None))
    assert found(office, "lovelace") == ["BGM-1003"]
    assert found(office, "BGM-1001") == ["BGM-1001"]
    page = office.signed_in(Role.VIEWER).page("/orders?q=1001&every=1")
    assert "erased" in page
    assert "Lovelace" not in page


def test_the_list_is_a_table_for_a_spreadsheet(make_world: MakeWorld) -> None:
    office = Office(
        make_world(
            orders=[
                of(1001, '=HYPERLINK("http://evil")', "Lovelace"),
                of(1002, "Ada", EVIL),
                of(1003, "Bob", "Byron"),
            ]
        )
    )
    office.world.run()
    browser = office.signed_in(Role.VIEWER)
    answer = browser.get("/orders.csv?q=buyer")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [each["order_number"] for each in rows] == ["BGM-1003", "BGM-1002", "BGM-1001"]
    assert rows[2]["customer"] == '\'=HYPERLINK("http://evil") Lovelace'
    assert rows[1]["customer"] == f"Ada {EVIL}"
    assert (rows[0]["total"], rows[0]["currency"], rows[0]["state"]) == ("19.99", "USD", "done")
    assert len(list(csv.reader(StringIO(browser.get("/orders.csv?q=bob").text)))) == 2
    assert "&lt;script&gt;alert" in browser.page("/orders?q=ada")
    assert EVIL not in browser.page(f"/orders?q={quote(EVIL)}&every=1")


def test_nobody_looks_who_is_not_signed_in(office: Office) -> None:
    browser: Browser = office.browser()
    for path in ("/orders", "/orders.csv", "/orders/BGM-1001", "/orders/BGM-1001/received/1.json"):
        assert browser.get(path).status_code == 303
