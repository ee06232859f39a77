"""An ERP that fails at any call, and an ERP that holds something else: never a second document, and every order finds its end."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from sqlalchemy import text

from app.domain.road import LINKS, Owed
from app.errors import OrderSyncError
from app.ports.erp import Draft, ErpDocument, Told
from app.sandbox.erp.faults import Fault
from app.sandbox.erp.records import put
from app.sync.reconfigure import Wanted, set_erp
from tests.pipeline.world import HANGS, Json, MakeWorld, World, kit_order, limits_for, plain_order

CREATING = {"default_customer": "", "create_customers": "true"}
"""Customers are made, so that their creation too is met by every fault."""

KINDS = ("503", "429", "reset", "reset_after", "timeout_after", "late", "truncated", "html")
SHORT_LEASE = {"http": "0.8", "soft": "1.0", "hard": "1.1", "lease": "1.2"}
DONE = ("done", "deliver", "")
_MOST_CALLS = 30


def _silent(kind: str) -> Decimal:
    """How long (s) the ERP waits before it commits, or says nothing."""
    return Decimal("0.1") if kind == "late" else Decimal(str(HANGS))


class _AtCall:
    """Takes the place of the sandbox's look for faults: the `nth` request meets a fault of this kind."""

    def __init__(self, world: World, kind: str, nth: int, *, times: int = 1) -> None:
        self.count = 0
        self._world = world
        self._nth = nth
        self._fault = {
            "kind": kind,
            "seconds": _silent(kind),
            "times": times,
        }
        self._take: Callable[..., Fault | None] = world.erp.faults.take

    def __call__(self, *, method: str, path: str) -> Fault | None:
        self.count += 1
        if self.count == self._nth:
            self._world.erp.faults.order(self._fault)
        return self._take(method=method, path=path)


def _everything_once(world: World, *order_ids: int) -> None:
    assert world.states() == dict.fromkeys(order_ids, DONE)
    assert world.document_numbers() == sorted(f"BGM-{order_id}" for order_id in order_ids)
    assert world.marked() == set(order_ids)
    totals = {each["externalDocumentNumber"]: each["totalAmountIncludingTax"] for each in world.documents()}
    for order_id in order_ids:
        assert totals[f"BGM-{order_id}"] == Decimal(world.shop.order(order_id)["total"])
    emails = Counter(each["email"] for each in world.customers())
    for order_id in order_ids:
        assert emails[f"buyer{order_id}@example.test"] <= 1


@pytest.mark.once
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_call_ends_with_one_document_and_one_customer_each(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One pair of orders for each call of the road, that call met by the fault; every pair before is read again each time."""
    world = make_world(limits=limits_for(kind), erp_settings=CREATING)
    orders: list[int] = []
    for nth in range(1, _MOST_CALLS):
        pair = [1000 + 2 * nth, 1001 + 2 * nth]
        world.place(plain_order(pair[0]), kit_order(pair[1]))
        orders += pair
        # So that asking for a token is among the calls.
        world.erp.revoke_tokens()
        calls = _AtCall(world, kind, nth)
        with monkeypatch.context() as patched:
            patched.setattr(world.erp.faults, "take", calls)
            world.run(through_holds=True)
        assert {world.states()[order_id] for order_id in pair} == {DONE}, nth
        if calls.count < nth:
            assert nth > 8, "the road makes more calls than that"
            break
    else:
        raise AssertionError("the calls of a run never came to an end")
    _everything_once(world, *orders)


@pytest.mark.once
@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_item_sync_is_named_and_the_next_one_reads_all(make_world: MakeWorld, kind: str) -> None:
    world = make_world(orders=[plain_order(605)], limits=limits_for(kind), items=False)
    world.erp.faults.order({"kind": kind, "match": {"path": "/items"}, "seconds": _silent(kind)})
    failed = world.sync_items()
    assert (failed.state, failed.new) == ("failed", 0)
    assert failed.reason
    assert world.parts.store.erps()[0].items_cursor is None
    assert world.sync_items().new == 15
    world.run()
    _everything_once(world, 605)


def test_orders_that_came_while_no_item_was_known_are_held_and_released_by_the_item_sync(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(606)], items=False)
    world.erp.faults.order({"kind": "503", "match": {"path": "/items"}})
    world.run()
    assert world.ends() == {606: "held"}
    assert not world.marked()
    assert world.sync_items().released == 1
    world.settle()
    _everything_once(world, 606)


@pytest.mark.parametrize("kind", ["503", "429", "reset", "html", "truncated"])
def test_an_erp_that_stays_away_holds_the_orders_and_takes_them_once_when_it_is_back(
    make_world: MakeWorld, kind: str
) -> None:
    world = make_world(orders=[plain_order(603), kit_order(604)], erp_settings=CREATING)
    world.erp.faults.order({"kind": kind, "times": 12})
    world.run(through_holds=True)
    _everything_once(world, 603, 604)


def _write_lost(world: World, kind: str, **more: Any) -> None:
    """Let the fault meet the one call that writes documents: an operation of a batch is told by its url alone."""
    world.erp.faults.order({"kind": kind, "match": {"operation": r"salesOrders$"}, **more})


def test_a_lost_reply_is_being_verified_then_adopted(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(611)])
    _write_lost(world, "reset_after")

    world.walk(world.fetch())

    state, _, reason = world.states()[611]
    assert state == "active"
    assert "being verified" in reason
    assert world.document_numbers() == ["BGM-611"]
    assert world.counts()["exported"] == 0

    world.settle()
    _everything_once(world, 611)
    (event,) = world.rows("SELECT detail FROM rm_event WHERE event = 'exported'")
    assert "found" in event["detail"]


def test_a_write_that_commits_late_is_waited_for_and_adopted(make_world: MakeWorld) -> None:
    """The ERP answers 408 and commits 0.7 s later; T_LATE is longer, so nothing is sent before then. No clock is moved."""
    world = make_world(orders=[plain_order(612)], limits=SHORT_LEASE, erp_settings={"t_late": "1.5"})
    _write_lost(world, "late", seconds=Decimal("0.7"))
    world.walk(world.fetch())
    assert world.documents() == []
    assert "being verified" in world.states()[612][2]
    world.settle(leap=False)
    _everything_once(world, 612)


def test_a_write_that_never_happened_is_sent_again_only_after_t_late(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(613)])
    _write_lost(world, "reset")
    world.walk(world.fetch())
    intent = world.rows("SELECT intent_at FROM rm_step WHERE kind = 'export'")[0]["intent_at"]
    world.clock.advance(4.0)
    world.settle(until="being verified")
    assert world.documents() == []
    world.settle()
    _everything_once(world, 613)
    again = world.rows("SELECT intent_at FROM rm_step WHERE kind = 'export'")[0]["intent_at"]
    assert _seconds_between(intent, again) >= 5.0


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize(("_case", "written"), [("before it was sent", False), ("after it was sent", True)])
def test_a_process_killed_around_the_write_leaves_one_document(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, _case: str, written: bool
) -> None:
    world = make_world(orders=[plain_order(616), kit_order(617)], erp_settings=CREATING)
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    erp = world.parts.peers.erp(world.parts.store.erps()[0])
    create = erp.create_documents

    def dies(
        drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told
    ) -> Mapping[str, ErpDocument | OrderSyncError]:
        if written:
            create(drafts, in_time=in_time, told=told)
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(erp, "create_documents", dies)
        with pytest.raises(_Killed):
            world.walk(bells, first=Owed.EXPORT)
    states = world.rows("SELECT state FROM rm_step WHERE kind = 'export'")
    assert states == [{"state": "sending"}, {"state": "sending"}]
    world.settle()
    _everything_once(world, 616, 617)


def _seconds_between(first: str, second: str) -> float:
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def test_a_lost_customer_is_looked_up_and_not_made_twice(make_world: MakeWorld) -> None:
    world = make_world(
        orders=[plain_order(614, email="one@example.test"), plain_order(615, email="One@Example.test")],
        erp_settings=CREATING,
    )
    world.erp.faults.order({"kind": "reset_after", "match": {"method": "POST", "path": r"/customers$"}})
    world.run()
    assert world.ends() == {614: "done", 615: "done"}
    made = [each for each in world.customers() if each["email"].lower() == "one@example.test"]
    assert len(made) == 1
    assert {each["customerNumber"] for each in world.documents()} == {made[0]["number"]}


# Sign-in.


def test_a_refused_client_pauses_the_erp_with_a_sentence_until_it_is_right(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(621), kit_order(622)])
    right = world.erp._client
    world.erp._client = (right[0], "another secret")
    world.erp.revoke_tokens()

    run = world.run()

    assert run.counts["held"] == 2
    paused = world.erp_paused()
    assert paused is not None
    assert "sign-in service refuses the client" in paused
    assert "sandbox-secret" not in paused
    assert all("refuses the client" in reason for _, _, reason in world.states().values())
    assert world.documents() == []
    assert not world.marked()

    world.erp._client = right
    world.run()
    assert world.states() == {621: DONE, 622: DONE}
    assert world.erp_paused() is None


def test_exports_that_waited_for_the_client_go_on_when_it_is_set_right(make_world: MakeWorld) -> None:
    """The order is written and marked by then: what is owed for it is released, and any run in this process takes it along."""
    world = make_world(orders=[plain_order(625)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    right = world.erp._client
    world.erp._client = (right[0], "another secret")
    world.erp.revoke_tokens()
    world.walk(bells, first=Owed.EXPORT)
    assert world.ends() == {625: "held"}
    world.erp._client = right

    wanted = Wanted(credentials={"client_secret": right[1]})
    changed = set_erp(world.parts, "bc", wanted, company=None)
    assert (changed.unpaused, changed.released) == (True, 1)
    run_id = world.parts.store.open_run(kind="orders", site_id=world.site_id)
    world.parts.store.finish_reading(run_id, state=None, reason="")
    assert world.road.run_until_settled(run_id, progress=lambda _counts: None, patience=20.0)
    _everything_once(world, 625)


def test_tokens_that_were_taken_back_are_asked_for_anew(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(623)])
    bells = world.fetch()
    for link in LINKS:
        world.erp.revoke_tokens()
        world.walk(bells, first=link, last=link)
    assert world.states() == {623: DONE}
    assert world.document_numbers() == ["BGM-623"]


def test_a_company_that_is_not_there_pauses_the_erp(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(624)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE rm_erps SET company = '00000000-0000-4000-8000-000000000000'"))
    world.walk(bells, first=Owed.EXPORT)
    assert world.ends() == {624: "held"}
    assert "knows no company" in (world.erp_paused() or "")
    assert world.documents() == []


# What the ERP holds already.


def _customer(world: World, number: str, email: str, **more: Any) -> None:
    with world.erp.lock:
        put(world.erp.books, "customers", {"number": number, "displayName": number, "email": email, **more})


def _is_rejected(world: World, order_id: int, kind: str, *telling: str) -> None:
    state, stage, reason = world.states()[order_id]
    assert (state, stage) == ("rejected", "deliver"), reason
    error = world.errors()[order_id]
    assert (error["stage"], error["kind"], error["reason"]) == ("export", kind, reason)
    for words in telling:
        assert words in reason


def test_two_customers_with_the_orders_address_are_a_hard_error(make_world: MakeWorld) -> None:
    """Whatever the case of the address (contract, rule 5); the other orders go on."""
    world = make_world(orders=[plain_order(631, email="Twice@Example.test"), plain_order(632)])
    world.run()
    _is_rejected(world, 631, "customer", "2 customers", "e-mail")
    assert world.states()[632] == DONE
    assert world.document_numbers() == ["BGM-632"]


def test_a_blocked_customer_is_a_hard_error_before_anything_is_sent(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(633, email="blocked@example.test"), plain_order(634)])
    world.run()
    _is_rejected(world, 633, "customer", "blocked", "All")
    assert world.states()[634] == DONE
    assert world.document_numbers() == ["BGM-634"]


def test_a_customer_who_was_blocked_after_the_first_order_is_a_hard_error_too(make_world: MakeWorld) -> None:
    """The link is stored by then; any word in `blocked` stops a new order (contract 2, customers)."""
    world = make_world(orders=[plain_order(635, email="regular@example.test")])
    _customer(world, "C-REG", "regular@example.test")
    world.run()
    assert world.states() == {635: DONE}
    _customer(world, "C-REG", "regular@example.test", blocked="Ship")
    world.place(plain_order(636, email="regular@example.test"))
    world.run()
    assert world.ends()[636] == "rejected"
    assert "blocked" in world.states()[636][2].lower()
    assert world.document_numbers() == ["BGM-635"]


def test_a_known_customer_is_found_by_address_and_used(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(637, email="Known@Example.test")])
    _customer(world, "C-KNOWN", "known@example.TEST")
    world.run()
    assert world.states() == {637: DONE}
    assert [each["customerNumber"] for each in world.documents()] == ["C-KNOWN"]


def test_a_document_that_is_this_orders_is_adopted(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(641)])
    number = world.put_document("BGM-641")
    world.run()
    assert world.states() == {641: DONE}
    assert world.document_numbers() == ["BGM-641"]
    assert world.rows("SELECT erp_document_number AS n FROM rm_order") == [{"n": number}]


@pytest.mark.parametrize("place", ["order", "invoice"])
def test_a_found_document_with_another_total_is_an_error_and_nothing_is_sent(
    make_world: MakeWorld, place: str
) -> None:
    world = make_world(orders=[plain_order(642)])
    number = world.put_document("BGM-642", price="18.00")
    if place == "invoice":
        _post(world, number)
    world.run()
    _is_rejected(world, 642, "duplicate", "18", "19.99", "BGM-642")
    assert world.document_numbers() == ["BGM-642"]
    assert world.counts()["exported"] == 0
    world.run()
    assert world.document_numbers() == ["BGM-642"]


def _post(world: World, number: str) -> None:
    """Ship and invoice: the order is deleted, its invoice remains (contract 2)."""
    requests.post(f"{world.erp_url}/_sandbox/documents/{number}/ship", timeout=5).raise_for_status()


def test_a_found_document_of_another_customer_is_an_error_and_nothing_is_sent(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(643)])
    _customer(world, "C-OTHER", "other@example.test")
    world.put_document("BGM-643", customer="C-OTHER")
    world.run()
    _is_rejected(world, 643, "duplicate", "C-OTHER")
    assert world.document_numbers() == ["BGM-643"]


def test_two_documents_in_the_erp_are_an_error_and_never_become_three(make_world: MakeWorld) -> None:
    """The ERP allows them (contract 4); upper and lower case are one number to it and to us."""
    world = make_world(orders=[plain_order(644), plain_order(645)])
    numbers = [world.put_document("BGM-644"), world.put_document("BGM-644")]
    world.run()
    _is_rejected(world, 644, "duplicate", "2 documents", *numbers)
    assert world.states()[645] == DONE
    world.run()
    world.run()
    assert world.document_numbers() == ["BGM-644", "BGM-644", "BGM-645"]


def test_a_posted_invoice_is_found_where_the_order_is_gone(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(646)])
    _post(world, world.put_document("BGM-646"))
    world.run()
    assert world.states() == {646: DONE}
    assert world.document_numbers() == ["BGM-646"]


# A total that differs after the export.

TAXED = {"tax.non_taxed_code": "TAXABLE"}
"""A setting that is wrong in this ERP: it adds its own tax to lines that carry the shop's tax already."""


def test_a_total_that_differs_keeps_the_link_opens_an_error_and_is_never_posted_again(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(651)], erp_settings=TAXED)
    world.run()
    _is_rejected(world, 651, "totals", "21.99", "19.99")
    (document,) = world.documents()
    (order,) = world.rows("SELECT * FROM rm_order")
    assert order["erp_document_number"] == document["number"]
    assert order["imported"] == 1
    assert Decimal(str(order["erp_total"])) == document["totalAmountIncludingTax"]
    for _ in range(3):
        world.run(through_holds=True)
        world.clock.advance(3600)
    world.shop.touch(651)
    world.run()
    assert world.document_numbers() == ["BGM-651"]


def test_a_lost_reply_with_another_total_keeps_the_link_too(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(652)], erp_settings=TAXED)
    _write_lost(world, "reset_after")
    world.run()
    _is_rejected(world, 652, "totals", "21.99")
    (order,) = world.rows("SELECT * FROM rm_order")
    assert order["erp_document_number"]
    world.run()
    assert world.document_numbers() == ["BGM-652"]


def test_a_document_somebody_deleted_is_not_written_again(make_world: MakeWorld) -> None:
    """No machine re-posts a confirmed export: a person decides (ARCHITECTURE, Data)."""
    world = make_world(orders=[plain_order(653)])
    world.run()
    (document,) = world.documents()
    url = f"{world.erp_url}/_sandbox/documents/{document['number']}/delete"
    requests.post(url, timeout=5).raise_for_status()
    world.run()
    world.shop.touch(653)
    world.run()
    world.clock.advance(86_400)
    world.run(through_holds=True)
    assert world.documents() == []


def _refused_item(world: World) -> Json:
    return next(line for line in world.shop.order(661)["line_items"])


def test_an_item_that_only_the_write_can_tell_is_blocked_rejects_that_order_alone(
    make_world: MakeWorld,
) -> None:
    """`Sales Blocked` is not in the API (contract 2, items): the order's own 400 is the third tier's last word."""
    body = plain_order(661)
    body["line_items"][0]["sku"] = "SALESBLK-1"
    world = make_world(orders=[body, plain_order(662)])
    assert _refused_item(world)["sku"] == "SALESBLK-1"
    world.run()
    _is_rejected(world, 661, "bad_sku", "SALESBLK-1")
    assert world.states()[662] == DONE
    assert world.document_numbers() == ["BGM-662"]


@pytest.mark.parametrize(
    ("_case", "change", "telling"),
    [
        ("a stocked item", {"type": "Inventory"}, "non-inventory"),
        ("an assembly item", {"type": "Inventory", "assembly": True}, "non-inventory"),
        ("a service", {"type": "Service"}, "non-inventory"),
    ],
)
def test_a_kit_whose_parent_would_ship_by_itself_is_rejected(
    make_world: MakeWorld, _case: str, change: Json, telling: str
) -> None:
    world = make_world(orders=[kit_order(663), plain_order(664)])
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "KIT-PARENT-123", **change})
    world.run()
    _is_rejected(world, 663, "kit", telling)
    assert world.states()[664] == DONE
    assert world.document_numbers() == ["BGM-664"]


def test_a_missing_account_stops_the_order_that_needs_it_and_names_the_setting(make_world: MakeWorld) -> None:
    """An unset account stops the order (contract, rule 6)."""
    world = make_world(orders=[kit_order(665), plain_order(666)], erp_settings={"account.shipping": ""})
    world.run()
    assert world.ends()[665] in {"rejected", "held"}
    assert "account.shipping" in world.states()[665][2]
    assert world.states()[666] == DONE
    assert world.document_numbers() == ["BGM-666"]
