"""How answers look on a terminal, and as JSON."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from app.domain.order import LineType
from app.domain.road import State
from app.ports.store import OrderSummary
from app.sync.overview import COUNTED

_COLOURS = {
    "done": "green",
    "held": "yellow",
    "rejected": "red",
    "skipped": "cyan",
    "closed": "cyan",
    "active": "white",
}


_STEERING = re.compile(
    "["
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"  # control characters, but for those that lay out: tab and new line
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"  # what turns the direction of writing around
    "\\u2028\\u2029\\ud800-\\udfff"  # line ends that are none here, and halves of characters
    "]"
)


def visible(text: str) -> str:
    r"""The text with its control characters shown as their escapes (`\x1b`), so that it steers no terminal."""
    return _STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class VisibleConsole(Console):
    """A console on which nothing that is shown steers the terminal: texts come from shops, and from whoever buys there.

    Escapes here and not where texts are made, so that none is forgotten. What rich itself writes for colours stays. A bell,
    a backspace, a form feed, a vertical tab and a carriage return are not shown at all: rich leaves them out.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich renders, each text with its control characters escaped before its lines are broken."""
        if isinstance(renderable, str):
            return super().render(visible(renderable), options)
        return super().render(
            _visible_text(renderable) if isinstance(renderable, Text) else renderable, options
        )


def _visible_text(text: Text) -> Text:
    """The same, with the styles of what it consists of."""
    if _STEERING.search(text.plain) is None:
        return text
    shown, at = text.blank_copy(), 0
    for found in _STEERING.finditer(text.plain):
        shown.append_text(text[at : found.start()])
        shown.append(_escape(found))
        at = found.end()
    return shown.append_text(text[at:])


def json_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON on one line; amounts as strings, times as ISO 8601 UTC; control characters as JSON's escapes."""
    text = json.dumps(value, default=_plain, ensure_ascii=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


class RunProgress:
    """A progress bar over the orders of a run; call it with the run's counts."""

    def __init__(self, console: Console, *, begins: str = "Reading orders") -> None:
        self._begins = begins
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(begins, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, counts: Mapping[str, int]) -> None:
        """Show how many orders have come to an end."""
        fetched = counts.get("fetched", 0)
        ended = fetched - counts.get("moving", 0)
        text = "Orders on the road" if fetched else self._begins
        self._progress.update(self._task, description=text, completed=ended, total=fetched or None)


def run_table(report: Mapping[str, Any]) -> RenderableType:
    """A run's counts and what did not go through."""
    name = report["site"] or f"run {report['run']}"
    table = Table(title=f"{name}: {report['state']} in {report['seconds']} s", title_justify="left")
    for each in COUNTED:
        table.add_column(each, justify="right", no_wrap=True, min_width=len(each))
    table.add_row(*(str(report[each]) for each in COUNTED))
    parts: list[RenderableType] = [table]
    if report["reason"]:
        parts.append(Text(report["reason"], style="yellow"))
    if report["orders"]:
        parts.append(problems_table(report["orders"]))
    return Group(*parts)


def problems_table(orders: Sequence[Mapping[str, str]]) -> Table:
    """Orders that were held, rejected, skipped or closed, with the reason."""
    table = Table("Order", "State", "Reason", title="Not exported", title_justify="left")
    ranks = {
        state.value: rank
        for rank, state in enumerate((State.HELD, State.REJECTED, State.SKIPPED, State.CLOSED))
    }
    for each in sorted(
        orders, key=lambda one: (ranks[one["state"]], len(one["platform_order_id"]), one["platform_order_id"])
    ):
        table.add_row(
            Text(each["order"]), Text(each["state"], style=_COLOURS[each["state"]]), Text(each["reason"])
        )
    return table


def orders_table(orders: Sequence[OrderSummary]) -> Table:
    """A list of orders."""
    table = Table("Order", "Site", "State", "Stage", "Total", "ERP document", "Reason")
    for each in orders:
        total = "" if each.total is None else f"{each.total:.2f} {each.currency}"
        number = each.order_number or f"(platform id {each.platform_order_id})"
        state = Text(each.state.value, style=_COLOURS[each.state.value])
        if each.amended:
            state.append(", amended", style="yellow")
        texts = (each.stage.value, total, each.erp_document, each.reason)
        table.add_row(Text(number), Text(each.site), state, *map(Text, texts))
    return table


def order_page(details: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One order from top to bottom."""
    thread = details["thread"]
    head = Table(show_header=False, box=None)
    for name in (
        "order_number",
        "site",
        "platform_order_id",
        "state",
        "stage",
        "reason",
        "version",
        "next_at",
    ):
        if thread[name] not in {None, ""}:
            head.add_row(name.replace("_", " "), Text(str(thread[name])))
    for name in (
        "order_date",
        "total",
        "currency",
        "payment_method",
        "trans_id",
        "erp_document_number",
        "erp_customer_number",
        "imported",
    ):
        if details["order"] is not None and details["order"][name] not in {None, ""}:
            head.add_row(name.replace("_", " "), Text(str(details["order"][name])))
    yield head
    if thread["amended_version"] is not None:
        yield Text(
            f"The platform has changed it since it was sent: version {thread['amended_version']} is kept and was sent nowhere.",
            style="yellow",
        )
    if details["lines"]:
        yield lines_table(details["lines"])
    for each in details["errors"]:
        state = "resolved" if each["resolved_at"] else "open"
        yield Text(
            f"{state} error at {each['stage']} ({each['kind']}): {each['reason']}",
            style="red" if state == "open" else "dim",
        )
    events = Table("When (UTC)", "Stage", "Event", "Detail")
    for each in details["events"]:
        detail = ", ".join(
            f"{name}: {value}" for name, value in each["detail"].items() if value not in {"", None}
        )
        cells = (each["at"].strftime("%Y-%m-%d %H:%M:%S"), each["stage"], each["event"], detail)
        events.add_row(*map(Text, cells))
    yield events


def lines_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """The lines of an order."""
    table = Table("#", "Type", "SKU", "Name", "Quantity", "Amount", "Credit", "Nominal")
    for each in lines:
        kind = LineType(each["line_type"]).name.lower().replace("_", " ")
        numbers = (
            f"{each['quantity']:f}".rstrip("0").rstrip("."),
            *(f"{each[name]:.2f}" for name in ("amount", "credit", "nominal")),
        )
        indent = "  " if each["parent"] else ""
        cells = (str(each["position"]), kind, indent + (each["sku"] or ""), each["name"], *numbers)
        table.add_row(*map(Text, cells))
    return table
