"""Card numbers are masked where people and plugins put them, and nothing else is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cards import masked

CARDS = ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "2223003122003222")


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "field", ["value", "display_value", "customer_note", "customer_message", "staff_notes"]
)
def test_a_card_number_in_a_note_or_a_meta_value_keeps_its_last_four_digits(card: str, field: str) -> None:
    body = json.dumps({"id": 1, "meta_data": [{"key": "k", field: f"my card: {card}. Thanks"}]})
    hidden = json.loads(masked(body))["meta_data"][0][field]
    assert hidden == f"my card: {'*' * (len(card) - 4)}{card[-4:]}. Thanks"


def test_blanks_and_dashes_between_the_digits_hide_nothing() -> None:
    body = json.dumps({"customer_note": 'say "4111 1111 1111 1111" or 5555-5555-5555-4444'})
    assert json.loads(masked(body))["customer_note"] == 'say "**** **** **** 1111" or ****-****-****-4444'


@pytest.mark.parametrize(
    "body",
    [
        {"transaction_id": "4111111111111111", "line_items": [{"sku": "4111111111111111"}]},
        {"meta_data": [{"key": "k", "value": "4111111111111112"}]},
        {"meta_data": [{"key": "k", "value": "1234567890123452"}]},
        {"meta_data": [{"key": "ean", "value": "4006381333931"}]},
        {"meta_data": [{"key": "long", "value": "94111111111111111"}]},
        {"meta_data": [{"key": "amount", "value": "4111111111111111.25"}]},
        {"id": 4111111111111111},
    ],
)
def test_what_is_no_card_or_stands_elsewhere_is_left_alone(body: object) -> None:
    text = json.dumps(body)
    assert masked(text) == text


@given(st.recursive(st.one_of(st.text(), st.integers(), st.none()), lambda inner: st.one_of(
    st.lists(inner, max_size=3),
    st.dictionaries(st.sampled_from(["value", "customer_note", "id", "x"]), inner, max_size=3),
), max_leaves=10))  # fmt: skip
def test_a_masked_body_is_json_of_the_same_shape(document: object) -> None:
    for ascii_only in (True, False):
        text = json.dumps(document, ensure_ascii=ascii_only)
        assert json.loads(masked(text)) == document or "*" in masked(text)
