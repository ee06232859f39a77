"""What reading needs to know of an order, taken from a body that nobody has checked yet. Pure, and never fails."""

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.connectors.woocommerce.schema import gmt, money
from app.connectors.woocommerce.settings import Settings
from app.domain.money import ZERO
from app.ports.sales_channel import Seen

_MARKED = "1"
_PASSING = frozenset(
    (
        "_links",
        "currency_symbol",
        "date_completed_gmt",
        "date_modified_gmt",
        "is_editable",
        "needs_payment",
        "needs_processing",
        "payment_url",
        "version",
    )
)
"""What changes without the order changing: by our own write, by the shop's address, or by an update of WooCommerce.

`date_completed_gmt` comes and goes with the status, which counts.
"""
_LIVE = frozenset(("price", "image", "parent_name", "global_unique_id"))
"""Parts of a line that are computed at each read, or belong to the product as it is now."""
_ENCODER = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
_LINES = ("line_items", "shipping_lines", "fee_lines", "coupon_lines", "tax_lines")


def seen(*, platform_order_id: str, body: str, given: dict[str, Any], settings: Settings) -> Seen:
    """`given` is `body`, parsed. Parts that cannot be read are None or empty; normalizing names what is wrong with them."""
    status = given.get("status")
    modified = given.get("date_modified_gmt")
    marked = is_marked(given=given, settings=settings)
    return Seen(
        platform_order_id=platform_order_id,
        body=body,
        content_hash=content_hash(given=given, settings=settings),
        status=status if isinstance(status, str) else "",
        modified_raw=modified if isinstance(modified, str) else "",
        modified_at=_time(modified),
        created_at=_time(given.get("date_created_gmt")),
        gross=gross(given=given),
        # The status that our own acknowledgement sets is no reason to leave the order alone.
        eligible=status in settings.statuses or (marked and status == settings.ack_status),
        marked=marked,
        number=_number(given.get("number")),
    )


def is_marked(*, given: dict[str, Any], settings: Settings) -> bool:
    """Whether our mark stands in the order's meta. Whatever was written, the shop gives it back as text."""
    return any(
        key == settings.mark_key and str(value) == _MARKED
        for key, value in meta_pairs(given.get("meta_data"))
    )


def meta_pairs(meta: Any) -> list[tuple[str, Any]]:
    """Keys and values of a `meta_data` list, in a fixed order: theirs is neither that of insertion nor stable."""
    if not isinstance(meta, list):
        return []
    pairs = [
        (str(each["key"]), each.get("value")) for each in meta if isinstance(each, dict) and "key" in each
    ]
    return sorted(pairs, key=lambda pair: (pair[0], _canonical(pair[1]))) if len(pairs) > 1 else pairs


def content_hash(*, given: dict[str, Any], settings: Settings) -> str:
    """A hash that an edit changes, and that our own mark, a re-read or another storage of the shop's does not."""
    content = {key: value for key, value in given.items() if key not in _PASSING and not _is_local_time(key)}
    content["meta_data"] = [
        pair for pair in meta_pairs(given.get("meta_data")) if pair[0] != settings.mark_key
    ]
    for name in _LINES:
        if isinstance(given.get(name), list):
            lines = [_line(each) for each in given[name]]
            content[name] = sorted(lines, key=_canonical) if len(lines) > 1 else lines
    if given.get("payment_method") in settings.pay_later_methods:
        # It comes with a status, ours or another, and goes into no check of such an order.
        content.pop("date_paid_gmt", None)
    if settings.ack_status and content.get("status") in (settings.ack_status, *settings.statuses):
        # Our acknowledgement moves the order from a status we read to `ack_status`. Both sides of that move have to hash
        # alike, or every order would come back as edited.
        content["status"] = "read or acknowledged"
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def gross(*, given: dict[str, Any]) -> Decimal | None:
    """The total before any discount, credit or gift card, or None where it cannot be told."""
    try:
        parts = [
            *(money(line[key]) for line in given["line_items"] for key in ("subtotal", "subtotal_tax")),
            *(money(line[key]) for line in given["shipping_lines"] for key in ("total", "total_tax")),
            *(
                money(fee[key])
                for fee in given["fee_lines"]
                if money(fee["total"]) > ZERO
                for key in ("total", "total_tax")
            ),
        ]
    except (KeyError, TypeError, ValueError):
        return None
    return sum(parts, ZERO)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _time(value: Any) -> datetime | None:
    try:
        return gmt(value)
    except ValueError:
        return None


def _is_local_time(key: str) -> bool:
    # A shop that changes its timezone shows these anew for old orders; the fields with _gmt stay.
    return key.startswith("date_") and not key.endswith("_gmt")


def _line(line: Any) -> Any:
    if not isinstance(line, dict):
        return line
    return {key: value for key, value in line.items() if key not in _LIVE} | {
        "meta_data": meta_pairs(line.get("meta_data"))
    }


def _canonical(value: Any) -> str:
    # Decimals as text: "1.0" and "1.00" differ, as they do in the body.
    return _ENCODER.encode(value)
