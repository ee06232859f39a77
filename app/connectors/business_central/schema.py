"""Business Central's words: the rows of API v2.0 as far as they are read, checked before they are used."""

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from app.errors import Retry

_NO_MORE = 10**15
"""No order is worth more, and what is beyond it can be neither added up nor stored."""
_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class _Row(Schema):
    class Meta:
        unknown = EXCLUDE


class ItemRow(_Row):
    """A row of `items`. `Sales Blocked` is not among its properties (contract section 2)."""

    number = fields.String(required=True)
    displayName = fields.String(required=True)  # noqa: N815 - their word
    type = fields.String(required=True)
    blocked = fields.Boolean(required=True, truthy={True}, falsy={False})
    lastModifiedDateTime = fields.String(load_default="")  # noqa: N815


class CustomerRow(_Row):
    """A row of `customers`."""

    number = fields.String(required=True)
    displayName = fields.String(required=True)  # noqa: N815
    email = fields.String(required=True)
    blocked = fields.String(required=True)


class AccountRow(_Row):
    """A row of `accounts`."""

    number = fields.String(required=True)
    blocked = fields.Boolean(required=True, truthy={True}, falsy={False})
    directPosting = fields.Boolean(required=True, truthy={True}, falsy={False})  # noqa: N815


class DocumentRow(_Row):
    """A row of `salesOrders` or `salesInvoices`; only the latter name the order they came from."""

    id = fields.String(required=True)
    number = fields.String(required=True)
    externalDocumentNumber = fields.String(required=True)  # noqa: N815
    customerNumber = fields.String(required=True)  # noqa: N815
    totalAmountIncludingTax = fields.Decimal(  # noqa: N815
        required=True, validate=validate.Range(min=-_NO_MORE, max=_NO_MORE)
    )
    currencyCode = fields.String(required=True)  # noqa: N815
    orderNumber = fields.String(load_default="")  # noqa: N815


ITEM_FIELDS = tuple(ItemRow().fields)
CUSTOMER_FIELDS = tuple(CustomerRow().fields)
ACCOUNT_FIELDS = tuple(AccountRow().fields)
INVOICE_FIELDS = tuple(DocumentRow().fields)
ORDER_FIELDS = tuple(name for name in INVOICE_FIELDS if name != "orderNumber")


def load(schema: Schema, row: Any) -> dict[str, Any]:
    """One row, checked. Raises `Retry` naming the property: an answer in another shape is one that cannot be read."""
    try:
        loaded: dict[str, Any] = schema.load(row)
    except ValidationError as error:
        faults = ", ".join(sorted(error.messages_dict))
        raise Retry(f"Business Central sent a row that cannot be read ({faults}).") from None
    return loaded


def load_account(row: Any) -> dict[str, Any]:
    """A row of `accounts`, checked. Raises `Retry`."""
    return load(AccountRow(), row)


def plain(member: str) -> str:
    """An enum member as people write it: `Non_x002D_Inventory` is `Non-Inventory`, `_x0020_` is an empty string."""
    return _ENCODED.sub(lambda found: chr(int(found.group(1), 16)), member).strip()
