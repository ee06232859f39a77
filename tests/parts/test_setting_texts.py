"""Settings as a person types them and as they are stored: there and back, for every connector there is."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.bootstrap import connectors
from app.errors import UsageError
from app.ports.connector import Connector
from app.sync.options import read_erp_settings, read_site_settings
from app.sync.setting_texts import retyped, texts
from tests.domain.profile import REPEATABLE

_WORDS = [
    "",
    " ",
    ",",
    "a,b",
    " Store credit , Guthaben",
    "true",
    "off",
    "0",
    "3",
    "7.25",
    "1e-3",
    "USD",
    "5 * * * *",
    "x",
]
_PARTICULAR = {
    "statuses": ["wc-processing", "processing,on-hold", "wc-wc-odd", " WC-Wc-Wc-odd,processing,processing"],
    "ack_status": ["wc-wc-done", "completed"],
    "mark_key": ["exported_by_us"],
    "tax.mode": ["erp", "line"],
    "batch": ["off", "auto"],
    "tax.non_taxed_code": [" ", " notax "],
    "country.GB": ["uk"],
    "country.AT": [" a "],
    "windows": [" sun 22:00 120 Europe/Berlin;MON 3:5 10 ;; tuesday 00:00 8639 Asia/Kathmandu"],
    "min_order_date": ["2026-11-01", "2026-11-01T10:00:00+02:00", " "],
    "schedule": ["*/7 3 1-5 * mon", "0  0 * * 0"],
    "items_schedule": ["1 2 3 4 *"],
    "total_tolerance": ["1E+2", " 5.50 ", "0.010"],
    "t_late": ["1200", "0.5", "1e3"],
    "overlap": ["300", "0.1", "300.0"],
    "default_customer": [" WEB-CASH "],
    "create_customers": ["yes", "No"],
    "max_orders_per_run": ["100000"],
    "decimals": ["4"],
    "calls_at_once": ["3"],
    "calls_per_minute": ["600", "0"],
    "calls_per_5_minutes": ["3000"],
}  # fmt: skip
_NAMES = sorted(
    {*_PARTICULAR, "account.fee", "scope", "company_currency", "pay_later_methods", "take_marked"}
)
_TEXTS = [*_WORDS, *(text for each in _PARTICULAR.values() for text in each)]


def read(connector: Connector, given_texts: Mapping[str, str]) -> dict[str, Any]:
    if connector.port == "erp":
        found = read_erp_settings(given_texts, platform=connector.read_settings, late=connector.late)
    else:
        found = read_site_settings(given_texts, platform=connector.read_settings)
    stored: dict[str, Any] = json.loads(json.dumps(found))
    return stored


def typed(connector: Connector, stored: Mapping[str, Any]) -> dict[str, str]:
    return texts(stored, defaults=read(connector, {}), platform=connector.setting_text)


EVERY = pytest.mark.parametrize("platform", sorted(connectors()))


def readable(connector: Connector, wanted: Mapping[str, str]) -> dict[str, str]:
    """Those of these texts that the connector takes, each by itself."""
    found = {}
    for name, text in wanted.items():
        try:
            read(connector, {name: text})
        except UsageError:
            continue
        found[name] = text
    return found


@EVERY
@example(wanted={name: each[0] for name, each in _PARTICULAR.items()})
@example(wanted={name: each[-1] for name, each in _PARTICULAR.items()})
@given(wanted=st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_TEXTS) | st.text(max_size=8)))
@REPEATABLE
def test_what_is_stored_is_typed_so_that_it_is_read_as_what_is_stored(
    platform: str, wanted: dict[str, str]
) -> None:
    connector = connectors()[platform]
    stored = read(connector, readable(connector, wanted))
    assert read(connector, typed(connector, stored)) == stored


@EVERY
def test_each_text_that_is_tried_means_something_to_its_connector(platform: str) -> None:
    """So that the property above is not about nothing."""
    connector = connectors()[platform]
    first = {name: each[0] for name, each in _PARTICULAR.items()}
    own = {name for name in first if name in read(connector, {})}
    assert own <= set(readable(connector, first))


@EVERY
def test_one_setting_is_changed_and_the_others_are_kept(platform: str) -> None:
    connector = connectors()[platform]
    defaults = read(connector, {})
    wanted = readable(connector, {name: each[0] for name, each in _PARTICULAR.items()})
    stored = read(connector, wanted)
    for name in wanted:
        back = read(
            connector, retyped(stored, {name: ""}, defaults=defaults, platform=connector.setting_text)
        )
        others = {key: value for key, value in stored.items() if key != name}
        assert {key: value for key, value in back.items() if key != name} == others
        if name in defaults and name != "create_customers":
            assert back[name] == defaults[name]
        else:
            assert back.get(name) != stored[name]


def test_nothing_at_all_is_typed_as_a_comma_or_a_blank_where_the_default_is_something() -> None:
    woo, central = connectors()["woocommerce"], connectors()["business_central"]
    stored = read(woo, {"pay_later_methods": "", "ack_status": ""})
    assert (typed(woo, stored)["pay_later_methods"], typed(woo, stored)["ack_status"]) == (",", "")
    assert typed(central, read(central, {"tax.non_taxed_code": ""}))["tax.non_taxed_code"] == " "


def test_create_customers_is_set_back_to_what_follows_from_the_default_customer() -> None:
    central = connectors()["business_central"]
    stored = read(central, {"default_customer": "WEB", "create_customers": "true"})
    changed = retyped(
        stored, {"create_customers": ""}, defaults=read(central, {}), platform=central.setting_text
    )
    assert read(central, changed)["create_customers"] is False


@pytest.mark.parametrize("key", ["no.such", "country.GB"])
def test_a_setting_that_is_not_there_cannot_be_set_back(key: str) -> None:
    central = connectors()["business_central"]
    stored = read(central, {})
    with pytest.raises(UsageError, match=rf"There is no setting {key} to be set back; there are: account\."):
        retyped(stored, {key: ""}, defaults=stored, platform=central.setting_text)


def test_the_rows_of_the_first_version_are_read_as_they_were_stored() -> None:
    """As `0001.sql` has them: every setting filled in, typed, in JSON."""
    woo = connectors()["woocommerce"]
    row = {
        "statuses": ["processing"], "mark_key": "sumatra_wc_integrator_exported", "ack_status": "",
        "gift_card_by_difference": False, "pay_later_methods": ["cod"],
        "store_credit_fee_names": ["Store credit"], "fractional_quantities": False, "decimals": 2,
        "schedule": "30 * * * *", "max_orders_per_run": 100, "min_order_date": "2026-01-01T00:00:00+00:00",
        "skip_test_orders": True, "take_marked": False, "overlap": 300.0,
    }  # fmt: skip
    assert typed(woo, row) == {
        "statuses": "processing", "mark_key": "sumatra_wc_integrator_exported", "ack_status": "",
        "gift_card_by_difference": "false", "pay_later_methods": "cod",
        "store_credit_fee_names": "Store credit", "fractional_quantities": "false", "decimals": "2",
        "schedule": "30 * * * *", "max_orders_per_run": "100", "min_order_date": "2026-01-01T00:00:00+00:00",
        "skip_test_orders": "true", "take_marked": "false", "overlap": "300",
    }  # fmt: skip
    # What later versions added has its default.
    added = {
        "reconcile_schedule": "30 2 * * *",
        "reconcile_days": 14,
        "reconcile_heals": True,
        "fresh_minutes": None,
        "hold_hours": 48,
        "calls_at_once": 4,
        "calls_per_minute": 0,
    }
    assert read(woo, typed(woo, row)) == {**row, **added}
