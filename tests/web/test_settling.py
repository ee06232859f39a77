"""Settling orders as they are: what a person has seen and confirmed is settled, and nothing else."""

import re
from typing import Any

from app.ports.accounts import Role
from app.sandbox.erp.records import put
from tests.pipeline.world import MakeWorld, World
from tests.web.office import Browser, Office
from tests.web.test_desk_pages import (
    error_id,
    everything,
    opened,
    repair,
    with_sku,
    without_postcode,
)

CHANGED = "Somebody else has changed it at this moment; look at it again."
PASSED = "The error that it was chosen by is not open any more; look at the order again."
SETTLED = "Nothing more is done for it (a duplicate)."


def confirmed(browser: Browser, **fields: Any) -> list[str]:
    """What the page that asks would send for each order."""
    page = browser.post("/desk/skip/ask", **fields).text
    return re.findall(r'name="order" value="(\d+:\d+)"', page)


def ticked(world: World, *order_ids: int) -> list[str]:
    return [str(error_id(world, each)) for each in order_ids]


def test_an_order_that_nobody_touched_is_settled(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser = office.signed_in(Role.OPERATOR)
    orders = confirmed(browser, error=ticked(office.world, 1), single="1")
    answer = browser.post("/desk/skip", order=orders, reason="a duplicate", single="1")
    assert SETTLED in answer.text
    assert office.world.ends() == {1: "closed"}
    again = browser.post("/desk/skip", order=orders, reason="a duplicate", single="1")
    assert "It is closed already." in again.text


def test_what_was_repaired_after_the_question_is_left_alone_and_the_others_are_settled(
    make_world: MakeWorld,
) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"), with_sku(2, "NOPE-2"))
    world = office.world
    anna, ben = office.signed_in(Role.OPERATOR, name="anna"), office.signed_in(Role.OPERATOR, name="ben")
    orders = confirmed(anna, error=ticked(world, 1, 2))
    repair(ben, world, 1, lines__0__sku="WID-001")
    answer = anna.post("/desk/skip", order=orders, reason="a duplicate")
    assert (answer.text.count(CHANGED), answer.text.count(SETTLED)) == (1, 1)
    assert world.ends() == {1: "rejected", 2: "closed"}


def test_the_form_about_one_order_is_about_its_state_as_well(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world = office.world
    anna, ben = office.signed_in(Role.OPERATOR, name="anna"), office.signed_in(Role.OPERATOR, name="ben")
    orders = confirmed(anna, error=ticked(world, 1), single="1")
    repair(ben, world, 1, lines__0__sku="WID-001")
    assert CHANGED in anna.post("/desk/skip", order=orders, reason="a duplicate", single="1").text
    assert world.ends() == {1: "rejected"}


def test_an_order_that_stands_in_another_error_by_now_is_left_alone(make_world: MakeWorld) -> None:
    office = opened(make_world, without_postcode(1))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    before = ticked(world, 1)
    orders = confirmed(browser, error=before)
    world.place(with_sku(1, "NOPE-1"))
    world.run()
    assert world.errors()[1]["kind"] == "bad_sku"
    assert CHANGED in browser.post("/desk/skip", order=orders, reason="a duplicate").text
    for path in ("skip", "skip/ask", "resume", "preview", "assign"):
        answer = browser.post(f"/desk/{path}", error=before, reason="a duplicate", to="me", single="1")
        assert PASSED in answer.text, path
    assert world.ends() == {1: "rejected"}
    assert world.rows("SELECT COUNT(*) AS n FROM rm_error_orders WHERE assignee IS NOT NULL") == [{"n": 0}]


def test_an_error_that_is_not_open_any_more_is_left_out_and_the_others_are_asked_about(
    make_world: MakeWorld,
) -> None:
    office = opened(make_world, without_postcode(1), with_sku(2, "NOPE-2"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    errors = ticked(world, 1, 2)
    world.place(with_sku(1, "NOPE-1"))
    world.run()
    asked = browser.post("/desk/skip/ask", error=errors).text
    assert "Left out is BGM-1: " + PASSED in asked
    assert "Yes, settle 1 order as it is" in asked
    assert (
        "1 open error is operator1&#39;s now. Left out: 1 order"
        in browser.post("/desk/assign", error=errors, to="me").text
    )


def test_an_order_that_only_waits_by_now_is_not_settled_by_its_error_of_before(make_world: MakeWorld) -> None:
    body = without_postcode(1)
    body["line_items"][0]["sku"] = "NEW-1"
    office = Office(make_world(orders=[body]))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "NEW-1"})
    world.run()
    before = ticked(world, 1)
    world.place(with_sku(1, "NEW-1"))
    world.run()
    assert world.ends() == {1: "held"}
    assert PASSED in browser.post("/desk/skip", error=before, reason="a duplicate").text
    assert PASSED in browser.post("/desk/skip/ask", error=before).text
    assert world.ends() == {1: "held"}


def test_a_form_that_is_shown_again_is_about_what_was_seen_first(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    orders = confirmed(browser, error=ticked(world, 1))
    repair(browser, world, 1, lines__0__sku="WID-001")
    again = browser.post("/desk/skip", order=orders, reason=" ")
    assert (again.status_code, f'name="order" value="{orders[0]}"' in again.text) == (422, True)
    assert CHANGED in browser.post("/desk/skip", order=orders, reason="a duplicate").text


def test_a_form_that_does_not_say_what_was_seen_changes_nothing(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser, before = office.signed_in(Role.OPERATOR), everything(office.world)
    wrong: tuple[str | list[str], ...] = (
        *("1", "1:x", "1:", ":1", "x:1", "1:-1", "1:1:1", "٣:1", "1:\n1", "", "0:1", "77:1"),
        *("9" * 5_000 + ":1", "1:" + "9" * 5_000, "2147483648:1", "9999999999:9999999999"),
        *(["1:1", "1:2"], ["1:1", "x"], ["1:1", "77:1"]),
    )
    for order in wrong:
        answer = browser.post("/desk/skip", order=order, reason="a duplicate")
        assert answer.status_code == 422, order
        assert re.search("nothing was done. (Choose the orders anew|Tick the orders)", answer.text), order
    assert everything(office.world) == before


def test_an_impossible_revision_is_another_one(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser = office.signed_in(Role.OPERATOR)
    assert CHANGED in browser.post("/desk/skip", order="1:9999999999", reason="a duplicate").text
    assert office.world.ends() == {1: "rejected"}


def test_nothing_is_settled_by_a_filter_that_nobody_was_asked_about(make_world: MakeWorld) -> None:
    office = opened(make_world, with_sku(1, "NOPE-1"))
    browser, before = office.signed_in(Role.OPERATOR), everything(office.world)
    assert browser.post("/desk/skip", which="all", reason="a duplicate").status_code == 422
    assert everything(office.world) == before
