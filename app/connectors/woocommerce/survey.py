"""What this very shop does, measured by reading alone: its clock, its date filter, its pages, and whether its totals add up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.connectors.woocommerce.bodies import identifier, listed
from app.connectors.woocommerce.calls import Calls, readable
from app.connectors.woocommerce.examination import prove_writing
from app.connectors.woocommerce.mapping import normalize
from app.connectors.woocommerce.schema import gmt
from app.connectors.woocommerce.settings import Settings
from app.domain.words import counted
from app.errors import Misconfigured, Reject
from app.ports.survey import Finding, Suggestion, Survey

_PAGE = 100
_FAR = timedelta(days=1)
_SLOW_CLOCK = 120.0
_ENOUGH = 3
"""So many orders decide about a setting that lets others pass; fewer are shown, and a person decides."""


def survey(calls: Calls, *, settings: Settings, orders: int, now: datetime) -> Survey:
    """Ten calls or so, and one for each hundred orders. Raises `Retry` or `Misconfigured`; `now` is our time."""
    sample = _newest(calls, settings, orders)
    findings = [
        _permission(calls),
        _clock(sample.answered_at, now),
        _timezone(sample.rows),
        _storage(calls, settings),
    ]
    if sample.rows:
        findings += [_date_filter(calls, sample.rows), _ties(calls, settings)]
    else:
        findings.append(
            Finding("Orders", "There is no order in the statuses that are read, so none was looked at.")
        )
    totals, suggestions = _totals(sample, settings)
    return Survey(tuple(filter(None, (*findings, *totals))), suggestions)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The last orders, each as its raw text and parsed; and the Date of the answer."""

    bodies: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    answered_at: datetime | None


def _newest(calls: Calls, settings: Settings, orders: int) -> _Sample:
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    answered_at = None
    for page in range(1, -(-orders // _PAGE) + 1):
        parameters = {
            "orderby": "date",
            "order": "desc",
            "status": ",".join(settings.statuses),
            "per_page": str(min(_PAGE, orders)),
            "page": str(page),
        }
        answer = calls.get("/orders", parameters)
        answered_at = answered_at or answer.answered_at
        rows = readable(listed, answer)
        found |= {key: (body, given) for body, given in rows if (key := identifier(given)) is not None}
        if len(rows) < min(_PAGE, orders):
            break
    kept = list(found.values())[:orders]
    return _Sample(tuple(body for body, _ in kept), tuple(given for _, given in kept), answered_at)


def _permission(calls: Calls) -> Finding:
    try:
        prove_writing(calls)
    except Misconfigured as error:
        return Finding("Key", f"Orders can be read, but not marked: {error.reason}", trouble=True)
    return Finding("Key", "The key may read and write.")


def _clock(answered_at: datetime | None, now: datetime) -> Finding:
    if answered_at is None:
        return Finding("Clock", "The shop does not tell its time.")
    ahead = round((answered_at - now).total_seconds())
    if abs(ahead) <= 2:  # noqa: PLR2004 - the Date header has whole seconds, and an answer takes its way
        return Finding("Clock", "The shop's clock agrees with ours.")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "Clock", f"The shop's clock is {abs(ahead)} s {way} ours.", trouble=abs(ahead) > _SLOW_CLOCK
    )


def _timezone(rows: Sequence[dict[str, Any]]) -> Finding | None:
    offsets = Counter(_offset(row) for row in rows)
    offsets.pop(None, None)
    if not offsets:
        return None
    shown = ", ".join(
        f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        for minutes in sorted(each for each in offsets if each is not None)
    )
    return Finding("Time zone", f"Its local time is {shown}; only its UTC times are read.")


def _offset(row: dict[str, Any]) -> int | None:
    try:
        local, utc = gmt(row.get("date_created")), gmt(row.get("date_created_gmt"))
    except ValueError:
        return None
    return round((local - utc).total_seconds() / 60)


def _storage(calls: Calls, settings: Settings) -> Finding:
    """A page behind the end: shops with order tables call the total 0 there (contract, section 3)."""
    answer = calls.get(
        "/orders",
        {"status": ",".join(settings.statuses), "per_page": "100", "page": "100000", "_fields": "id"},
    )
    if readable(listed, answer):
        return Finding("Pages", "A page far behind the end still shows orders.", trouble=True)
    first = calls.get("/orders", {"status": "any", "per_page": "1", "_fields": "id"})
    total, there = answer.headers.get("X-WP-Total", ""), first.headers.get("X-WP-Total", "")
    kind = "order tables" if total == "0" and there != "0" else "posts"
    if there == "0":
        return Finding("Pages", "A page behind the end is empty, as it should be.")
    return Finding("Pages", f"A page behind the end is empty, as it should be; orders are stored in {kind}.")


def _date_filter(calls: Calls, rows: Sequence[dict[str, Any]]) -> Finding:
    row = rows[0]
    try:
        at = gmt(row.get("date_modified_gmt"))
    except ValueError:
        return Finding("Date filter", "The newest order has no modified time that can be read.", trouble=True)
    found = identifier(row) or ""
    before, exactly, later = (
        _is_listed(calls, found, at + each) for each in (timedelta(seconds=-1), timedelta(0), _FAR)
    )
    if not before:
        return Finding(
            "Date filter",
            f"Order {found} is hidden by a filter for what was modified since it was.",
            trouble=True,
        )
    if later:
        return Finding(
            "Date filter", "The filter for modified orders is ignored: it shows everything.", trouble=True
        )
    ends = "leaves out" if not exactly else "includes"
    return Finding("Date filter", f"In UTC it works, and {ends} orders of the very second that is asked for.")


def _is_listed(calls: Calls, order_id: str, since: datetime) -> bool:
    parameters = {
        "include": order_id,
        "status": "any",
        "modified_after": since.astimezone(UTC).replace(tzinfo=None).isoformat(),
        "dates_are_gmt": "true",
        "_fields": "id",
    }
    return any(
        identifier(given) == order_id for _, given in readable(listed, calls.get("/orders", parameters))
    )


def _ties(calls: Calls, settings: Settings) -> Finding:
    parameters = {
        "orderby": "modified",
        "order": "asc",
        "status": ",".join(settings.statuses),
        "per_page": str(_PAGE),
        "_fields": "id,date_modified_gmt",
    }
    keys = [
        (given.get("date_modified_gmt") or "", int(identifier(given) or 0))
        for _, given in readable(listed, calls.get("/orders", parameters))
    ]
    most = max(Counter(at for at, _ in keys).values(), default=0)
    if keys != sorted(keys):
        return Finding(
            "Order of rows",
            "Rows that were modified in the same second come in no fixed order.",
            trouble=True,
        )
    shared = f"; {counted(most, 'order')} of {len(keys)} share one second" if most > 1 else ""
    return Finding("Order of rows", f"Ascending by modified time and then by id{shared}.")


def _totals(sample: _Sample, settings: Settings) -> tuple[list[Finding], dict[str, Suggestion]]:
    """Whether the last orders would pass, and what the settings should say where they do not."""
    refused: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    as_gift_card: list[bool] = []
    for body in sample.bodies:
        try:
            normalize(body, prefix="PROBE", settings=settings)
        except Reject as reject:
            refused[reject.kind] += 1
            reasons.setdefault(reject.kind, reject.reason)
            if reject.kind == "balance":
                as_gift_card.append(_passes_as_gift_card(body, settings))
    looked = len(sample.bodies)
    if not looked:
        return [], {}
    suggestions: dict[str, Suggestion] = {}
    unbalanced = refused.pop("balance", 0)
    findings = [
        Finding(
            "Totals",
            f"{looked - unbalanced} of the last {counted(looked, 'order')} add up to the cent"
            + (f"; {unbalanced} do not. {reasons['balance']}" if unbalanced else "."),
            trouble=bool(unbalanced),
        )
    ]
    if len(as_gift_card) >= _ENOUGH and all(as_gift_card) and not settings.gift_card_by_difference:
        why = f"{counted(unbalanced, 'order')} cost less than their lines, as gift cards without a trace leave them"
        suggestions["gift_card_by_difference"] = Suggestion("true", why)
    fractions = sum(any(_is_fraction(line) for line in row.get("line_items") or ()) for row in sample.rows)
    if fractions:
        findings.append(Finding("Quantities", f"{counted(fractions, 'order')} with parts of a piece."))
        if not settings.fractional_quantities:
            suggestions["fractional_quantities"] = Suggestion(
                "true", f"{counted(fractions, 'order')} have quantities that are no whole numbers"
            )
    findings += [
        Finding("Would be rejected", f"{counted(times, 'order')} ({kind}), for example: {reasons[kind]}")
        for kind, times in refused.most_common()
    ]
    return findings + _traces(sample.rows), suggestions


def _passes_as_gift_card(body: str, settings: Settings) -> bool:
    try:
        normalize(body, prefix="PROBE", settings=replace(settings, gift_card_by_difference=True))
    except Reject:
        return False
    return True


def _is_fraction(line: Any) -> bool:
    quantity = line.get("quantity") if isinstance(line, dict) else None
    return isinstance(quantity, Decimal) and quantity % 1 != 0


def _traces(rows: Sequence[dict[str, Any]]) -> list[Finding]:
    """Plugins that change what an order's figures mean."""
    smart = sum(
        any(each.get("discount_type") == "smart_coupon" for each in row.get("coupon_lines") or ())
        for row in rows
    )
    cards = sum(
        any(
            str(each.get("key", "")).lstrip("_").startswith("pw_gift_card")
            for each in row.get("meta_data") or ()
        )
        for row in rows
    )
    found = []
    if smart:
        found.append(Finding("Smart coupons", f"{counted(smart, 'order')} of the last {len(rows)} have one."))
    if cards:
        found.append(
            Finding("PW gift cards", f"{counted(cards, 'order')} of the last {len(rows)} carry their meta.")
        )
    return found
