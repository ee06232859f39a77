"""What this very store does where the documentation leaves it open, measured by reading alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import consignments, totals
from app.connectors.bigcommerce.amounts import applied
from app.connectors.bigcommerce.answers import what_came
from app.connectors.bigcommerce.bodies import orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls
from app.connectors.bigcommerce.reading import INCLUDES, LIMIT, date_parameter
from app.connectors.bigcommerce.schema import load_order
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter, time_of
from app.domain.money import ZERO
from app.errors import Reject
from app.ports.survey import Finding, Suggestion, Survey

_NO_ORDER = 2**31 - 1
_ROUNDING = Decimal("0.05")
_SHOWN = 5

Raw = tuple[str, str, dict[str, Any]]


@dataclass(slots=True)
class _Notebook:
    findings: list[Finding] = field(default_factory=list)
    settings: dict[str, Suggestion] = field(default_factory=dict)

    def note(self, what: str, found: str, *, trouble: bool = False) -> None:
        self.findings.append(Finding(what=what, found=found, trouble=trouble))


def survey(calls: Calls, sighter: Sighter, *, settings: Settings, count: int) -> Survey:
    """Some ten calls, and one for each 250 orders. Raises `Retry` or `Misconfigured`."""
    book = _Notebook()
    _store(calls, book)
    sample = _last(calls, count)
    _quota(calls, book)
    _empty(calls, book)
    _page_size(calls, book)
    if not sample:
        book.note("orders", "The store has no orders yet, so that nothing could be measured on any.")
        return Survey(findings=tuple(book.findings))
    _times(calls, sample, book)
    _addresses(sample, settings, book)
    _payments(sample, sighter, book)
    _sums(sample, settings, book)
    return Survey(findings=tuple(book.findings), settings=book.settings)


def _store(calls: Calls, book: _Notebook) -> None:
    answer = calls.answer("/v2/store")
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
        book.note(
            "store", f"The store's own description may not be read ({what_came(answer)}); it is not needed."
        )
        return
    given = single(answer)
    zone = given.get("timezone") if isinstance(given, dict) else None
    name = zone.get("name") if isinstance(zone, dict) else None
    plan = given.get("plan_name") if isinstance(given, dict) else None
    book.note(
        "timezone",
        f"The store's timezone is {name or 'not told'}; orders carry their times in UTC, and days are counted in UTC here.",
    )
    book.note("plan", f"The store's plan is {plan or 'not told'}.")


def _last(calls: Calls, wanted: int) -> list[Raw]:
    """The last orders of the store, newest first."""
    found: list[Raw] = []
    last = None
    while len(found) < wanted:
        calls.begin()
        asked = min(LIMIT, wanted - len(found))
        parameters = {"sort": "id:desc", "limit": str(asked), **INCLUDES}
        if last is not None:
            parameters["max_id"] = str(last - 1)
        rows = orders(calls.orders(parameters))
        found += rows
        if len(rows) < asked or int(rows[-1][0]) <= 1:
            break
        last = int(rows[-1][0])
    return found


def _quota(calls: Calls, book: _Notebook) -> None:
    size = calls.quota.size
    if size is None:
        book.note(
            "quota",
            "The answers do not tell the quota of requests; too many of them are found out by being refused.",
        )
    else:
        book.note(
            "quota",
            f"The store takes {size} requests in each window of its quota, from all of its apps together.",
        )


def _empty(calls: Calls, book: _Notebook) -> None:
    answer = calls.orders({"min_id": str(_NO_ORDER), "limit": "1"})
    kind = "204 without a body" if answer.status == 204 else "200 and a list"  # noqa: PLR2004 - HTTP's own number
    if orders(answer):
        book.note(
            "empty list",
            "The store ignores min_id, so that orders cannot be looked up in ranges.",
            trouble=True,
        )
    else:
        book.note("empty list", f"A list without orders is answered with {kind}.")


def _page_size(calls: Calls, book: _Notebook) -> None:
    answer = calls.answer(ORDERS, {"limit": str(LIMIT + 1), "min_id": str(_NO_ORDER)})
    refused = answer.status >= 400  # noqa: PLR2004 - the 4xx and 5xx families
    book.note(
        "page size",
        f"More than {LIMIT} orders a page are {'refused' if refused else 'not refused'} ({answer.status}); {LIMIT} are the most we ask for.",
    )


def _times(calls: Calls, sample: Sequence[Raw], book: _Notebook) -> None:
    """Whether the date filter is honoured, whether it includes its end, and how orders of one second are sorted."""
    times = [found for _, _, given in sample if (found := time_of(given.get("date_modified")))]
    if len(times) < len(sample):
        book.note(
            "dates",
            f"{len(sample) - len(times)} of {len(sample)} orders have a date that cannot be read.",
            trouble=True,
        )
    if not times:
        return
    edge = max(times)
    calls.begin()
    parameters = {"sort": "date_modified:asc", "limit": str(LIMIT), "min_date_modified": date_parameter(edge)}
    rows = [time_of(given.get("date_modified")) for _, _, given in orders(calls.orders(parameters))]
    shown = [row for row in rows if row is not None]
    if any(row < edge for row in shown):
        book.note(
            "date filter",
            "The store answers min_date_modified with older orders: it ignores the filter.",
            trouble=True,
        )
    else:
        what = "includes" if edge in shown else "leaves out"
        book.note(
            "date filter",
            f"min_date_modified {what} the orders of that very second; a second more is asked for in any case.",
        )
    if shown != sorted(shown):
        book.note("sorting", "The store does not sort by date_modified when asked to.", trouble=True)
    _ties(calls, min(times), book)


def _ties(calls: Calls, since: datetime, book: _Notebook) -> None:
    parameters = {
        "sort": "date_modified:asc",
        "limit": str(LIMIT),
        "min_date_modified": date_parameter(since),
    }
    rows = [
        (found, int(order_id))
        for order_id, _, given in orders(calls.orders(parameters))
        if (found := time_of(given.get("date_modified")))
    ]
    shared = Counter(time for time, _ in rows)
    tied = [row for row in rows if shared[row[0]] > 1]
    if not tied:
        book.note("ties", f"No two of {len(rows)} orders share a second.")
    else:
        order = "in the order of their ids" if tied == sorted(tied) else "in an order of their own"
        book.note(
            "ties", f"{len(tied)} of {len(rows)} orders share a second with another; they are listed {order}."
        )


def _addresses(sample: Sequence[Raw], settings: Settings, book: _Notebook) -> None:
    several = [order_id for order_id, _, given in sample if len(consignments.addresses(given)) > 1]
    lacking = sum(consignments.lacks_lines(given) for _, _, given in sample)
    split = settings.several_addresses == "split"
    then = "each address is an order of its own" if split else "such orders are rejected by name"
    book.note(
        "addresses",
        f"{len(several)} of {len(sample)} orders go to several addresses{_named(several)}; {then}.",
    )
    book.note(
        "lines",
        f"{lacking} of {len(sample)} orders do not show all of their lines at once and take a call of their own.",
    )


def _payments(sample: Sequence[Raw], sighter: Sighter, book: _Notebook) -> None:
    methods = Counter(str(given.get("payment_method") or "none") for _, _, given in sample)
    states = Counter(str(given.get("payment_status") or "none") for _, _, given in sample)
    book.note("payment methods", f"Seen on {len(sample)} orders: {_counted(methods)}.")
    book.note("payment status", f"Seen on {len(sample)} orders: {_counted(states)}.")
    eligible = sum(sighter.is_eligible(given) for _, _, given in sample)
    book.note(
        "eligible", f"{eligible} of the last {len(sample)} orders have a status that is read or our mark."
    )
    fees = sum(bool(consignments.fees(given)) for _, _, given in sample)
    book.note("fees", f"{fees} of {len(sample)} orders have fees.")


def _sums(sample: Sequence[Raw], settings: Settings, book: _Notebook) -> None:
    """How many headers add up, and by which reading those do that tell the readings apart."""
    loaded = [order for _, body, _ in sample if (order := _loaded(body)) is not None]
    found = [
        (order, totals.reading_of(order, order["fees"], settings=Settings(), allowed=_ROUNDING))
        for order in loaded
    ]
    good = [(order, reading) for order, reading in found if reading is not None]
    bad = [str(order["id"]) for order, reading in found if reading is None]
    book.note(
        "totals",
        f"{len(good)} of {len(sample)} orders add up to their totals"
        + (f"; {len(sample) - len(good)} do not{_named(bad)}." if len(good) < len(sample) else "."),
        trouble=len(good) < len(sample),
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
    book: _Notebook,
    key: str,
    what: str,
    seen: Sequence[bool],
    *,
    words: tuple[str, str],
    told: tuple[str, str],
    chosen: str,
) -> None:
    if not seen:
        book.note(f"{what} and the total", f"No order shows how {what} and the total belong together.")
        return
    inside = sum(seen)
    book.note(
        f"{what} and the total",
        f"Of {len(seen)} orders with {what}, in {len(seen) - inside} they {told[0]} and in {inside} they {told[1]}.",
        trouble=0 < inside < len(seen) and chosen == "auto",
    )
    if inside in {0, len(seen)}:
        is_inside = inside == len(seen)
        if chosen not in {"auto", words[is_inside]}:
            book.note(key, f"The setting {key}={chosen} does not fit what the orders show.", trouble=True)
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


def _named(order_ids: Sequence[str]) -> str:
    if not order_ids:
        return ""
    return f" ({', '.join(order_ids[:_SHOWN])}{', ...' if len(order_ids) > _SHOWN else ''})"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common(12))
