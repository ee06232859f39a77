"""Their words: the parts of a BigCommerce order that are used, and what each must be. Unknown fields are left out.

Nothing is validated beyond that: live answers carry fields that no documentation knows (contract, section 5).
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from app.connectors.bigcommerce import consignments
from app.connectors.bigcommerce.groups import stands_for
from app.connectors.bigcommerce.values import (
    identifier,
    is_unstorable,
    moment,
    money,
    storable,
    text_or_number,
)
from app.errors import Reject
from app.transport import parse_json

_MISSING: dict[str, Any] = {"required": "is missing", "null": "is null"}


class _Parsed(fields.Field[Any]):
    """A field read by a function that raises `ValueError` for what it does not take."""

    def __init__(self, parse: Callable[[Any], Any], complaint: str, **kwargs: Any) -> None:
        super().__init__(error_messages={**_MISSING, "invalid": complaint}, **kwargs)
        self._parse = parse

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        del attr, data, kwargs
        try:
            return self._parse(value)
        except ValueError:
            raise self.make_error("invalid") from None


class _OrZero(_Parsed):
    """An amount that may be missing or null, which is then none."""

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The value, 0 where there is none."""
        return Decimal(0) if value is None else super().deserialize(value, attr, data, **kwargs)


def _date() -> _Parsed:
    return _Parsed(moment, "is no date of the form Tue, 05 Mar 2019 21:40:11 +0000", required=True)


def _id() -> _Parsed:
    return _Parsed(identifier, "is no id", required=True)


def _optional_id() -> _Parsed:
    return _Parsed(identifier, "is no id", load_default=0, allow_none=True)


def _money() -> _Parsed:
    return _Parsed(money, "is no amount", required=True)


def _optional_money() -> _Parsed:
    return _OrZero(money, "is no amount", load_default=Decimal(0))


def _optional_text() -> fields.String:
    return fields.String(load_default="", allow_none=True, error_messages={"invalid": "is no text"})


def _loose_text() -> _Parsed:
    return _Parsed(text_or_number, "is no text", load_default="", allow_none=True)


def _loose_list() -> fields.Raw:
    return fields.Raw(load_default=None, allow_none=True)


class _Part(Schema):
    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "is no object"}  # noqa: RUF012 - marshmallow's own way to name them


class _Address(_Part):
    id = _optional_id()
    cost_ex_tax = _optional_money()
    handling_cost_ex_tax = _optional_money()
    first_name = _optional_text()
    last_name = _optional_text()
    company = _optional_text()
    street_1 = _optional_text()
    street_2 = _optional_text()
    city = _optional_text()
    state = _optional_text()
    zip = _loose_text()
    country = _optional_text()
    country_iso2 = _optional_text()
    phone = _loose_text()
    email = _optional_text()
    form_fields = _loose_list()
    shipping_method = _optional_text()


class _Line(_Part):
    id = _id()
    product_id = _optional_id()
    name = _optional_text()
    sku = _optional_text()
    type = _optional_text()
    # In text where it was a fraction (1.0) in a part read apart.
    quantity = _Parsed(money, "is no number", required=True)
    total_ex_tax = _money()
    total_inc_tax = _money()
    total_tax = _money()
    is_refunded = fields.Raw(load_default=False)
    quantity_refunded = _optional_money()
    parent_order_product_id = _optional_id()
    order_address_id = _optional_id()
    applied_discounts = _loose_list()
    discounted_total_inc_tax = _Parsed(money, "is no amount", load_default=None, allow_none=True)
    product_options = _loose_list()
    configurable_fields = _loose_list()
    wrapping_message = _optional_text()


class _Fee(_Part):
    id = _optional_id()
    type = _optional_text()
    display_name_merchant = _optional_text()
    display_name_customer = _optional_text()
    cost_ex_tax = _Parsed(money, "is no amount", load_default=None)
    cost_exc_tax = _Parsed(
        money, "is no amount", load_default=None
    )  # Their own documentation spells it both ways.
    cost_inc_tax = _money()
    cost_tax = _optional_money()


class _Order(_Part):
    id = _id()
    status_id = _id()
    date_created = _date()
    # Not used here, but reading goes by it: an order without it would never be noticed again.
    date_modified = _date()
    is_tax_inclusive_pricing = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        error_messages={"invalid": "is neither true nor false"},
    )
    default_currency_code = _optional_text()
    currency_code = _optional_text()
    customer_id = _optional_id()
    subtotal_ex_tax = _money()
    subtotal_inc_tax = _money()
    shipping_cost_ex_tax = _money()
    shipping_cost_inc_tax = _money()
    shipping_cost_tax = _optional_money()
    handling_cost_ex_tax = _optional_money()
    handling_cost_inc_tax = _optional_money()
    handling_cost_tax = _optional_money()
    wrapping_cost_ex_tax = _optional_money()
    wrapping_cost_inc_tax = _optional_money()
    wrapping_cost_tax = _optional_money()
    total_inc_tax = _money()
    total_tax = _money()
    discount_amount = _optional_money()
    coupon_discount = _optional_money()
    store_credit_amount = _optional_money()
    gift_certificate_amount = _optional_money()
    refunded_amount = _optional_money()
    payment_method = _optional_text()
    payment_provider_id = _loose_text()
    payment_status = _optional_text()
    order_is_digital = fields.Raw(load_default=False)
    shipping_address_count = fields.Raw(load_default=0)
    staff_notes = _optional_text()
    customer_message = _optional_text()
    external_order_id = _loose_text()
    external_id = _loose_text()
    external_source = _loose_text()
    order_source = _optional_text()
    channel_id = _optional_id()
    ebay_order_id = _loose_text()
    billing_address = fields.Nested(_Address, required=True, error_messages=_MISSING)


_ORDER, _LINE, _FEE, _ADDRESS = _Order(), _Line(), _Fee(), _Address()


def load_order(body: str) -> dict[str, Any]:
    """The parts of the order in `body` that are used, typed. Raises `Reject` with every fault, each with its JSON pointer.

    To the order's own fields come `lines`, `addresses`, `unused_addresses`, `pickups` and `fees`, whose elements have a
    `pointer`, and `coupons` and `transactions`, which are None where they were not read.
    """
    try:
        given = parse_json(body)
    except ValueError as error:
        raise Reject(f"The order's body is not JSON ({error}).") from None
    if not isinstance(given, dict):
        raise Reject("The order's body is not a JSON object.", field="")
    if is_unstorable(body):
        given = storable(given)
    faults: list[tuple[str, str]] = []
    order = _loaded(_ORDER, "", given, faults)
    shown = [_loaded(_ADDRESS, *placed, faults) for placed in consignments.shown_addresses(given)]
    used = {pointer for pointer, _ in consignments.addresses(given)}
    found = {
        "lines": [_loaded(_LINE, *placed, faults) for placed in consignments.lines(given)],
        "addresses": [placed for placed in shown if placed.get("pointer") in used],
        "unused_addresses": [placed for placed in shown if placed.get("pointer") not in used],
        "pickups": [group for _, group in consignments.pickups(given)],
        "fees": [_loaded(_FEE, *placed, faults) for placed in consignments.fees(given)],
        "coupons": consignments.part(given, "coupons"),
        "transactions": consignments.part(given, "transactions"),
        "group": stands_for(given),
    }
    if faults:
        raise Reject(" ".join(f"{pointer} {text}." for pointer, text in faults), field=faults[0][0])
    return {**order, **found, "created_raw": given["date_created"]}


def _loaded(
    schema: Schema, pointer: str, given: dict[str, Any], faults: list[tuple[str, str]]
) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        faults += _flat(error.messages_dict, pointer)
        return {}
    return {**loaded, "pointer": pointer}


def _flat(messages: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, pointer if key == "_schema" else f"{pointer}/{key}")
    else:
        yield from ((pointer, str(text)) for text in messages)
