"""The error desk as people see it in the panel: pages of errors and holds, one error, and what is done about many at once."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain import document
from app.domain.order import Order
from app.domain.road import HOLD_SKU
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.ports.desk import DeskOrder, ErrorFilter, ErrorOrder, ErrorSort
from app.ports.error_counts import ErrorFigures, HeldFilter, HeldGroup, HeldThread
from app.sync import desk, settle
from app.sync.overview import known_site
from app.sync.panel.parts import Panel
from app.sync.policy import HOLD_MAINTENANCE, HOLD_SETTINGS
from app.sync.repair import check_open
from app.sync.resume import End, Result
from app.sync.trace import Moment, life_of

PAGE = 50
AT_ONCE = 1_000
"""So many orders are taken at once, the first of those that are meant."""

FORESEEN_AT_ONCE = 100
"""To foresee what would become of an order, shop and ERP are asked."""

_LARGEST_ID = 2**31 - 1
_GROUPS = 50
_SEEN = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
_PASSED = "The error that it was chosen by is not open any more; look at the order again."
_BY_PEOPLE = frozenset(
    "commented repaired repair repair_ended resumed replayed settled released assigned error_opened error_resolved".split()
)

_BUTTONS = tuple(
    (re.compile(command), words)
    for command, words in (
        (r"ordersync errors repair --withdraw( /[^\s)]*)?", "“Withdraw”, beside the repair"),
        (r"ordersync errors repair", "“Repair”"),
        (r"ordersync errors resume --send-again", "“Send again”"),
        (r"ordersync errors resume", "“Resume”"),
        (r"ordersync errors replay --read-again", "“Read again”"),
        (r"ordersync errors replay", "“Run from the start”"),
        (r"ordersync errors skip", "“Settle as it is”"),
        (r"ordersync held release", "“Try at once”, among the held orders"),
        (r"ordersync explain", "its amounts, on the order's page"),
        (r"ordersync items sync, or ordersync items import", "see Items and kits"),
        (r"ordersync (items|kits) (import|sync)", "Items and kits"),
        (r"ordersync erp set, ordersync site set", "Sites and systems"),
        (r"`ordersync (site|erp) [^`]*`", "Sites and systems"),
        (r"ordersync (site|erp) (set|add)", "Sites and systems"),
        (r"with --reason", "in the field for it"),
    )
)
"""What does in the panel what a command does, so that sentences that name a command are good for both."""


def in_panel(sentence: str) -> str:
    """The sentence with the panel's words for the commands that it names."""
    for command, words in _BUTTONS:
        sentence = command.sub(words, sentence)
    return sentence


@dataclass(frozen=True, slots=True)
class Health:
    """The desk at a glance, and one page of the errors that were asked for: how many those are, and what they are worth."""

    figures: ErrorFigures
    rows: Sequence[Mapping[str, Any]]
    errors: int
    money: Mapping[str, Decimal]
    has_more: bool


def health(panel: Panel, wanted: ErrorFilter, *, sort: ErrorSort, reverse: bool, page: int) -> Health:
    """One page of these errors, the first is 1. Raises `UsageError` for a site that never was."""
    parts = panel.parts
    rows = desk.errors(parts, wanted, sort=sort, reverse=reverse, limit=PAGE + 1, offset=(page - 1) * PAGE)
    figures = panel.store.error_figures()
    if wanted == ErrorFilter():
        errors, money = figures.errors, figures.money
    else:
        sums = panel.store.error_sums(wanted)
        errors, money = sums.errors, sums.money
    return Health(figures=figures, rows=rows[:PAGE], errors=errors, money=money, has_more=len(rows) > PAGE)


def sites_ever(panel: Panel) -> list[str]:
    """The names of all sites, those that were removed as well."""
    return sorted({each.name for each in (*panel.store.sites(), *panel.store.removed_sites())})


def people_to_assign(panel: Panel) -> list[str]:
    """Whom errors can be given to."""
    return [each.name for each in panel.store.users() if each.is_active]


# The orders that a form means.


def orders_ticked(
    panel: Panel, *, errors: Collection[int] = (), orders: Collection[int] = ()
) -> tuple[DeskOrder, ...]:
    """The orders of these errors, and those with these row ids. Raises `UsageError` for none, and for too many."""
    if len(errors) + len(orders) > AT_ONCE:
        raise UsageError(f"At most {AT_ONCE:,} orders are taken at once; nothing was done.")
    threads = {each for each in orders if 0 < each <= _LARGEST_ID}
    threads |= set(panel.store.threads_of_errors([each for each in errors if 0 < each <= _LARGEST_ID]))
    return _those(panel, threads)


def orders_matching(
    panel: Panel, wanted: ErrorFilter, *, sort: ErrorSort, reverse: bool
) -> tuple[DeskOrder, ...]:
    """The orders of the first `AT_ONCE` open errors that are asked for. Raises `UsageError` for none."""
    if wanted.site is not None:
        known_site(panel.parts, wanted.site)
    threads = panel.store.error_threads(wanted, sort=sort, reverse=reverse, limit=AT_ONCE)
    return _those(panel, threads)


def held_matching(panel: Panel, wanted: HeldFilter) -> tuple[DeskOrder, ...]:
    """The first `AT_ONCE` held orders that are asked for. Raises `UsageError` for none."""
    found = panel.store.held_page(wanted, limit=AT_ONCE, offset=0)
    return _those(panel, [each.thread_id for each in found])


def _those(panel: Panel, threads: Collection[int]) -> tuple[DeskOrder, ...]:
    found = panel.store.desk_orders(threads) if threads else ()
    if not found:
        raise UsageError("No order was chosen; nothing was done. Tick the orders that are meant.")
    return found


def passed_over(order: DeskOrder) -> Result:
    """What is told of an order that was chosen by an error which is not open any more."""
    return Result(order.name, order.site, order.thread_id, End.REFUSED, _PASSED)


def seen_at(texts: Sequence[str]) -> dict[int, int]:
    """By the row ids of orders the revisions that a person saw them at, each as `7:3`. Raises `UsageError` for anything else."""
    found: dict[int, int] = {}
    for text in texts:
        match = _SEEN.fullmatch(text)
        order, revision = (0, 0) if match is None else (int(match[1]), int(match[2]))
        if not 0 < order <= _LARGEST_ID or found.setdefault(order, revision) != revision:
            raise UsageError(
                "The form does not say at which revision each order was seen; nothing was done. Choose the orders anew."
            )
    return found


def skip_all(
    panel: Panel, orders: Sequence[DeskOrder], *, seen: Mapping[int, int], reason: str, by: str
) -> list[Result]:
    """Settle these orders as they were `seen`: at which revision, by their row ids; others are left alone.

    Raises `UsageError` for a reason that is none, before the first.
    """
    settle.check_reason(reason)
    return [
        settle.skip(panel.parts, each, reason=reason, by=by, revision=seen[each.thread_id]) for each in orders
    ]


def comment_all(panel: Panel, orders: Sequence[DeskOrder], *, text: str, by: str) -> str:
    """Note the same for each of these orders. Returns a sentence; raises `UsageError` before the first."""
    for each in orders:
        settle.comment(panel.parts, each, text=text, by=by)
    return f"Noted for {counted(len(orders), 'order')}."


def assign_all(panel: Panel, orders: Sequence[DeskOrder], *, to: str | None, by: str) -> str:
    """Give the open errors of these orders to an active user, or to nobody. Returns a sentence. Raises `UsageError`."""
    if to is not None and to not in people_to_assign(panel):
        raise UsageError(f"There is no active user {to!r}; nothing was assigned.")
    given = settle.assign(panel.parts, orders, to=to, by=by)
    whose = "nobody's" if to is None else f"{to}'s"
    return f"{counted(given, 'open error')} {'is' if given == 1 else 'are'} {whose} now."


# One error.


class NoSuchError(Misconfigured):
    """No error has this id."""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """One error with its order as the desk works on it.

    `so_far` is the order as it has been read, None where it could not be. `unrepairable` says why it cannot be repaired.
    """

    error: ErrorOrder
    order: DeskOrder
    age_seconds: float
    takes: str
    so_far: Order | None
    unrepairable: str
    moments: tuple[Moment, ...]

    @property
    def is_open(self) -> bool:
        """Whether it still needs a person."""
        return self.error.resolved_at is None


def error_page(panel: Panel, error_id: int) -> ErrorPage:
    """Raises `NoSuchError`."""
    error, order = error_with_order(panel, error_id)
    text = order.document or error.document
    moments = life_of(panel.parts, order.thread_id).moments
    return ErrorPage(
        error=error,
        order=order,
        age_seconds=((error.resolved_at or panel.store.now()) - error.opened_at).total_seconds(),
        takes=in_panel(desk.takes(error.kind)) if error.resolved_at is None else "",
        so_far=None if text is None else document.load_text(text),
        unrepairable=_unrepairable(order),
        moments=tuple(each for each in moments if each.event in _BY_PEOPLE),
    )


def error_with_order(panel: Panel, error_id: int) -> tuple[ErrorOrder, DeskOrder]:
    """The error and its order. Raises `NoSuchError`."""
    found = panel.store.found_error(error_id) if 0 < error_id <= _LARGEST_ID else None
    orders = () if found is None else panel.store.desk_orders([found.thread_id])
    if found is None or not orders:
        raise NoSuchError(f"There is no error {error_id}.")
    return found.error, orders[0]


def error_id_of(panel: Panel, key: str) -> int | None:
    """The error of the order with this number or platform's id, an open one first; None where it has none."""
    found = panel.store.errors_of(key)
    return found[0].id if found else None


def _unrepairable(order: DeskOrder) -> str:
    try:
        check_open(order)
    except UsageError as error:
        return in_panel(error.reason)
    return ""


# What is held.


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Held orders: what they wait for, how many those are that were asked for, and one page of them."""

    groups: tuple[tuple[HeldGroup, str], ...]
    rows: tuple[HeldThread, ...]
    orders: int
    has_more: bool
    now: datetime


def held_page(panel: Panel, wanted: HeldFilter, *, page: int) -> HeldPage:
    """One page of these held orders, the first is 1, and the groups of all of the site. Raises `UsageError`."""
    if wanted.site is not None:
        known_site(panel.parts, wanted.site)
    rows = panel.store.held_page(wanted, limit=PAGE + 1, offset=(page - 1) * PAGE)
    groups = panel.store.held_groups(site=wanted.site, limit=_GROUPS)
    return HeldPage(
        groups=tuple((each, waits_for(each.kind, each.what)) for each in groups),
        rows=rows[:PAGE],
        orders=panel.store.held_count(wanted),
        has_more=len(rows) > PAGE,
        now=panel.store.now(),
    )


def waits_for(kind: str, what: str) -> str:
    """What a held order waits for, in words."""
    match kind:
        case kind if kind == HOLD_SKU:
            return f"the SKU {what}"
        case kind if kind == HOLD_MAINTENANCE:
            return f"the end of a maintenance window: {what}"
        case kind if kind == HOLD_SETTINGS:
            return f"settings to be mended: {what}"
        case _:
            return what
