"""One order's page: what is shown of it, what was received and sent, and letting it go on."""

from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from app.ports.accounts import Role
from app.sandbox.erp.records import put
from app.sync.archive import archive
from app.sync.configure import Asked, add_site
from app.sync.privacy import erase, find
from tests.pipeline.world import Json, MakeWorld, World, kit_order, plain_order
from tests.web.office import Office
from tests.web.test_searching import statements

EVIL = '<script>alert("x")</script>'
NOBODY_TOLD = "No worker could be told; the order is due, and the next one that runs comes for it."


def evil_order(order_id: int) -> Json:
    """Hostile texts wherever a customer can write."""
    body = plain_order(order_id, customer_note=f"{EVIL}\x1b[31m", payment_method_title=EVIL)
    body["line_items"][0]["name"] = f"{EVIL}'\"><img src=x onerror=alert(1)>"
    parts = ("first_name", "last_name", "company", "address_1", "city", "phone")
    body["billing"] |= dict.fromkeys(parts, EVIL)
    body["shipping"] |= dict.fromkeys(parts[:5], EVIL)
    return body


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """An order of two kits that was exported, and one that was rejected for its total."""
    made = make_world(orders=[kit_order(1001), plain_order(1002, total="1.00")])
    made.run()
    assert made.ends() == {1001: "done", 1002: "rejected"}
    return made


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def test_an_order_is_shown_with_its_lines_and_those_of_the_erp(office: Office) -> None:
    page = unescape(office.signed_in(Role.VIEWER).page("/orders/BGM-1001"))
    (row,) = office.world.rows("SELECT * FROM rm_order")
    assert f"{row['erp_document_number']}" in page
    assert row["order_date_raw"] in page
    for sku in ("KIT-PARENT-123", "COMP-A", "COMP-B"):
        assert sku in page
    assert "component" in page
    assert "Lines as the ERP got them" in page
    assert "As they stand in the request that wrote the order last." in page
    assert "buyer1001@example.test" in page
    assert "the ERP holds it as document" in page
    assert "Sales order: what was sent, and the answer" in page
    assert "/orders/BGM-1001/received/1" in page


@pytest.mark.parametrize("key", ["BGM-1001", "1001", "bgm-1001"])
def test_an_order_is_found_by_its_number_and_the_platforms_id(office: Office, key: str) -> None:
    assert "<h1>Order BGM-1001</h1>" in office.signed_in(Role.VIEWER).page(f"/orders/{key}")


@pytest.mark.parametrize(
    "key",
    ["nothing", "../etc/passwd", "%00", "a/b/c", "a//b", quote(EVIL), "99999999999999999999", "x" * 3000, "%F0%9F%98%80"],
)  # fmt: skip
def test_an_order_that_is_not_there_is_not_found(office: Office, key: str) -> None:
    browser = office.signed_in(Role.VIEWER)
    for path in (key, f"{key}/explain", f"{key}/received/1", f"{key}/received/1.json", f"{key}/sent/1"):
        assert browser.get(f"/orders/{path}").status_code == 404


def test_an_order_that_stopped_before_it_was_written_has_a_page(office: Office) -> None:
    page = unescape(office.signed_in(Role.VIEWER).page("/orders/BGM-1002"))
    (error,) = office.world.errors().values()
    assert f"/desk/{error['id']}" in page
    assert error["reason"] in page
    assert "not known yet" in page


def test_hostile_texts_are_shown_and_do_nothing(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[evil_order(1001)]))
    office.world.run()
    assert office.world.ends() == {1001: "done"}
    browser = office.signed_in(Role.ADMIN)
    for path in ("", "/explain", "/received/1"):
        page = browser.page(f"/orders/BGM-1001{path}")
        assert "<script>alert" not in page
        assert "<img" not in page.replace('<img src="/static', "")
        assert "&lt;script&gt;alert" in page or path == "/explain"
        assert "\x1b" not in page


def test_everything_that_was_received_is_shown_to_the_letter(office: Office) -> None:
    world = office.world
    world.clock.advance(3600)
    changed = world.shop.order(1001) | {"customer_note": f"Ring twice. {EVIL}", "exact": 10.0}
    world.place(changed)
    world.run()
    (first, second) = world.rows(
        "SELECT body FROM rm_inbox WHERE platform_order_id = '1001' ORDER BY version"
    )
    browser = office.signed_in(Role.VIEWER)
    page = unescape(browser.page("/orders/BGM-1001"))
    assert "Version 2 came after it was sent" in page
    page = unescape(browser.page("/orders/1001/received/2"))
    assert '+  "customer_note": "Ring twice.' in page
    assert '"exact": 10.0' in page
    answer = browser.get("/orders/BGM-1001/received/1.json")
    assert answer.text == first["body"]
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="BGM-1001-version-1-body.json"'
    assert browser.get("/orders/BGM-1001/received/2.json?part=body").text == second["body"]
    for path in ("received/3", "received/3.json", "received/99999999999", "received/1.json?part=nosuch"):
        assert browser.get(f"/orders/BGM-1001/{path}").status_code == 404


def test_a_large_body_does_not_make_a_large_page(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[plain_order(1001, customer_note="x" * 900_000)]))
    office.world.run()
    browser = office.signed_in(Role.VIEWER)
    page = browser.page("/orders/BGM-1001/received/1")
    assert len(page) < 400_000
    assert "the file has all of them" in page
    assert len(browser.get("/orders/BGM-1001/received/1.json").text) > 900_000


def test_what_was_sent_to_the_erp_is_shown_in_full(office: Office) -> None:
    browser = office.signed_in(Role.VIEWER)
    (row,) = office.world.rows(
        "SELECT e.number FROM rm_event e JOIN rm_thread t ON t.id = e.thread_id"
        " WHERE e.event = 'exported' AND t.platform_order_id = '1001'"
    )
    page = unescape(browser.page(f"/orders/BGM-1001/sent/{row['number']}"))
    assert '"externalDocumentNumber": "BGM-1001"' in page
    assert browser.get("/orders/BGM-1001/sent/9999").status_code == 404


def test_every_cent_is_explained(office: Office) -> None:
    browser = office.signed_in(Role.VIEWER)
    page = unescape(browser.page("/orders/BGM-1001/explain"))
    assert "Sums that must be right" in page
    assert "In the ERP" in page
    assert "wrong" not in page
    one = unescape(browser.page("/orders/BGM-1001/explain?line=1"))
    assert "Line 1," in one
    assert "Line 2," not in one
    assert browser.get("/orders/BGM-1001/explain?line=99").status_code == 422
    assert browser.get("/orders/BGM-1001/explain?line=x").status_code == 404
    assert browser.get("/orders/BGM-1001/explain?line=99999999999").status_code == 404
    assert "add up" in browser.page("/orders/BGM-1002/explain")


def test_an_order_of_several_sites_is_chosen(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[plain_order(1001)]))
    world = office.world
    world.run()
    second = Asked(
        name="zeta",
        platform="woocommerce",
        url=world.shop_url.replace("127.0.0.1", "localhost"),
        allow_private=True,
        credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
        # The shop's order carries our mark by now.
        settings={"min_order_date": "2020-01-01"},
    )
    world.site_id = add_site(world.parts, second, prefix="ZET", erp="bc")
    world.place(plain_order(1001))
    world.run()
    browser = office.signed_in(Role.VIEWER)
    page = browser.page("/orders/1001")
    assert "/orders/BGM-1001" in page
    assert "/orders/ZET-1001" in page
    assert "<h1>Order ZET-1001</h1>" in browser.page("/orders/1001?site=zeta")
    assert browser.get("/orders/1001/explain").status_code == 404
    # A word that names two orders is a search.
    assert browser.get("/orders?q=1001").status_code == 200


def test_an_order_in_the_archive_is_shown_whole(office: Office) -> None:
    world = office.world
    world.clock.advance(91 * 86_400)
    world.place(plain_order(1900))
    world.run()
    assert archive(world.parts, days=90).orders == 1
    page = unescape(office.signed_in(Role.OPERATOR).page("/orders/BGM-1001"))
    assert "It is in the archive since" in page
    assert "COMP-A" in page
    assert "Lines as the ERP got them" in page
    assert "buyer1001@example.test" in page
    assert "/orders/BGM-1001/retry" not in page


def test_an_erased_order_shows_nobody(office: Office) -> None:
    world = office.world
    erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None))
    browser = office.signed_in(Role.OPERATOR)
    for path in ("", "/explain", "/received/1"):
        page = unescape(browser.page(f"/orders/BGM-1001{path}"))
        assert "buyer1001" not in page
    page = unescape(browser.page("/orders/BGM-1001"))
    assert "Its personal data was erased" in page
    assert "COMP-A" in page
    assert browser.get("/orders/BGM-1001/received/1.json").status_code == 404


def test_a_stopped_order_is_resumed_and_a_worker_is_told(office: Office) -> None:
    world = office.world
    browser = office.signed_in(Role.OPERATOR)
    assert "/orders/BGM-1002/resume" in browser.page("/orders/BGM-1002")
    answer = browser.post("/orders/BGM-1002/resume")
    assert "It goes on from normalize." in unescape(answer.text)
    assert [each.site for each in office.doors.rung] == ["bgm"]
    assert world.ends()[1002] == "active"
    assert 'hx-trigger="every 5s"' in browser.page("/orders/BGM-1002")
    (action,) = office.panel.store.actions(before=None, limit=1)
    assert (action.by, action.action, action.target, action.outcome) == (
        "operator1", "order.resume", "BGM-1002", "done",
    )  # fmt: skip
    (noted,) = world.rows("SELECT \"by\" AS who FROM rm_event WHERE event = 'resumed'")
    assert noted["who"] == "operator1"
    # Done twice it does nothing the second time.
    answer = browser.post("/orders/BGM-1002/resume")
    assert "there is nothing to resume" in unescape(answer.text)
    assert len(office.doors.rung) == 1


def test_where_no_worker_can_be_told_the_page_says_so(office: Office) -> None:
    office.doors.is_there = False
    answer = office.signed_in(Role.OPERATOR).post("/orders/BGM-1002/retry")
    assert NOBODY_TOLD in unescape(answer.text)
    assert office.world.ends()[1002] == "active"


def test_a_held_order_is_tried_at_once(make_world: MakeWorld) -> None:
    unknown = plain_order(1003)
    unknown["line_items"][0]["sku"] = "NEW-ITEM"
    office = Office(make_world(orders=[unknown]))
    world = office.world
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "NEW-ITEM", "displayName": "New"})
    world.run()
    assert world.ends() == {1003: "held"}
    browser = office.signed_in(Role.OPERATOR)
    page = browser.page("/orders/BGM-1003")
    assert "Waits since" in page
    assert "/orders/BGM-1003/retry" in page
    answer = browser.post("/orders/BGM-1003/retry")
    assert "It is tried again at verify_skus." in unescape(answer.text)
    assert len(office.doors.rung) == 1
    assert world.ends() == {1003: "active"}
    assert world.rows("SELECT \"by\" FROM rm_event WHERE event = 'released'") == [{"by": "operator1"}]


@pytest.mark.parametrize("what", ["retry", "resume"])
def test_a_viewer_lets_nothing_go_on(office: Office, what: str) -> None:
    browser = office.signed_in(Role.VIEWER)
    assert f"/orders/BGM-1002/{what}" not in browser.page("/orders/BGM-1002")
    before = office.world.rows("SELECT * FROM rm_thread")
    assert browser.post(f"/orders/BGM-1002/{what}").status_code == 403
    assert browser.client.post(f"/orders/BGM-1002/{what}").status_code == 400
    assert office.world.rows("SELECT * FROM rm_thread") == before
    assert office.doors.rung == []


def test_what_cannot_go_on_is_said_and_left_alone(office: Office) -> None:
    browser = office.signed_in(Role.OPERATOR)
    answer = browser.post("/orders/BGM-1001/resume")
    assert "It has been exported meanwhile" in unescape(answer.text)
    assert browser.post("/orders/nothing/resume").status_code == 404
    assert office.doors.rung == []


def test_a_longer_life_takes_no_more_questions(make_world: MakeWorld) -> None:
    def asked_for(order: Json, times: int) -> int:
        office = Office(make_world(orders=[order]))
        office.world.run()
        for _ in range(times):
            office.world.clock.advance(3600)
            office.world.place(office.world.shop.order(1001) | {"customer_note": f"Note {_}"})
            office.world.run()
        browser = office.signed_in(Role.VIEWER)
        with statements(office.world.engine) as asked:
            browser.page("/orders/BGM-1001")
        return len(asked)

    few, many = asked_for(plain_order(1001), 0), asked_for(kit_order(1001), 4)
    assert few == many <= 32


def test_looking_changes_nothing(office: Office) -> None:
    tables: tuple[str, ...] = ("rm_thread", "rm_order", "rm_event", "rm_run", "rm_action", "rm_error_orders")

    def whole() -> list[Any]:
        return [office.world.rows(f"SELECT * FROM {each}") for each in tables]

    browser = office.signed_in(Role.ADMIN)
    before = whole()
    for path in ("", "/explain", "/received/1", "/received/1.json"):
        browser.get(f"/orders/BGM-1001{path}")
        browser.get(f"/orders/BGM-1002{path}")
    browser.get("/orders?q=1001")
    assert whole() == before
    assert office.doors.rung == []
