"""Orders: the search, and one order's page with everything that was received, sent and changed."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.domain.money import smallest_unit
from app.domain.order import LineType
from app.domain.road import State
from app.errors import UsageError
from app.ports.accounts import Role
from app.ports.searching import FoundOrder, Search
from app.sync.explain import explain
from app.sync.explanation import digits
from app.sync.panel import order_page as one
from app.sync.panel import searching
from app.sync.pretty import pretty
from app.sync.resume import End
from app.sync.trace import duration
from app.web.panel.access import changes, person
from app.web.panel.shared import LARGEST_ID, back_to, done, page, pick, refused
from app.web.people import People

HERE = "panel.orders"

SHOWN = 20_000
"""Characters of a request or an answer that stand on the order's own page."""

WHOLE = 300_000
"""Characters of a text that stand on a page at all; what is longer is there as a file."""

MOMENTS = 200
"""How much of a long timeline is shown unless all of it is asked for."""

_HEARD_BY_NOBODY = "No worker could be told; the order is due, and the next one that runs comes for it."


@dataclass(frozen=True, slots=True)
class Asked:
    """Which orders were asked for; `query` is how an address says so, `wrong` what was no valid wish and was left out."""

    wanted: Search
    query: Mapping[str, str]
    older: int | None = None
    newer: int | None = None
    wrong: Sequence[str] = field(default=())


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    panel = people.panel

    @pages.get("/orders")
    def orders() -> str | AnyResponse:
        sites = searching.sites_ever(panel)
        asked = _asked(request.args, sites)
        is_first = asked.older is None and asked.newer is None
        if asked.wanted.text and is_first and "every" not in request.args:
            found = searching.named(panel, asked.wanted)
            if found is not None:
                return redirect(url_of(found, q=asked.query["q"]))
        shown = searching.listed(panel, asked.wanted, older=asked.older, newer=asked.newer)
        return page("orders.html", asked=asked, found=shown, sites=sites, states=list(State), url_of=url_of)

    @pages.get("/orders.csv")
    def orders_csv() -> Response:
        asked = _asked(request.args, searching.sites_ever(panel))
        if asked.wrong:
            # Of a page one sees that a part was left out; a file would just hold other orders.
            raise UsageError(" ".join(asked.wrong))
        rows = searching.rows(panel, asked.wanted)
        named = {"Content-Disposition": 'attachment; filename="orders.csv"'}
        return Response(_csv(rows), mimetype="text/csv", headers=named)

    def the_one(key: str) -> FoundOrder:
        """The order of a page below the order's own. Several of this key: its page lets the person choose."""
        found = one.orders_of(panel, key, site=request.values.get("site") or None)
        if len(found) != 1:
            abort(404)
        return found[0]

    @pages.get("/orders/<path:key>", merge_slashes=False)
    def order(key: str) -> str:
        found = one.orders_of(panel, key, site=request.args.get("site") or None)
        if not found:
            abort(404)
        if len(found) > 1:
            return page("order_choice.html", here=HERE, key=key, orders=found, url_of=url_of)
        shown = one.order_page(panel, found[0])
        return page(
            "order.html",
            here=HERE,
            order=found[0],
            shown=shown,
            lines=[_line(each) for each in shown.rows.lines],
            moments=_moments(shown),
            everything="everything" in request.args,
            duration=duration,
            pretty=pretty,
            SHOWN=SHOWN,
            **_urls(found[0]),
        )

    @pages.get("/orders/<path:key>/explain", merge_slashes=False)
    def order_explained(key: str) -> str:
        found = the_one(key)
        line = _id_of(request.args.get("line"))
        explanation = explain(panel.parts, found.key, line=line)
        if explanation.site != found.site:
            # The platform's id of several orders, none of which has a number yet: there is nothing to explain.
            abort(404)
        unit = smallest_unit(explanation.currency) if explanation.currency else None
        return page(
            "order_explained.html",
            here=HERE,
            order=found,
            line=line,
            explained=explanation,
            digits=lambda value: digits(value, unit or value),
            pieces=lambda value: digits(value, Decimal(1)),
            **_urls(found),
        )

    @pages.get("/orders/<path:key>/received/<int:version>", merge_slashes=False)
    def order_received(key: str, version: int) -> str:
        found = the_one(key)
        shown = one.version_of(panel, found, version)
        if shown is None:
            abort(404)
        return page(
            "order_received.html",
            here=HERE,
            order=found,
            shown=shown,
            pretty=pretty,
            WHOLE=WHOLE,
            **_urls(found),
        )

    @pages.get("/orders/<path:key>/received/<int:version>.json", merge_slashes=False)
    def order_received_file(key: str, version: int) -> Response:
        found = the_one(key)
        shown = one.version_of(panel, found, version)
        part = pick(("body", "completed"), request.args.get("part", "body"))
        text = "" if shown is None or part is None else getattr(shown.received, part)
        if not text:
            abort(404)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{found.key}-version-{version}-{part}")[:100]
        return Response(
            text,
            mimetype="application/json",
            headers={"Content-Disposition": f'attachment; filename="{name}.json"'},
        )

    @pages.get("/orders/<path:key>/sent/<int:number>", merge_slashes=False)
    def order_sent(key: str, number: int) -> str:
        found = the_one(key)
        moment = one.sent_at(panel, found, number)
        if moment is None:
            abort(404)
        return page(
            "order_sent.html",
            here=HERE,
            order=found,
            moment=moment,
            pretty=pretty,
            WHOLE=WHOLE,
            **_urls(found),
        )

    @pages.post("/orders/<path:key>/retry", merge_slashes=False)
    @changes(people, Role.OPERATOR, "order.retry")
    def retry_order(key: str) -> AnyResponse:
        return _went_on(the_one(key), held=True)

    @pages.post("/orders/<path:key>/resume", merge_slashes=False)
    @changes(people, Role.OPERATOR, "order.resume")
    def resume_order(key: str) -> AnyResponse:
        return _went_on(the_one(key), held=False)

    def _went_on(found: FoundOrder, *, held: bool) -> AnyResponse:
        result, is_heard = one.let_go_on(panel, found, by=person().name, held=held, ring=people.doors.ring)
        to = back_to(url_of(found))
        said = f"{result.order}: {result.sentence}"
        if result.end not in {End.RESUMED, End.RELEASED, End.RESTARTED}:
            return refused(said, to)
        return done(said if is_heard else f"{said} {_HEARD_BY_NOBODY}", to)


def url_of(order: FoundOrder, endpoint: str = "panel.order", **more: Any) -> str:
    """The address of an order's page, or of one below it. An id without a number may be one of several sites'."""
    if not order.order_number:
        more["site"] = order.site
    return url_for(endpoint, key=order.key, **more)


def _urls(order: FoundOrder) -> dict[str, Any]:
    return {"url": lambda endpoint="panel.order", **more: url_of(order, endpoint, **more)}


# What was asked for.


def _asked(args: MultiDict[str, str], sites: Sequence[str]) -> Asked:
    wrong: list[str] = []
    text = args.get("q", "").strip()
    site, state = args.get("site", ""), args.get("state", "")
    if site and site not in sites:
        wrong.append(f"There is no site {site[:100]!r}.")
        site = ""
    if state and state not in list(State):
        wrong.append(f"There is no state {state[:100]!r}.")
        state = ""
    since = _day(args.get("since", ""), wrong)
    amended = bool(args.get("amended"))
    said = {
        "q": text,
        "site": site,
        "state": state,
        "since": "" if since is None else since.date().isoformat(),
        "amended": "1" if amended else "",
    }
    return Asked(
        Search(
            text=text,
            site=site or None,
            state=State(state) if state else None,
            since=since,
            amended=amended,
        ),
        query={name: value for name, value in said.items() if value},
        older=_id_of(args.get("older")),
        newer=_id_of(args.get("newer")),
        wrong=wrong,
    )


def _day(text: str, wrong: list[str]) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        wrong.append(f"{text[:100]!r} is no day; write it as 2026-11-30.")
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _id_of(text: str | None) -> int | None:
    """A row's id or a position out of an address; 404 for what cannot be one."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > LARGEST_ID:
        abort(404)
    return int(text)


# What is shown.


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "type": LineType(row["line_type"]).name.lower()}


def _moments(shown: one.OrderPage) -> dict[str, Any]:
    """The timeline, the newest first, and how much of it is left out."""
    told = list(reversed(shown.life.moments))
    if "everything" not in request.args:
        told = told[:MOMENTS]
    return {"told": told, "left_out": len(shown.life.moments) - len(told)}


class _Line:
    """Takes what the CSV writer writes, a line at a time."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    for row in rows:
        yield str(writer.writerow(row))
