"""What can be set for one WooCommerce site: the words a person types, and the typed values the connector works with."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import marshmallow
from marshmallow.validate import Range, Regexp

from app.errors import UsageError
from app.ports.connector import plain_text
from app.ports.limiters import Ceilings

_STATUS = re.compile(r"[a-z0-9][a-z0-9_-]{0,19}", re.ASCII)
_NO_ORDERS_OF_OURS = ("any", "trash", "auto-draft", "checkout-draft")
"""Words that the API takes as a status although no order that is to be exported can stand there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one site. `decimals` is how many decimals the shop is asked to show its amounts with."""

    statuses: tuple[str, ...] = ("processing",)
    mark_key: str = "sumatra_wc_integrator_exported"
    ack_status: str = ""
    gift_card_by_difference: bool = False
    pay_later_methods: tuple[str, ...] = ("cod",)
    store_credit_fee_names: tuple[str, ...] = ("Store credit",)
    fractional_quantities: bool = False
    decimals: int = 2
    calls_at_once: int = 4
    calls_per_minute: int = 0

    @property
    def ceilings(self) -> Ceilings:
        """What the shop takes. WooCommerce limits nothing and says nothing (contract, section 2): a person has to know the host."""
        return Ceilings(at_once=self.calls_at_once, requests=self.calls_per_minute)

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """The settings as `read_settings` made them, also after a journey through JSON; what is absent has its default."""
        given: dict[str, Any] = {}
        for each in fields(cls):
            if each.name in values:
                value = values[each.name]
                given[each.name] = tuple(value) if isinstance(value, list) else value
        return cls(**given)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _status(text: str) -> str:
    # The API wants the name without the "wc-" it has in the database, and answers 400 to the other. Only one such prefix is
    # taken off: what is left is the name, whatever it begins with.
    name = text.strip().lower().removeprefix("wc-")
    if not _STATUS.fullmatch(name):
        raise marshmallow.ValidationError(f"{text!r} is no order status; write for example processing.")
    if name in _NO_ORDERS_OF_OURS:
        raise marshmallow.ValidationError(
            f"{name} is not a status orders can be taken from or set to; write for example processing."
        )
    return name


def _statuses(text: str) -> list[str]:
    found = list(dict.fromkeys(_status(part) for part in _split(text)))
    if not found:
        raise marshmallow.ValidationError(
            "At least one status is needed; write for example processing,on-hold."
        )
    return found


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


class _SettingsSchema(marshmallow.Schema):
    statuses = _Words(_statuses)
    # A key with a leading underscore may be one of WooCommerce's own: `_billing_email` as meta changes the billing e-mail.
    mark_key = marshmallow.fields.String(
        validate=Regexp(
            r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z", error="Use letters, digits, - and _, not beginning with _."
        )
    )
    ack_status = _Words(lambda text: _status(text) if text.strip() else "")
    gift_card_by_difference = marshmallow.fields.Boolean()
    pay_later_methods = _Words(_split)
    store_credit_fee_names = _Words(_split)
    fractional_quantities = marshmallow.fields.Boolean()
    decimals = marshmallow.fields.Integer(validate=Range(min=0, max=4))
    calls_at_once = marshmallow.fields.Integer(validate=Range(min=1, max=64))
    calls_per_minute = marshmallow.fields.Integer(validate=Range(min=0, max=100_000))


_SCHEMA = _SettingsSchema()


def read_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """The typed settings, defaults filled in. Raises `UsageError` naming the key, what is wrong and what would be right."""
    unknown = sorted(set(given) - set(_SCHEMA.fields))
    if unknown:
        raise UsageError(
            f"WooCommerce has no setting {', '.join(unknown)}; there are {', '.join(_SCHEMA.fields)}."
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
    match key:
        case "statuses":
            return ",".join(map(_typed_status, value))
        case "ack_status":
            return _typed_status(value)
        case _:
            return plain_text(key, value)


def _typed_status(name: str) -> str:
    # A name that begins with "wc-" would lose that where it is read, so it is typed as the database has it.
    return f"wc-{name}" if name.startswith("wc-") else name
