"""What this very store does where the documentation leaves it open, measured by reading alone."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.connectors.bigcommerce import consignments
from app.connectors.bigcommerce.answers import good_list, what_came
from app.connectors.bigcommerce.bodies import orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls
from app.connectors.bigcommerce.examination import COUNT
from app.connectors.bigcommerce.examination import counted as counted_orders
from app.connectors.bigcommerce.notebook import Notebook, counted, named
from app.connectors.bigcommerce.reading import INCLUDES, LIMIT, NOT_UNDERSTOOD, ByTime, date_parameter
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter, time_of
from app.connectors.bigcommerce.surveyed_sums import sums
from app.ports.survey import Survey

_NO_ORDER = 2**31 - 1

Raw = tuple[str, str, dict[str, Any]]


def survey(calls: Calls, sighter: Sighter, *, settings: Settings, count: int) -> Survey:
    """Some ten calls, and one for each 250 orders. Raises `Retry` or `Misconfigured`."""
    book = Notebook()
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
    sums([body for _, body, _ in sample], settings, book)
    return Survey(findings=tuple(book.findings), settings=book.settings)


def _store(calls: Calls, book: Notebook) -> None:
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
        answer = calls.order_list(parameters)
        if answer.status in NOT_UNDERSTOOD:
            return _from_the_end(calls, wanted)
        rows = orders(good_list(answer))
        found += rows
        if len(rows) < asked or int(rows[-1][0]) <= 1:
            break
        last = int(rows[-1][0])
    return found


def _from_the_end(calls: Calls, wanted: int) -> list[Raw]:
    """The same of a store that knows no direction of sorting: page by page, from the last one back."""
    size = min(LIMIT, wanted)
    found: list[Raw] = []
    page = -(-counted_orders(calls.get(COUNT)) // size)
    while page > 0 and len(found) < wanted:
        calls.begin()
        parameters = {"sort": "id", "limit": str(size), "page": str(page), **INCLUDES}
        found += reversed(orders(calls.orders(parameters)))
        page -= 1
    return found[:wanted]


def _quota(calls: Calls, book: Notebook) -> None:
    size = calls.quota_size
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


def _empty(calls: Calls, book: Notebook) -> None:
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


def _page_size(calls: Calls, book: Notebook) -> None:
    answer = calls.answer(ORDERS, {"limit": str(LIMIT + 1), "min_id": str(_NO_ORDER)})
    refused = answer.status >= 400  # noqa: PLR2004 - the 4xx and 5xx families
    book.note(
        "page size",
        f"More than {LIMIT} orders a page are {'refused' if refused else 'not refused'} ({answer.status}); {LIMIT} are the most we ask for.",
    )


def _times(calls: Calls, sample: Sequence[Raw], book: Notebook) -> None:
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
    by_time = ByTime()
    parameters = {"limit": str(LIMIT), "min_date_modified": date_parameter(edge)}
    rows = [time_of(given.get("date_modified")) for _, _, given in orders(by_time.list(calls, parameters))]
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
    _ties(calls, by_time, min(times), book)


def _ties(calls: Calls, by_time: ByTime, since: datetime, book: Notebook) -> None:
    parameters = {"limit": str(LIMIT), "min_date_modified": date_parameter(since)}
    rows = [
        (found, int(order_id))
        for order_id, _, given in orders(by_time.list(calls, parameters))
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


def _addresses(sample: Sequence[Raw], settings: Settings, book: Notebook) -> None:
    several = [order_id for order_id, _, given in sample if len(consignments.addresses(given)) > 1]
    lacking = sum(consignments.lacks_lines(given) for _, _, given in sample)
    split = settings.several_addresses == "split"
    then = "each address is an order of its own" if split else "such orders are rejected by name"
    book.note(
        "addresses",
        f"{len(several)} of {len(sample)} orders go to several addresses{named(several)}; {then}.",
    )
    book.note(
        "lines",
        f"{lacking} of {len(sample)} orders do not show all of their lines at once and take a call of their own.",
    )


def _payments(sample: Sequence[Raw], sighter: Sighter, book: Notebook) -> None:
    methods = Counter(str(given.get("payment_method") or "none") for _, _, given in sample)
    states = Counter(str(given.get("payment_status") or "none") for _, _, given in sample)
    book.note("payment methods", f"Seen on {len(sample)} orders: {counted(methods)}.")
    book.note("payment status", f"Seen on {len(sample)} orders: {counted(states)}.")
    eligible = sum(sighter.is_eligible(given) for _, _, given in sample)
    book.note(
        "eligible", f"{eligible} of the last {len(sample)} orders have a status that is read or our mark."
    )
    fees = sum(bool(consignments.fees(given)) for _, _, given in sample)
    book.note("fees", f"{fees} of {len(sample)} orders have fees.")
