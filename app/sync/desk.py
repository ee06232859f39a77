"""The error desk, as far as looking goes: which orders need a person, what each is, and what it would take."""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from app.errors import Misconfigured, UsageError
from app.ports.desk import ErrorFilter, ErrorSort
from app.sync.overview import known_site
from app.sync.parts import Parts

_HERE = "or here (ordersync errors repair)"
_IN_SHOP = "What is changed in the shop is read and tried again by itself."
_IN_ERP = "What is put right in the ERP is found within minutes, and the order goes on by itself."
_THEN = "Then let it go on (ordersync errors resume)."
_TAKES = {
    "validation": f"Correct what the reason names in the shop, {_HERE}. {_IN_SHOP}",
    "address": f"Complete the address in the shop, {_HERE}. {_IN_SHOP}",
    "payment": f"Correct the payment in the shop, {_HERE}. {_IN_SHOP}",
    "balance": f"Correct the amounts in the shop, {_HERE}, or set what the reason names (ordersync site set). {_IN_SHOP}",
    "refund": (
        "Refunds are settled by hand: write what is left of the order to the ERP yourself, and settle it here "
        "(ordersync errors skip), or cancel it in the shop."
    ),
    "bad_sku": f"Correct the SKU in the shop, {_HERE}, or create, unblock or allow the item. {_IN_SHOP} {_IN_ERP}",
    "kit": f"Correct the kit (ordersync kits import) or its items in the ERP. {_IN_ERP}",
    "totals": (
        "Compare the ERP's document with the order (ordersync explain). Correct it there, or accept the difference "
        f"(ordersync errors skip); where it is the tax or an account, set that for the orders to come (ordersync erp set). {_IN_ERP}"
    ),
    "customer": f"Correct the customer in the ERP, or the e-mail address in the shop, {_HERE}. {_IN_SHOP} {_IN_ERP}",
    "duplicate": f"Look at the documents that the reason names and delete those that do not count. {_IN_ERP}",
    "deleted": "Settle it as it is (ordersync errors skip), or have it written once more (ordersync errors resume --send-again).",
    "erp_refusal": f"Mend in the ERP what it complains about, or correct the order {_HERE.removeprefix('or ')}. {_THEN}",
    "settings": f"Set what the reason names (ordersync erp set, ordersync site set). {_THEN}",
    "conflict": "Say which value counts: repair the field again, or withdraw the repair (ordersync errors repair --withdraw).",
    "gone": f"The order is no longer in the shop: look whether the ERP has it. {_THEN}",
    "platform": f"The shop refuses the mark; the export does not wait for it. Mend in the shop what it complains about. {_THEN}",
    "sku": "The item is still not known to the middleware: ordersync items sync, or ordersync items import. The order goes on by itself.",
    "gave_up": f"The other side failed for days: see what the reason names. {_THEN}",
    "crash": f"Its processing stopped a process again and again: hand it on to who looks after the program. {_THEN}",
    "internal": f"This is a fault of the program: hand it on to who looks after it. {_THEN}",
}
_ELSE = "See the reason."
KINDS = tuple(_TAKES)
"""The kinds of errors there are."""


def takes(kind: str) -> str:
    """What an error of this kind takes, in a sentence or three; the commands that it names stand in brackets."""
    return _TAKES.get(kind, _ELSE)


def errors(
    parts: Parts,
    wanted: ErrorFilter,
    *,
    sort: ErrorSort = ErrorSort.AGE,
    reverse: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """These errors in this order, without documents, each with its age in seconds. Raises `UsageError` for an unknown site.

    An error ages until it is resolved.
    """
    _check(parts, wanted)
    now = parts.store.now()
    found = parts.store.error_orders(wanted, sort=sort, reverse=reverse, limit=limit, offset=offset)
    return [
        {
            **{name: value for name, value in asdict(each).items() if name != "document"},
            "age_seconds": round(((each.resolved_at or now) - each.opened_at).total_seconds()),
        }
        for each in found
    ]


def errors_at_risk(parts: Parts, wanted: ErrorFilter) -> dict[str, Any]:
    """How many of these errors there are, and what their orders are worth, by currency. Raises `UsageError`."""
    _check(parts, wanted)
    return asdict(parts.store.error_sums(wanted))


def _check(parts: Parts, wanted: ErrorFilter) -> None:
    if wanted.site is not None:
        known_site(parts, wanted.site)
    if wanted.unassigned and wanted.assignee is not None:
        raise UsageError("Either the errors of one person or those of nobody: --assignee or --unassigned.")


def errors_of(parts: Parts, key: str) -> list[dict[str, Any]]:
    """The errors of one order, or the one with this id, each with what it would take and the order so far, as it is stored.

    Raises `Misconfigured` where there is none.
    """
    found = parts.store.errors_of(key)
    if not found:
        raise Misconfigured(f"There is no error of an order {key!r}, and none with that id.")
    return [
        {
            **asdict(each),
            "takes": takes(each.kind) if each.resolved_at is None else "",
            "document": None if each.document is None else json.loads(each.document, parse_float=Decimal),
        }
        for each in found
    ]
