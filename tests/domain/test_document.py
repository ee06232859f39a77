"""The stored document: an order comes back from it as it went in."""

import json

import pytest
from hypothesis import given

from app.domain.document import dump, dump_text, load, load_text
from app.domain.order import Order
from tests.domain.orders import order, orders
from tests.domain.profile import REPEATABLE


@REPEATABLE
@given(orders)
def test_an_order_comes_back_from_its_document_with_every_digit_of_every_number(given_order: Order) -> None:
    back = load(dump(given_order))
    assert back == given_order
    assert repr(back) == repr(given_order)


@REPEATABLE
@given(orders)
def test_an_order_comes_back_from_its_text(given_order: Order) -> None:
    text = dump_text(given_order)
    assert load_text(text) == given_order
    assert dump_text(load_text(text)) == text
    assert json.loads(text) == dump(given_order)


@pytest.mark.parametrize("missing", ["number", "total", "created_at", "payment", "lines", "meta"])
def test_a_document_with_a_part_missing_is_no_order(missing: str) -> None:
    document = dump(order())
    del document[missing]
    with pytest.raises((KeyError, TypeError, ValueError)):
        load(document)
