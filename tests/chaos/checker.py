"""Whether anything was lost, done twice, left lying or got wrong, judged by what the shops, the ERP and the database hold.

Nothing of the program is imported: what it believes of itself is part of what is checked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.chaos.state import Document, Row, ShopOrder, State, moment, total_of

_UNFINISHED = {"active", "held"}
_STEP_UNFINISHED = {"owed", "sending", "in_doubt"}
_PATIENCE = timedelta(seconds=60)
"""A lease, a run or a due time that was over so long before the end of the run was forgotten by everybody."""


@dataclass(slots=True)
class Findings:
    """What was found: one sentence for each order or row. All but the sums and counts are empty where all is well."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    cents_documents: int = 0
    cents_orders: int = 0

    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.duplicated or self.stuck or self.wrong)

    def sentences(self) -> Iterator[str]:
        """Every finding with its kind."""
        for kind in ("lost", "duplicated", "stuck", "wrong"):
            for sentence in getattr(self, kind):
                yield f"{kind}: {sentence}"


def check(state: State, *, at: datetime) -> Findings:
    """Look at everything, `at` being the time of the middleware's clock when the state was read."""
    found = Findings()
    seen = _Seen(state)
    for order in state.orders:
        _check_order(order, seen, found)
    _check_documents(state, seen, found)
    _check_customers(state, found)
    _check_cursors(state, seen, found)
    _check_rows(state, found, at=at)
    found.cents_documents = sum((_cents(each.total) for each in state.documents), 0)
    found.cents_orders = seen.cents
    if found.cents_documents != found.cents_orders:
        found.wrong.append(
            f"The ERP's documents come to {found.cents_documents} cents, the orders that they are of to {found.cents_orders}."
        )
    return found


class _Seen:
    """The state by the keys that it is looked up with."""

    def __init__(self, state: State) -> None:
        self.items = state.items
        self.sites = {row["name"]: row for row in state.tables["rm_sites"]}
        self.documents: dict[str, list[Document]] = defaultdict(list)
        for document in state.documents:
            self.documents[document.external.upper()].append(document)
        self.threads = {(row["site_id"], row["platform_order_id"]): row for row in state.tables["rm_thread"]}
        self.orders = {row["thread_id"]: row for row in state.tables["rm_order"]}
        self.errors: dict[int, list[Row]] = defaultdict(list)
        for row in state.tables["rm_error_orders"]:
            if row["resolved_at"] is None:
                self.errors[row["thread_id"]].append(row)
        self.steps: dict[int, dict[str, Row]] = defaultdict(dict)
        for row in state.tables["rm_step"]:
            self.steps[row["thread_id"]][row["kind"]] = row
        self.versions: dict[tuple[int, str], int] = {}
        for row in state.tables["rm_inbox"]:
            key = (row["site_id"], row["platform_order_id"])
            self.versions[key] = max(self.versions.get(key, 0), row["version"])
        self.amended: dict[tuple[int, int], Decimal] = {
            (row["thread_id"], row["version"]): total_of(row["body"]) for row in state.tables["amended"]
        }
        self.cents = 0

    def external(self, order: ShopOrder) -> str:
        """The number that the order's document has to have."""
        return f"{self.sites[order.site]['prefix']}-{order.number}".upper()


def _check_order(order: ShopOrder, seen: _Seen, found: Findings) -> None:
    site = seen.sites[order.site]
    thread = seen.threads.get((site["id"], order.id))
    name = seen.external(order)
    documents = seen.documents.get(name, [])
    if len(documents) > 1:
        found.duplicated.append(f"{name} has {len(documents)} documents.")
        return
    if thread is None:
        if documents:
            found.wrong.append(f"{name} has a document but no row.")
        elif order.wanted:
            found.lost.append(f"{name} was never stored.")
        else:
            found.counts["cancelled_unread"] += 1
        return
    if order.marked and thread["id"] not in seen.orders:
        found.wrong.append(f"{name} is marked in its shop and has no row in rm_order.")
    bad = order.wrong or any(sku not in seen.items for sku in order.skus)
    errors = seen.errors.get(thread["id"], [])
    if documents:
        seen.cents += _of_document(order, thread, documents[0], seen, found)
        if bad:
            found.wrong.append(f"{name} cannot be right and has a document.")
        if errors:
            found.wrong.append(f"{name} has a document and an open error: {errors[0]['reason']}")
        return
    _without_document(order, thread, errors, name, found, bad=bad)


def _of_document(order: ShopOrder, thread: Row, document: Document, seen: _Seen, found: Findings) -> int:
    """The cents that the document has to come to."""
    name = seen.external(order)
    found.counts["exported"] += 1
    if thread["state"] != "done":
        found.wrong.append(f"{name} has a document and is {thread['state']}: {thread['reason']}")
    total = order.total
    if thread["amended_version"] is not None:
        # It was changed after it was sent: the document is of the version before, the amendment is the shop's present state.
        found.counts["amended"] += 1
        kept = seen.amended[thread["id"], thread["amended_version"]]
        if kept != order.total:
            found.wrong.append(
                f"{name} is kept as an amendment of {kept} and stands at {order.total} in its shop."
            )
        total = seen.amended[thread["id"], thread["version"]]
    elif not order.marked:
        found.wrong.append(f"{name} has a document and is not marked in its shop.")
    elif not order.wanted:
        found.wrong.append(f"{name} was cancelled after its document was made, and nothing of it is stored.")
    if document.total != total:
        found.wrong.append(f"{name} has a document of {document.total} and not of {total}.")
    return _cents(total)


def _without_document(
    order: ShopOrder, thread: Row, errors: list[Row], name: str, found: Findings, *, bad: bool
) -> None:
    state = thread["state"]
    if len(errors) > 1:
        found.wrong.append(f"{name} has {len(errors)} open errors.")
    if state == "rejected" and errors:
        found.counts["errors"] += 1
        if not bad:
            found.wrong.append(f"{name} has an error without a cause in its shop: {errors[0]['reason']}")
        return
    if bad and order.wanted:
        found.wrong.append(f"{name} cannot be right and has no open error; it is {state}.")
        return
    if state == "held" and thread["next_at"] is not None:
        found.counts["held"] += 1
        return
    if state in {"closed", "skipped"} and not order.wanted:
        found.counts["closed"] += 1
        return
    if state in _UNFINISHED:
        found.stuck.append(f"{name} is {state} at {thread['stage']}: {thread['reason']}")
        return
    found.lost.append(f"{name} is {state} without a document: {thread['reason']}")


def _check_documents(state: State, seen: _Seen, found: Findings) -> None:
    """Nothing in the ERP that no shop ordered, and what our rows say was exported is there."""
    wanted = {seen.external(order) for order in state.orders}
    found.wrong += [
        f"The document {each.number} ({each.external}) is of no order."
        for each in state.documents
        if each.external.upper() not in wanted
    ]
    for thread_id, row in seen.orders.items():
        documents = seen.documents.get(row["external_number"].upper(), [])
        if row["imported"] == 1 and row["erp_document_number"] not in {each.number for each in documents}:
            found.wrong.append(f"{row['external_number']} is called exported and has no such document.")
        export = seen.steps[thread_id].get("export")
        if export is not None and export["state"] == "done" and not documents:
            found.wrong.append(f"{row['external_number']}: the export is called done without a document.")


def _check_customers(state: State, found: Findings) -> None:
    # The ERP's own demo records hold two customers of one address, as real ones do.
    twice = {
        each: count
        for each, count in Counter(state.customers).items()
        if count > 1 and each.endswith("@chaos.example.test")
    }
    found.duplicated += [f"The customer {each} was made {count} times." for each, count in twice.items()]


def _check_cursors(state: State, seen: _Seen, found: Findings) -> None:
    """No cursor stands past an order that is not stored, nor past everything there is."""
    for name, site in seen.sites.items():
        cursor = moment(site["cursor_modified"])
        of_site = [order for order in state.orders if order.site == name]
        if cursor is None:
            if any(order.wanted for order in of_site):
                found.wrong.append(f"{name} has no cursor.")
            continue
        if of_site and cursor > max(order.modified for order in of_site):
            found.wrong.append(f"The cursor of {name} stands at {cursor}, past everything in its shop.")
        found.wrong += [
            f"The cursor of {name} is past {seen.external(order)}, which is not stored."
            for order in of_site
            if order.wanted and order.modified < cursor and (site["id"], order.id) not in seen.versions
        ]


def _check_rows(state: State, found: Findings, *, at: datetime) -> None:
    """Every unfinished row has a next time, and nobody holds what he has forgotten."""
    tables = state.tables
    for row in _states(tables["rm_thread"], _UNFINISHED):
        _check_next(row, f"The order {row['order_number'] or row['platform_order_id']}", found, at=at)
    for row in _states(tables["rm_step"], _STEP_UNFINISHED):
        _check_next(
            row, f"The step {row['kind']} of thread {row['thread_id']} ({row['state']})", found, at=at
        )
    found.stuck += [
        f"The delivery {row['id']} was never read." for row in tables["rm_delivery"] if row["done_at"] is None
    ]
    found.stuck += [
        f"The run {row['id']} ({row['state']}) never ended."
        for row in tables["rm_run"]
        if row["finished_at"] is None and _is_old(row["started_at"], at)
    ]
    found.stuck += [
        f"The site {row['name']} is still held by somebody."
        for row in tables["rm_sites"]
        if row["lease_token"] is not None and _is_old(row["lease_until"], at)
    ]


def _states(rows: Iterable[Row], states: set[str]) -> Iterator[Row]:
    return (row for row in rows if row["state"] in states)


def _check_next(row: Mapping[str, Any], name: str, found: Findings, *, at: datetime) -> None:
    if row["next_at"] is None:
        found.stuck.append(f"{name} is unfinished and has no next time.")
    elif _is_old(row["next_at"], at):
        found.stuck.append(f"{name} was due at {row['next_at']} and nobody came.")


def _is_old(value: Any, at: datetime) -> bool:
    found = moment(value)
    return found is not None and found < at - _PATIENCE


def _cents(amount: Decimal) -> int:
    cents = amount * 100
    assert cents == cents.to_integral_value(), f"{amount} is no whole number of cents"
    return int(cents)
