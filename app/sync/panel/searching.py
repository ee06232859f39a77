"""Finding orders: a page of a list, the one that a number names, and the whole list for a spreadsheet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.ports.searching import FoundOrder, Search, Span
from app.sync.exporting import cell
from app.sync.overview import known_site
from app.sync.panel.parts import Panel

PAGE = 50
_AT_ONCE = 1_000

COLUMNS = (
    *(
        "order_number",
        "platform_order_id",
        "site",
        "state",
        "stage",
        "reason",
        "total",
        "currency",
        "customer",
    ),
    *("order_date", "seen_at", "acknowledged_at", "exported_at", "erp_document", "updated_at", "amended"),
)


@dataclass(frozen=True, slots=True)
class OrderList:
    """A page of orders, the newest first. `older` and `newer` are where the next pages begin, None where there is none."""

    orders: Sequence[FoundOrder]
    older: int | None = None
    newer: int | None = None


def named(panel: Panel, wanted: Search) -> FoundOrder | None:
    """The one order of those asked for whose number, platform's id or document is exactly the text; None where there are more."""
    found = panel.store.orders_with_key(wanted.text, wanted)
    return found[0] if len(found) == 1 else None


def listed(panel: Panel, wanted: Search, *, older: int | None = None, newer: int | None = None) -> OrderList:
    """The orders that are older, or newer, than the one with this row id; else the newest. Orders that arrive move no page."""
    if newer is not None:
        # Ascending, so that it is those next to the page before; one more tells whether there are any beyond.
        found = sorted(
            panel.store.found_orders(wanted, Span(PAGE + 1, newer=newer)), key=lambda each: -each.id
        )
        if len(found) > PAGE:
            return OrderList(found[1:], older=found[-1].id, newer=found[1].id)
        # The beginning of the list is a whole page.
        return listed(panel, wanted)
    found = list(panel.store.found_orders(wanted, Span(PAGE + 1, older=older)))
    shown = found[:PAGE]
    return OrderList(
        shown,
        older=shown[-1].id if len(found) > PAGE else None,
        newer=shown[0].id if shown and older is not None else None,
    )


def sites_ever(panel: Panel) -> list[str]:
    """The names of all sites, those that were removed as well: their orders are still there."""
    return sorted({each.name for each in (*panel.store.sites(), *panel.store.removed_sites())})


def rows(panel: Panel, wanted: Search) -> Iterator[list[str]]:
    """All these orders as rows of cells, the header first, the newest before the older. Raises `UsageError` for an unknown site."""
    if wanted.site is not None:
        known_site(panel.parts, wanted.site)
    return _rows(panel, wanted)


def _rows(panel: Panel, wanted: Search) -> Iterator[list[str]]:
    yield list(COLUMNS)
    if wanted.text:
        # Looked for once, and not again for each part of the file.
        ids = panel.store.found_ids(wanted)
        for start in range(0, len(ids), _AT_ONCE):
            for each in panel.store.orders_with_ids(ids[start : start + _AT_ONCE]):
                yield [cell(getattr(each, name)) for name in COLUMNS]
        return
    older: int | None = None
    while found := panel.store.found_orders(wanted, Span(_AT_ONCE, older=older)):
        for each in found:
            yield [cell(getattr(each, name)) for name in COLUMNS]
        older = found[-1].id
