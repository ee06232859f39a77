"""JSON in and out: types are checked, money stays Decimal, numbers are numbers (contract section 7)."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.sandbox.erp.errors import Refusal, bad_request, too_long
from app.sandbox.erp.schema import Entity, Kind, Property

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_guid(text: str) -> bool:
    """Whether the text is a GUID in its usual form."""
    return _GUID.fullmatch(text) is not None


def round_half_away(amount: Decimal, precision: Decimal) -> Decimal:
    """AL's rounding: half away from zero, to a multiple of `precision` (section 7)."""
    return (amount / precision).quantize(Decimal(1), rounding=ROUND_HALF_UP) * precision


def parse_datetime(text: str) -> datetime:
    """An OData date-time; one without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_datetime(moment: datetime) -> str:
    """UTC with `Z`, and no zeros at the end of the fraction."""
    text = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}".rstrip("0").rstrip(".")
    if len(text) < 8:
        text = f"{moment:%H:%M:%S}"
    return f"{moment.year:04d}-{moment:%m-%d}T{text}Z"


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return format_datetime(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def dump(body: Any) -> bytes:
    """The body as JSON bytes, Decimals as numbers."""
    return json.dumps(body, default=_as_json, ensure_ascii=False, separators=(",", ":")).encode()


def load(body: bytes) -> Any:
    """A JSON body with its fractions as Decimal; anything else is refused."""
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"Invalid Request Body: {error}") from error


def _mismatch(prop: Property, value: Any, edm: str) -> Refusal:
    return bad_request(
        f"Cannot convert the value '{value}' of the property '{prop.name}' to the expected type '{edm}'."
    )


def _text_value(prop: Property, value: Any) -> str:
    if not isinstance(value, str):
        raise _mismatch(prop, value, "Edm.String")
    # Code fields are upper-case and without blanks at either end, whatever is written into them.
    text = value.strip().upper() if prop.kind == "code" else value
    if prop.limit and len(text) > prop.limit:
        raise too_long(text, prop.limit)
    return text


def _date_value(prop: Property, value: Any) -> str:
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise _mismatch(prop, value, "Edm.Date")


def _number_value(prop: Property, value: Any) -> Decimal | int:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise _mismatch(prop, value, "Edm.Decimal" if prop.kind == "decimal" else "Edm.Int32")
    if prop.kind == "decimal":
        return Decimal(value)
    if value != int(value):
        raise _mismatch(prop, value, "Edm.Int32")
    return int(value)


def _boolean_value(prop: Property, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(prop, value, "Edm.Boolean")
    return value


def _guid_value(prop: Property, value: Any) -> str:
    if not isinstance(value, str) or not is_guid(value):
        raise _mismatch(prop, value, "Edm.Guid")
    return value.lower()


def _datetime_value(prop: Property, value: Any) -> datetime:
    try:
        return parse_datetime(value)
    except (TypeError, ValueError) as error:
        raise _mismatch(prop, value, "Edm.DateTimeOffset") from error


def _enum_value(prop: Property, value: Any) -> str:
    if not isinstance(value, str) or value not in prop.spellings:
        raise bad_request(f"The string '{value}' is not valid for enumeration '{prop.name}'.")
    return prop.spellings[value]


_READERS: Mapping[Kind, Callable[[Property, Any], Any]] = {
    "text": _text_value,
    "code": _text_value,
    "decimal": _number_value,
    "integer": _number_value,
    "boolean": _boolean_value,
    "guid": _guid_value,
    "date": _date_value,
    "datetime": _datetime_value,
    "enum": _enum_value,
}


def read_value(prop: Property, value: Any) -> Any:
    """The value as it is stored, or a refusal: wrong type, too long, not a member."""
    return _READERS[prop.kind](prop, value)


def read_properties(entity: Entity, body: Any) -> dict[str, Any]:
    """The properties of a body, in the order sent, typed; unknown names are refused, annotations skipped."""
    if not isinstance(body, dict):
        raise bad_request("Invalid Request Body: a JSON object is expected.")
    values: dict[str, Any] = {}
    for name, value in body.items():
        if "@odata." in name:
            continue
        prop = entity.properties.get(name)
        if prop is None:
            raise bad_request(
                f"The property '{name}' does not exist on type 'Microsoft.NAV.{entity.type_name}'. Make sure "
                "to only use property names that are defined by the type."
            )
        values[name] = read_value(prop, value)
    return values
