"""The settings of a BigCommerce store, as people type them and as they are stored."""

import json

import pytest

from app.connectors.bigcommerce import CONNECTOR
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.statuses import SYSTEM_NAMES, choose, resolve, status_text
from app.errors import Misconfigured, Retry, UsageError

LISTED = [
    {"id": number, "name": name, "system_label": name, "custom_label": name}
    for number, name in SYSTEM_NAMES.items()
]


def test_nothing_typed_gives_the_defaults() -> None:
    values = CONNECTOR.read_settings({})
    assert Settings.stored(json.loads(json.dumps(values))) == Settings()
    assert values["statuses"] == ["11"]
    assert values["ack_status"] == "9"


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"statuses": "11, 7 ,11", "ack_status": "8"},
        {"statuses": "Ready to pack", "ack_status": "Packed", "note_text": "Taken over by ERP"},
        {
            "pay_later_methods": "Invoice,Cash on Delivery",
            "transactions": "always",
            "tender": "inside",
            "several_addresses": "split",
        },
        {
            "watch_acknowledged": "true",
            "fees_in_total": "no",
            "take_test_payments": "true",
            "parallel": "2",
            "quota_reserve": "0",
        },
    ],
)
def test_what_is_stored_can_be_typed_again(typed: dict[str, str]) -> None:
    values = CONNECTOR.read_settings(typed)
    assert (
        CONNECTOR.read_settings({key: CONNECTOR.setting_text(key, value) for key, value in values.items()})
        == values
    )


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("statuses", "", "At least one status"),
        ("statuses", "15", "no order status 15"),
        ("ack_status", " ", "A status is needed"),
        ("note_text", "a [b", "without ["),
        ("note_text", "a\nb", "One line"),
        ("transactions", "sometimes", "when_needed, always, never"),
        ("tender", "x", "auto, outside, inside"),
        ("several_addresses", "merge", "reject, split"),
        ("parallel", "0", "parallel"),
        ("colour", "red", "no setting colour"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_would_be_right(key: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        CONNECTOR.read_settings({key: text})
    assert words in refused.value.reason


def test_a_status_is_written_by_its_system_name_whatever_the_merchant_calls_it() -> None:
    assert (status_text(0), status_text(11), status_text(42), status_text(None)) == (
        "Incomplete (0)",
        "Awaiting Fulfillment (11)",
        "Status (42)",
        "",
    )


def test_a_label_names_the_one_status_that_has_it() -> None:
    rows = [{**row, "custom_label": "Ready"} if row["id"] == 11 else row for row in LISTED]
    assert resolve(" ready ", listed=rows, setting="statuses") == 11
    assert resolve("incomplete", listed=rows, setting="statuses") == 0
    assert resolve("11", listed=rows, setting="statuses") == 11


def test_a_label_that_two_statuses_have_is_refused() -> None:
    rows = [{**row, "custom_label": "Packing"} if row["id"] in {9, 11} else row for row in LISTED]
    with pytest.raises(Misconfigured) as refused:
        resolve("Packing", listed=rows, setting="statuses")
    assert refused.value.mend == ("set statuses",)
    assert "Awaiting Shipment (9), Awaiting Fulfillment (11)" in refused.value.reason


@pytest.mark.parametrize("word", ["Awaiting Processing", "99"])
def test_a_status_that_the_store_does_not_have_is_refused(word: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        resolve(word, listed=LISTED, setting="ack_status")
    assert refused.value.mend == ("set ack_status",)


@pytest.mark.parametrize("listed", [None, LISTED])
def test_an_order_that_was_taken_over_must_leave_the_statuses_that_are_read(
    listed: list[object] | None,
) -> None:
    with pytest.raises(Misconfigured) as refused:
        choose(statuses=["11", "9"], ack_status="9", listed=listed)
    assert refused.value.mend == ("set ack_status", "set statuses")


def test_an_empty_list_of_statuses_is_not_believed() -> None:
    with pytest.raises(Retry):
        resolve("11", listed=[], setting="statuses")
