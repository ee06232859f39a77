"""How an order was paid: from its V3 transactions where they were read, else from what the order itself says. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.values import iso_moment, money
from app.domain.money import ZERO
from app.domain.order import Payment

_FLAGS = {"klarna": ("klarna",), "stripe": ("stripe",), "paypal": ("paypal",)}
_PROVIDERS = (
    *(word for words in _FLAGS.values() for word in words),
    "adyen",
    "affirm",
    "afterpay",
    "amazon",
    "apple pay",
    "authorize",
    "barclay",
    "braintree",
    "checkout.com",
    "clearpay",
    "cybersource",
    "google pay",
    "mollie",
    "sezzle",
    "square",
    "worldpay",
    "zip",
)
"""Words in a payment method's display name that tell the provider. "Credit Card" tells none, so that one is asked for."""
_MONEY_MOVED = frozenset(("purchase", "authorization", "capture", "settled", "pending"))
_TENDER = frozenset(("store_credit", "gift_certificate"))
_PAID = frozenset(("captured", "capture pending", "paid"))
_NO_TIME = datetime.max.replace(tzinfo=UTC)


def names_provider(method: str) -> bool:
    """Whether the payment method's display name says who the provider is."""
    lowered = method.casefold()
    return any(word in lowered for word in _PROVIDERS)


def needs_transactions(given: dict[str, Any], *, settings: Settings) -> bool:
    """Whether the order's transactions are to be read: `given` is an order as the store shows it, unchecked."""
    if settings.transactions != "when_needed":
        return settings.transactions == "always"
    method = given.get("payment_method")
    if not isinstance(method, str) or settings.is_paid_later(method) or not _to_be_paid(given):
        return False
    return not (names_provider(method) and str(given.get("payment_provider_id") or "").strip())


def _to_be_paid(given: dict[str, Any]) -> bool:
    # Store credit and gift certificates may have lowered the total already, so that they cannot be taken off here.
    try:
        return money(given["total_inc_tax"]) > ZERO
    except (KeyError, ValueError):
        return True


def payment_of(order: dict[str, Any]) -> Payment:
    """`order` is as `schema` loaded it."""
    moved = [each for each in transactions(order) if _moved_money(each)]
    last = moved[-1] if moved else {}
    gateway, detail = _text(last.get("gateway")), _text(last.get("payment_method_id"))
    words = " ".join((order["payment_method"] or "", gateway, detail, _text(last.get("method")))).casefold()
    return Payment(
        method=order["payment_method"] or "",
        title=detail or gateway or order["payment_method"] or "",
        transaction_id=_text(last.get("gateway_transaction_id")) or order["payment_provider_id"] or "",
        paid_at=_paid_at(order, moved),
        **{flag: any(word in words for word in given) for flag, given in _FLAGS.items()},
    )


def transactions(order: dict[str, Any]) -> list[dict[str, Any]]:
    """The transactions that succeeded, oldest first; none where they were not read."""
    found = [each for each in order["transactions"] or () if isinstance(each, dict)]
    good = [each for each in found if each.get("status", "ok") == "ok"]
    return sorted(good, key=lambda each: _time(each.get("date_created")) or _NO_TIME)


def is_test(order: dict[str, Any]) -> bool:
    """Whether the money is play money: all that moved some is marked as a test."""
    moved = [each for each in transactions(order) if _moved_money(each)]
    return bool(moved) and all(each.get("test") is True for each in moved)


def certificates(order: dict[str, Any]) -> tuple[str, ...]:
    """The codes of the gift certificates that were redeemed, as far as the transactions tell."""
    found: Iterable[Any] = (each.get("gift_certificate") for each in transactions(order))
    codes = (_text(each.get("code")) for each in found if isinstance(each, dict))
    return tuple(dict.fromkeys(code for code in codes if code))


def _moved_money(given: dict[str, Any]) -> bool:
    if given.get("event") not in _MONEY_MOVED or given.get("method") in _TENDER:
        return False
    try:
        return money(given.get("amount", 1)) > ZERO
    except ValueError:
        return True


def _paid_at(order: dict[str, Any], moved: list[dict[str, Any]]) -> datetime | None:
    if (order["payment_status"] or "").casefold() not in _PAID:
        return None
    times = [found for each in moved if (found := _time(each.get("date_created")))]
    return times[-1] if times else order["date_created"]


def _time(value: Any) -> datetime | None:
    try:
        return iso_moment(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
