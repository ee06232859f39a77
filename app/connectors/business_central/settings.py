"""The settings of one Business Central company: strings in, checked and typed out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.domain.codes import CURRENCY_EXPONENTS
from app.errors import UsageError
from app.ports.limiters import Ceilings

DEFAULT_SCOPE = "https://api.businesscentral.dynamics.com/.default"
CODE_20 = 20
CODE_10 = 10

_COUNTRY = re.compile(r"country\.([A-Z]{2})")


class _Code(fields.String):
    """A code as the ERP stores it: upper case, no outer blanks, of limited length."""

    def __init__(self, *, length: int, **more: Any) -> None:
        super().__init__(validate=validate.Length(max=length), **more)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        text = super()._deserialize(value, attr, data, **more)
        return str(text).strip().upper()


class _SettingsSchema(Schema):
    class Meta:
        unknown = RAISE

    account_shipping = _Code(data_key="account.shipping", length=CODE_20, load_default="")
    account_tax = _Code(data_key="account.tax", length=CODE_20, load_default="")
    account_fee = _Code(data_key="account.fee", length=CODE_20, load_default="")
    account_rounding = _Code(data_key="account.rounding", length=CODE_20, load_default="")
    account_gift_card = _Code(data_key="account.gift_card", length=CODE_20, load_default="")
    tax_mode = fields.String(
        data_key="tax.mode", load_default="line", validate=validate.OneOf(["line", "erp"])
    )
    tax_code = _Code(data_key="tax.code", length=CODE_20, load_default="")
    non_taxed_code = _Code(data_key="tax.non_taxed_code", length=CODE_20, load_default="NONTAXABLE")
    scope = fields.String(load_default=DEFAULT_SCOPE, validate=validate.Length(min=1))
    batch = fields.String(load_default="auto", validate=validate.OneOf(["auto", "off"]))
    company_currency = fields.String(load_default="", validate=validate.OneOf(["", *CURRENCY_EXPONENTS]))
    calls_at_once = fields.Integer(load_default=5, validate=validate.Range(min=1, max=100))
    calls_per_5_minutes = fields.Integer(load_default=6000, validate=validate.Range(min=1, max=100_000))


_SCHEMA = _SettingsSchema()
_KEYS = tuple(sorted(field.data_key or name for name, field in _SCHEMA.fields.items()))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person decided about one company. `accounts` and `countries` hold only what is set."""

    accounts: Mapping[str, str]
    countries: Mapping[str, str]
    tax_mode: str = "line"
    tax_code: str = ""
    non_taxed_code: str = "NONTAXABLE"
    scope: str = DEFAULT_SCOPE
    batch: str = "auto"
    company_currency: str = ""
    calls_at_once: int = 5
    calls_per_5_minutes: int = 6000

    @property
    def ceilings(self) -> Ceilings:
        """What the service takes of one user, by default (contract section 5)."""
        return Ceilings(at_once=self.calls_at_once, requests=self.calls_per_5_minutes, window=300.0)


def read_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """Every setting by its key, defaults filled in. Raises `UsageError` naming the key and what would be right."""
    countries = {key: value for key, value in given.items() if key.startswith("country.")}
    try:
        loaded = _SCHEMA.load({key: value for key, value in given.items() if key not in countries})
    except ValidationError as error:
        raise UsageError(_sentence(error.messages_dict)) from None
    plain: dict[str, Any] = _SCHEMA.dump(loaded)
    return plain | {key: _country(key, value) for key, value in countries.items()}


def typed(values: Mapping[str, Any]) -> Settings:
    """The settings in `values` as `read_settings` gave them; keys of others are passed over."""
    own = {key: str(value) for key, value in values.items() if key in _KEYS or key.startswith("country.")}
    read = read_settings(own)
    return Settings(
        accounts={
            key.removeprefix("account."): read[key]
            for key in read
            if key.startswith("account.") and read[key]
        },
        countries={key.removeprefix("country."): read[key] for key in read if key.startswith("country.")},
        tax_mode=read["tax.mode"],
        tax_code=read["tax.code"],
        non_taxed_code=read["tax.non_taxed_code"],
        scope=read["scope"],
        batch=read["batch"],
        company_currency=read["company_currency"],
        calls_at_once=read["calls_at_once"],
        calls_per_5_minutes=read["calls_per_5_minutes"],
    )


def _country(key: str, value: str) -> str:
    code = value.strip().upper()
    if not _COUNTRY.fullmatch(key):
        raise UsageError(
            f"{key} is not a country setting; write country. and the ISO code in capitals, as in country.GB=UK."
        )
    if not 0 < len(code) <= CODE_10:
        raise UsageError(f"{key} must be the country's code in Business Central, 1 to {CODE_10} characters.")
    return code


def _sentence(messages: Mapping[str, Any]) -> str:
    parts = []
    for key, faults in messages.items():
        if key not in _KEYS:
            right = ", ".join((*_KEYS, "country.XX"))
            parts.append(f"{key} is not a setting of Business Central; the settings are {right}.")
        else:
            parts.append(f"{key}: {' '.join(str(fault) for fault in faults)}")
    return " ".join(parts)
