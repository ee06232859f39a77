"""Their words: the parts of a WooCommerce order that are used, and what each must be. Unknown fields are left out."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Regexp

from app.errors import Reject
from app.transport import parse_json

_GMT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)
_MONEY = re.compile(r"-?\d{1,15}(\.\d{1,10})?", re.ASCII)
_LARGEST = Decimal(10) ** 15
_UNSTORABLE = re.compile("[\0\ud800-\udfff]|\\\\u(?:0000|[dD][89abAB])")
"""What may stand for a character that no database column takes, in a body as text: itself, or escaped."""
_MISSING: dict[str, Any] = {"required": "is missing", "null": "is null"}


def gmt(text: Any) -> datetime:
    """A `date_*_gmt` of theirs, which has no zone letter, as aware UTC. Raises `ValueError`.

    The fields without `_gmt` are the shop's local time, which is ambiguous for an hour each autumn and is shown anew when
    the shop changes its timezone; they are never read.
    """
    match = _GMT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a date of the form 2026-11-20T18:22:44")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def money(value: Any) -> Decimal:
    """An amount, which they write as a string. Raises `ValueError`."""
    if isinstance(value, str) and _MONEY.fullmatch(value):
        return Decimal(value)
    return number(value)


def number(value: Any) -> Decimal:
    """A JSON number of a size that an order can hold. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not -_LARGEST < value < _LARGEST:
        raise ValueError("not a number")
    return Decimal(value)


def identifier(value: Any) -> int:
    """One of their ids: a whole number, 0 for none. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not an id")
    return value


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


def _date(*, allow_none: bool = False) -> _Parsed:
    return _Parsed(gmt, "is no date of the form 2026-11-20T18:22:44", required=True, allow_none=allow_none)


def _id() -> _Parsed:
    return _Parsed(identifier, "is no id", required=True)


def _money() -> _Parsed:
    return _Parsed(money, "is no amount", required=True)


def _text() -> fields.String:
    return fields.String(required=True, error_messages={**_MISSING, "invalid": "is no text"})


def _optional_text() -> fields.String:
    return fields.String(load_default="", allow_none=True, error_messages={"invalid": "is no text"})


def _list(schema: type[Schema]) -> fields.List[Any]:
    nested = fields.Nested(schema, error_messages={"null": "is null"})
    return fields.List(nested, required=True, error_messages={**_MISSING, "invalid": "is no list"})


def _anything() -> fields.List[Any]:
    return fields.List(
        fields.Raw(allow_none=True), required=True, error_messages={**_MISSING, "invalid": "is no list"}
    )


class _Part(Schema):
    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "is no object"}  # noqa: RUF012 - marshmallow's own way to name them


class _Address(_Part):
    first_name = _optional_text()
    last_name = _optional_text()
    company = _optional_text()
    address_1 = _optional_text()
    address_2 = _optional_text()
    city = _optional_text()
    state = _optional_text()
    postcode = _optional_text()
    country = _optional_text()
    email = _optional_text()
    phone = _optional_text()


class _ProductLine(_Part):
    id = _id()
    name = _text()
    # Null when the product was deleted or the line typed by hand, "" when the product has none: two different answers.
    sku = fields.String(required=True, allow_none=True, error_messages={**_MISSING, "invalid": "is no text"})
    quantity = _Parsed(number, "is no number", required=True)
    subtotal = _money()
    total = _money()
    total_tax = _money()
    # A float of theirs, not fit for money; only compared with total / quantity.
    price = fields.Raw(load_default=None)


class _ShippingLine(_Part):
    id = _id()
    method_title = _optional_text()
    method_id = _optional_text()
    total = _money()
    total_tax = _money()


class _FeeLine(_Part):
    id = _id()
    name = _optional_text()
    total = _money()
    total_tax = _money()


class _CouponLine(_Part):
    id = _id()
    code = _text()
    discount = _money()
    discount_type = _optional_text()


class _TaxLine(_Part):
    label = _optional_text()
    rate_code = _optional_text()
    rate_percent = fields.Raw(load_default=None)


class _Order(_Part):
    id = _id()
    # Plugins change it, so it is not the id; without it the order has no name anywhere else.
    number = fields.String(
        required=True,
        validate=Regexp(r"\s*\S", error="is empty"),
        error_messages={**_MISSING, "invalid": "is no text"},
    )
    status = _text()
    currency = _text()
    prices_include_tax = fields.Boolean(
        required=True,
        truthy={True},
        falsy={False},
        error_messages={**_MISSING, "invalid": "is neither true nor false"},
    )
    date_created_gmt = _date()
    # Not used here, but reading goes by it: an order without it would never be noticed again.
    date_modified_gmt = _date()
    date_paid_gmt = _date(allow_none=True)
    total = _money()
    total_tax = _money()
    customer_id = _Parsed(identifier, "is no id", load_default=0)
    customer_note = _optional_text()
    payment_method = _text()
    payment_method_title = _optional_text()
    transaction_id = _optional_text()
    billing = fields.Nested(_Address, required=True, error_messages=_MISSING)
    shipping = fields.Nested(_Address, required=True, error_messages=_MISSING)
    line_items = _list(_ProductLine)
    shipping_lines = _list(_ShippingLine)
    fee_lines = _list(_FeeLine)
    coupon_lines = _list(_CouponLine)
    tax_lines = _list(_TaxLine)
    refunds = _anything()
    meta_data = _anything()


_ORDER = _Order()


def load_order(body: str) -> dict[str, Any]:
    """The parts of the order in `body` that are used, typed. Raises `Reject` with every fault, each with its JSON pointer."""
    try:
        given = parse_json(body)
    except ValueError as error:
        raise Reject(f"The order's body is not JSON ({error}).") from None
    if not isinstance(given, dict):
        raise Reject("The order's body is not a JSON object.", field="")
    try:
        loaded: dict[str, Any] = _ORDER.load(_storable(given) if _UNSTORABLE.search(body) else given)
    except ValidationError as error:
        faults = list(_flat(error.messages_dict, ""))
        raise Reject(" ".join(f"{pointer} {text}." for pointer, text in faults), field=faults[0][0]) from None
    return {**loaded, "created_raw": given["date_created_gmt"]}


def _storable(value: Any) -> Any:
    """The value without what no database column takes: the character NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return value


def _flat(messages: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, pointer if key == "_schema" else f"{pointer}/{key}")
    else:
        yield from ((pointer, str(text)) for text in messages)
