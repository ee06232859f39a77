"""What was sent to the ERP reaches the store with the order that it was for, also where the work stops half way."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from app.domain.road import Owed
from app.ports.erp import Exchange
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order

CREATING = {"default_customer": "", "create_customers": "true"}


def kept(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Exchange]]:
    """What the store is given from now on, by order number."""
    found: dict[str, list[Exchange]] = {}
    settle = world.parts.store.settle_steps

    def settling(
        kind: Owed, *, exchanges: Mapping[int, Sequence[Exchange]] | None = None, **more: Any
    ) -> Any:
        numbers = {
            row["id"]: row["external_number"]
            for row in world.rows(
                "SELECT s.id, o.external_number FROM rm_step s JOIN rm_order o ON o.thread_id = s.thread_id"
            )
        }
        for step_id, told in (exchanges or {}).items():
            found.setdefault(numbers[step_id], []).extend(told)
        return settle(kind, exchanges=exchanges or {}, **more)

    monkeypatch.setattr(world.parts.store, "settle_steps", settling)
    return found


def test_the_order_and_a_new_customer_are_kept_with_the_answers(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(orders=[plain_order(801), kit_order(802)], erp_settings=CREATING)
    found = kept(world, monkeypatch)
    world.run()
    assert {number: [each.what for each in told] for number, told in found.items()} == {
        "BGM-801": ["customer", "sales order"],
        "BGM-802": ["customer", "sales order"],
    }
    totals = {each["externalDocumentNumber"]: each["totalAmountIncludingTax"] for each in world.documents()}
    for number, (_, sent) in found.items():
        request = json.loads(sent.request, parse_float=Decimal)
        answer = json.loads(sent.answer, parse_float=Decimal)
        assert request["externalDocumentNumber"] == number
        assert answer["read_back"]["value"][0]["totalAmountIncludingTax"] == totals[number]


def test_what_was_sent_before_the_work_was_stopped_is_kept(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(orders=[plain_order(803), plain_order(804)], erp_settings=CREATING)
    found = kept(world, monkeypatch)
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    erp = world.parts.peers.erp(world.parts.store.erps()[0])
    create = erp.create_documents

    def stopped(*given: Any, **more: Any) -> None:
        create(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erp, "create_documents", stopped)
        with pytest.raises(KeyboardInterrupt):
            world.walk(bells, first=Owed.EXPORT)
    assert {number: [each.what for each in told] for number, told in found.items()} == {
        "BGM-803": ["customer", "sales order"],
        "BGM-804": ["customer", "sales order"],
    }
