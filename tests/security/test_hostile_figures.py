"""Numbers and texts that no honest peer sends, at every place of an answer: a named failure or an order, soon, and nothing else."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.bigcommerce import figures as bigcommerce_figures
from app.connectors.bigcommerce.mapping import normalize as normalize_bigcommerce
from app.connectors.bigcommerce.settings import Settings as BigCommerce
from app.connectors.business_central import mapping as business_central
from app.connectors.woocommerce import figures as woocommerce_figures
from app.connectors.woocommerce.mapping import normalize as normalize_woocommerce
from app.connectors.woocommerce.settings import Settings as WooCommerce
from app.connectors.woocommerce.sighting import seen
from app.errors import OrderSyncError
from app.transport import parse_json
from tests.connectors.bigcommerce_orders import body as bigcommerce_body

RECORDED = Path(__file__).parents[1] / "payloads" / "woocommerce" / "orders"
HOSTILE = (
    *("1e999999999", "-1e999999999", "1e-999999999", "1e400", "9" * 4000, "0." + "1" * 20_000, "-1", "0"),
    *(
        '"1e999999999"',
        '"NaN"',
        '"sNaN"',
        '"-Infinity"',
        '"٣"',
        '"0x10"',
        '"1_000"',
        '"' + "9" * 20_000 + '"',
    ),
    *("null", "true", "[]", "{}", '""', '"\\u0000"', '"\\ud800"', '"99999-01-01T00:00:00"', "253402300800"),
)
_MARK = "here"
_SECONDS = 2.0
ROW = {
    "id": "1",
    "number": "S-1",
    "externalDocumentNumber": "BGM-1",
    "customerNumber": "C",
    "totalAmountIncludingTax": 19.99,
    "currencyCode": "USD",
    "orderNumber": "",
    "displayName": "x",
    "blocked": "",
    "email": "",
    "type": "Inventory",
    "lastModifiedDateTime": "2026-01-01T00:00:00Z",
}


def woocommerce_body() -> Any:
    return json.loads((RECORDED / "storefront_coupon.json").read_text(encoding="utf-8"))


def places(value: Any, *at: str | int) -> Iterator[tuple[str | int, ...]]:
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, *at, name)
    elif isinstance(value, list):
        for number, inner in enumerate(value[:1]):
            yield from places(inner, *at, number)


def spoilt(value: Any) -> Iterator[str]:
    """The JSON texts with one value of `value` replaced by a hostile one."""
    for *way, last in filter(None, places(value)):
        changed = copy.deepcopy(value)
        inner = changed
        for step in way:
            inner = inner[step]
        inner[last] = _MARK
        before, _, after = json.dumps(changed).partition(f'"{_MARK}"')
        yield from (f"{before}{each}{after}" for each in HOSTILE)


def _documents(text: str) -> object:
    row = parse_json(text)
    return business_central.documents([("salesInvoices", row), ("salesInvoices", row)])


def _seen(text: str) -> object:
    return seen(platform_order_id="1", body=text, given=parse_json(text), settings=WooCommerce())


READERS: dict[str, tuple[Callable[[], Any], Callable[[str], object]]] = {
    "an order of WooCommerce": (
        woocommerce_body,
        lambda text: normalize_woocommerce(text, prefix="BGM", settings=WooCommerce()),
    ),
    "an order of WooCommerce in a list": (woocommerce_body, _seen),
    "the worth of an order of WooCommerce": (woocommerce_body, woocommerce_figures.worth),
    "an order of BigCommerce": (
        lambda: json.loads(bigcommerce_body()),
        lambda text: normalize_bigcommerce(text, prefix="BGM", settings=BigCommerce()),
    ),
    "the worth of an order of BigCommerce": (
        lambda: json.loads(bigcommerce_body()),
        bigcommerce_figures.worth,
    ),
    "documents of Business Central": (lambda: ROW, _documents),
    "an item of Business Central": (lambda: ROW, lambda text: business_central.item(parse_json(text))),
    "a customer of Business Central": (lambda: ROW, lambda text: business_central.customer(parse_json(text))),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_stands_in_an_answer_is_read_or_refused_by_name_and_soon(reader: str) -> None:
    made, read = READERS[reader]
    tried = 0
    for text in spoilt(made()):
        started = time.monotonic()
        try:
            read(text)
        except OrderSyncError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever else it is, it is what this test looks for.
            pytest.fail(f"{type(error).__name__}: {error} for {text[:2000]}")
        tried += 1
        assert time.monotonic() - started < _SECONDS, text[:2000]
    assert tried > 200


@pytest.mark.parametrize(
    ("_case", "text"),
    [
        ("a number of a million digits", "1" * 1_000_000),
        ("an exponent beyond every number", "1e9999999999999999999999"),
        ("no number", "NaN"),
        ("an infinite number", "[-Infinity]"),
        ("lists in lists", "[" * 1_000_000),
        ("objects in objects", '{"a":' * 1_000_000),
        ("a text without an end", '"' + "a" * 1_000_000),
    ],
)
def test_json_that_is_made_to_exhaust_its_reader_is_refused_soon(_case: str, text: str) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError):
        parse_json(text)
    assert time.monotonic() - started < _SECONDS


def test_of_a_name_that_stands_twice_the_last_one_counts_everywhere() -> None:
    """What is checked and what is used are one reading: nothing is read a second time by another rule."""
    assert parse_json('{"total": "1.00", "total": "2.00"}') == {"total": "2.00"}
