"""What can be set for one BigCommerce store: the words a person types, and the typed values the connector works with."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import marshmallow
from marshmallow.validate import OneOf, Range

from app.connectors.bigcommerce.statuses import SYSTEM_NAMES, number_of
from app.errors import UsageError
from app.ports.connector import plain_text
from app.ports.limiters import Ceilings

_LONGEST_NOTE = 100
_WINDOW = 30.0
"""Seconds of the store's window; before its first answer, requests are shown as of that span."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one store. `statuses` and `ack_status` are ids as text, or labels that the store has exactly once."""

    statuses: tuple[str, ...] = ("11",)
    ack_status: str = "9"
    note_text: str = "Exported to middleware"
    watch_acknowledged: bool = False
    transactions: str = "when_needed"
    tender: str = "auto"
    fees_in_total: str = "auto"
    pay_later_methods: tuple[str, ...] = ("Cash on Delivery", "Check", "Money Order", "Bank Deposit")
    several_addresses: str = "reject"
    take_test_payments: bool = False
    parallel: int = 4
    calls_at_once: int = 8
    quota_reserve: int = 20

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """The settings as `read_settings` made them, also after a journey through JSON; what is absent has its default."""
        given: dict[str, Any] = {}
        for each in fields(cls):
            if each.name in values:
                value = values[each.name]
                given[each.name] = tuple(value) if isinstance(value, list) else value
        return cls(**given)

    @property
    def ceilings(self) -> Ceilings:
        """What the store takes; how many requests of a window, its answers tell (contract, section 10)."""
        return Ceilings(at_once=self.calls_at_once, window=_WINDOW, reserve=self.quota_reserve)

    def is_paid_later(self, method: str) -> bool:
        """Whether the site says that orders of this payment method need no payment yet; letters' case does not count."""
        return method.strip().casefold() in {each.casefold() for each in self.pay_later_methods}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _status(text: str) -> str:
    word = text.strip()
    number = number_of(word)
    if number is None:
        return word
    if number not in SYSTEM_NAMES:
        raise marshmallow.ValidationError(
            f"There is no order status {number}; they go from 0 to {max(SYSTEM_NAMES)}, for example 11 (Awaiting Fulfillment)."
        )
    return str(number)


def _statuses(text: str) -> list[str]:
    found = list(dict.fromkeys(_status(part) for part in _split(text)))
    if not found:
        raise marshmallow.ValidationError("At least one status is needed; write for example 11.")
    return found


def _ack_status(text: str) -> str:
    if not text.strip():
        raise marshmallow.ValidationError("A status is needed; write for example 9 (Awaiting Shipment).")
    return _status(text)


def _note_text(text: str) -> str:
    note = text.strip()
    if not note or len(note) > _LONGEST_NOTE or any(not each.isprintable() for each in note) or "[" in note:
        raise marshmallow.ValidationError(
            f"One line of at most {_LONGEST_NOTE} characters without [ is needed; write for example Exported to middleware."
        )
    return note


class _Words(marshmallow.fields.Field[Any]):
    """A text read by a function that raises `ValidationError` for what it does not take."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        super().__init__()
        self._parse = parse

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        del attr, data, kwargs
        return self._parse(value)


def _choice(*words: str) -> marshmallow.fields.String:
    return marshmallow.fields.String(validate=OneOf(words, error=f"Use one of {', '.join(words)}."))


class _SettingsSchema(marshmallow.Schema):
    statuses = _Words(_statuses)
    ack_status = _Words(_ack_status)
    note_text = _Words(_note_text)
    watch_acknowledged = marshmallow.fields.Boolean()
    transactions = _choice("when_needed", "always", "never")
    tender = _choice("auto", "outside", "inside")
    fees_in_total = _choice("auto", "yes", "no")
    pay_later_methods = _Words(_split)
    several_addresses = _choice("reject", "split")
    take_test_payments = marshmallow.fields.Boolean()
    parallel = marshmallow.fields.Integer(validate=Range(min=1, max=16))
    calls_at_once = marshmallow.fields.Integer(validate=Range(min=1, max=64))
    quota_reserve = marshmallow.fields.Integer(validate=Range(min=0, max=10_000))


_SCHEMA = _SettingsSchema()


def read_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """The typed settings, defaults filled in. Raises `UsageError` naming the key, what is wrong and what would be right."""
    unknown = sorted(set(given) - set(_SCHEMA.fields))
    if unknown:
        raise UsageError(
            f"BigCommerce has no setting {', '.join(unknown)}; there are {', '.join(_SCHEMA.fields)}."
        )
    try:
        values = _SCHEMA.load(dict(given))
    except marshmallow.ValidationError as error:
        problems = dict(error.messages_dict)
        raise UsageError(" ".join(f"{key}: {' '.join(problems[key])}" for key in sorted(problems))) from None
    filled = {
        key: list(value) if isinstance(value, tuple) else value for key, value in asdict(Settings()).items()
    }
    return {**filled, **values}


def setting_text(key: str, value: Any) -> str:
    """A stored setting as a person would type it: what `read_settings` reads as this value."""
    return plain_text(key, value)
