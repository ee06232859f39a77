"""How the orders of a store add up: which of the readings that the documentation leaves open their figures bear out."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import totals
from app.connectors.bigcommerce.amounts import applied
from app.connectors.bigcommerce.notebook import Notebook, named
from app.connectors.bigcommerce.schema import load_order
from app.connectors.bigcommerce.settings import Settings
from app.domain.money import ZERO
from app.errors import Reject
from app.ports.survey import Suggestion

_ROUNDING = Decimal("0.05")
_ENOUGH = 5
"""So many orders decide; fewer leave it to each order, which is looked at in both ways."""


def sums(bodies: Sequence[str], settings: Settings, book: Notebook) -> None:
    """How many headers add up, and by which reading those do that tell the readings apart."""
    loaded = [order for body in bodies if (order := _loaded(body)) is not None]
    found = [
        (order, totals.reading_of(order, order["fees"], settings=Settings(), allowed=_ROUNDING))
        for order in loaded
    ]
    good = [(order, reading) for order, reading in found if reading is not None]
    bad = [str(order["id"]) for order, reading in found if reading is None]
    book.note(
        "totals",
        f"{len(good)} of {len(bodies)} orders add up to their totals"
        + (f"; {len(bodies) - len(good)} do not{named(bad)}." if len(good) < len(bodies) else "."),
        trouble=len(good) < len(bodies),
    )
    _choice(
        book,
        "tender",
        "store credit and gift certificates",
        [reading.tender_inside for order, reading in good if totals.tender(order)],
        words=("outside", "inside"),
        told=("stand outside of the total", "have lowered the total already"),
        chosen=settings.tender,
    )
    _choice(
        book,
        "fees_in_total",
        "fees",
        [reading.fees_inside for order, reading in good if any(fee["cost_inc_tax"] for fee in order["fees"])],
        words=("no", "yes"),
        told=("are not part of the total", "are part of the total"),
        chosen=settings.fees_in_total,
    )
    agree = [order for order in loaded if _levels_agree(order)]
    book.note(
        "discounts",
        f"In {len(agree)} of {len(loaded)} orders the lines' discounts come to those of the order; where they do not, the order's sum counts.",
    )


def _choice(
    book: Notebook,
    key: str,
    what: str,
    seen: Sequence[bool],
    *,
    words: tuple[str, str],
    told: tuple[str, str],
    chosen: str,
) -> None:
    if not seen:
        book.note(key, f"No order shows how {what} and the total belong together.")
        return
    inside = sum(seen)
    book.note(
        key,
        f"Of {len(seen)} orders with {what}, in {len(seen) - inside} they {told[0]} and in {inside} they {told[1]}.",
        trouble=0 < inside < len(seen) and chosen == "auto",
    )
    if inside in {0, len(seen)}:
        is_inside = inside == len(seen)
        if chosen not in {"auto", words[is_inside]}:
            book.note(key, f"The setting {key}={chosen} does not fit what the orders show.", trouble=True)
        if len(seen) >= _ENOUGH:
            book.settings[key] = Suggestion(
                value=words[is_inside], why=f"In all {len(seen)} orders with {what} they {told[is_inside]}."
            )


def _levels_agree(order: dict[str, Any]) -> bool:
    by_lines = sum((applied(line) for line in order["lines"]), ZERO)
    by_order = order["discount_amount"] + order["coupon_discount"]
    return bool(abs(by_lines - by_order) <= _ROUNDING)


def _loaded(body: str) -> dict[str, Any] | None:
    try:
        return load_order(body)
    except Reject:
        return None  # It counts among those that do not add up.
