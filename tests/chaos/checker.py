"""Whether anything was lost, done twice, left lying or got wrong, judged by what the shops, the ERP and the database hold.

Nothing of the program is imported: what it believes of itself is part of what is checked.

What it does not look at: what a document says but its number and total (lines, addresses, the customer that it is for); which version
of an order was the newest when it was sent; orders that are deleted or archived in their shop; reasons and the wording of errors;
whether events and seals are whole (`ordersync audit verify` is asked by the run, and is the program's own word); what operators can do.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.chaos.state import Document, Present, Row, ShopOrder, State, moment, stored_of

_UNFINISHED = {"active", "held"}
_STEP_UNFINISHED = {"owed", "sending", "in_doubt"}
_PATIENCE = timedelta(seconds=60)
"""A lease, a run or a due time that was over so long before the end of the run was forgotten by everybody."""
_LONGEST_HOLD = timedelta(hours=1)
_ENDS = ("exported", "errors", "held", "closed", "cancelled_unread")
"""Where an order can be that nothing is wrong with, as `Findings.counts` has it."""
_NEVER = {"crash", "internal", "duplicate", "gave_up"}
"""Errors that no order explains, whatever it looks like, and that are findings even where they are resolved."""


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


def check(state: State, *, at: datetime, lease: timedelta) -> Findings:
    """Look at everything, `at` being the time of the middleware's clock when the state was read.

    Nothing runs any more then. `lease` is how long a worker may hold a row without saying so again.
    """
    found = Findings()
    seen = _Seen(state, at=at)
    for order in state.orders:
        _check_order(order, seen, found)
    _check_documents(state, seen, found)
    _check_threads(state, seen, found)
    _check_errors(state, found)
    _check_customers(state, found)
    _check_cursors(state, seen, found)
    _check_rows(state, found, at=at)
    _check_leases(state, found, at=at, lease=lease)
    found.cents_documents = sum((_cents(each.total) for each in state.documents), 0)
    found.cents_orders = seen.cents
    if found.cents_documents != found.cents_orders:
        found.wrong.append(
            f"The ERP's documents come to {found.cents_documents} cents, the orders that they are of to {found.cents_orders}."
        )
    return found


def check_sums(found: Findings, *, placed: int, shown: int) -> None:
    """Whether the shops show as many orders as were placed, and whether each of them has come to one of the known ends."""
    if placed != shown:
        found.wrong.append(f"{placed} orders were placed, and the shops show {shown}.")
    ends = sum(found.counts[name] for name in _ENDS)
    if found.is_clean() and ends != placed:
        found.wrong.append(
            f"{placed} orders were placed, and {ends} have come to an end: {dict(found.counts)}."
        )


class _Seen:
    """The state by the keys that it is looked up with."""

    def __init__(self, state: State, *, at: datetime) -> None:
        self.at = at
        self.items = state.items
        self.known_items = {row["sku"].upper() for row in state.tables["rm_items"]}
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
        self.versions: dict[tuple[int, str], dict[int, Present]] = defaultdict(dict)
        for row in state.tables["rm_inbox"]:
            self.versions[row["site_id"], row["platform_order_id"]][row["version"]] = stored_of(row["body"])
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
        _without_row(order, documents, name, found)
        return
    if thread["state"] != "closed":
        # A closed one is closed by its status alone, of which no version need be stored.
        _check_newest(order, seen.versions[site["id"], order.id], name, found, is_sent=bool(documents))
    if order.marked and thread["id"] not in seen.orders:
        found.wrong.append(f"{name} is marked in its shop and has no row in rm_order.")
    bad = bool(_kinds(order, seen.items))
    errors = seen.errors.get(thread["id"], [])
    if documents:
        seen.cents += _of_document(order, thread, documents[0], seen, found)
        _check_row(order, seen.orders.get(thread["id"]), seen.steps[thread["id"]], name, found)
        if bad:
            found.wrong.append(f"{name} cannot be right and has a document.")
        if errors:
            found.wrong.append(f"{name} has a document and an open error: {errors[0]['reason']}")
        return
    if thread["state"] == "held":
        _held(order, thread, name, seen, found)
        return
    _without_document(order, thread, errors, name, found, kinds=_kinds(order, seen.items))


def _without_row(order: ShopOrder, documents: list[Document], name: str, found: Findings) -> None:
    if documents:
        found.wrong.append(f"{name} has a document but no row.")
    elif order.wanted:
        found.lost.append(f"{name} was never stored.")
    else:
        found.counts["cancelled_unread"] += 1


def _check_newest(
    order: ShopOrder, versions: Mapping[int, Present], name: str, found: Findings, *, is_sent: bool
) -> None:
    """An edit or a cancellation in the shop is stored, whatever became of the order.

    A cancellation after the export is told by a webhook or by the night's comparison alone, since readings list no cancelled orders:
    where the webhook was lost in a run without a night, it is counted and no more.
    """
    if not versions:
        found.lost.append(f"{name} has a row and no stored version.")
        return
    newest = versions[max(versions)]
    if is_sent and not order.wanted and replace(newest, status=order.present.status) == order.present:
        found.counts["cancelled_unheard"] += newest != order.present
        return
    if newest != order.present:
        found.lost.append(
            f"A change of {name}: in its shop it is ({order.present}), and stored is ({newest})."
        )


def _check_row(
    order: ShopOrder, row: Row | None, steps: Mapping[str, Row], name: str, found: Findings
) -> None:
    """What is said of an order with a document: that it was exported, and that its shop was told."""
    if row is None:
        found.wrong.append(f"{name} has a document and no row in rm_order.")
        return
    if row["imported"] != 1:
        found.wrong.append(f"{name} has a document and is not called exported.")
    mark = steps.get("acknowledge")
    if mark is not None and mark["state"] == "closed" and not order.wanted:
        # It was cancelled before its mark could be set or looked at again.
        return
    if not order.marked:
        found.wrong.append(f"{name} has a document and is not marked in its shop.")
    elif row["acknowledged_at"] is None:
        found.wrong.append(f"{name} is marked in its shop, and our row does not know.")


def _kinds(order: ShopOrder, items: frozenset[str]) -> set[str]:
    """The kinds of error that an order calls for by its shape; none where it is good."""
    kinds = {"balance", "totals"} if order.wrong else set()
    return kinds | {"bad_sku"} if any(sku not in items for sku in order.skus) else kinds


def _held(order: ShopOrder, thread: Row, name: str, seen: _Seen, found: Findings) -> None:
    """It may wait for an item that was not read yet, and for nothing else, and not for long."""
    next_at = moment(thread["next_at"])
    if all(sku.upper() in seen.known_items for sku in order.skus):
        found.stuck.append(f"{name} is held, and all of its items are known: {thread['reason']}")
    elif next_at is None or next_at > seen.at + _LONGEST_HOLD:
        found.stuck.append(f"{name} is held until {next_at}.")
    else:
        found.counts["held"] += 1


def _of_document(order: ShopOrder, thread: Row, document: Document, seen: _Seen, found: Findings) -> int:
    """The cents that the document has to come to."""
    name = seen.external(order)
    found.counts["exported"] += 1
    if thread["state"] != "done":
        found.wrong.append(f"{name} has a document and is {thread['state']}: {thread['reason']}")
    total = order.total
    if thread["amended_version"] is not None:
        # It was changed after it was sent: the document is of the version before, the newest is the amendment.
        found.counts["amended"] += 1
        versions = seen.versions[thread["site_id"], thread["platform_order_id"]]
        total = versions.get(thread["version"], order.present).total
        if thread["amended_version"] != max(versions, default=None):
            found.wrong.append(f"{name} has a newer version than its amendment.")
    if document.total != total:
        found.wrong.append(f"{name} has a document of {document.total} and not of {total}.")
    return _cents(total)


def _without_document(
    order: ShopOrder, thread: Row, errors: list[Row], name: str, found: Findings, *, kinds: set[str]
) -> None:
    state = thread["state"]
    if len(errors) > 1:
        found.wrong.append(f"{name} has {len(errors)} open errors.")
    if state == "rejected" and errors:
        found.counts["errors"] += 1
        error = errors[0]
        if not kinds:
            found.wrong.append(f"{name} has an error without a cause in its shop: {error['reason']}")
        elif error["kind"] not in kinds:
            found.wrong.append(f"{name} has an error of the kind {error['kind']} and not {_either(kinds)}.")
        return
    if kinds and order.wanted:
        found.wrong.append(f"{name} cannot be right and has no open error; it is {state}.")
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


def _check_threads(state: State, seen: _Seen, found: Findings) -> None:
    """One row for each order, and none of an order that no shop has."""
    shown = {(seen.sites[order.site]["id"], order.id) for order in state.orders}
    rows = Counter((row["site_id"], row["platform_order_id"]) for row in state.tables["rm_thread"])
    for key, count in rows.items():
        name = f"The order {key[1]} of site {key[0]}"
        if count > 1:
            found.duplicated.append(f"{name} has {count} rows.")
        if key not in shown:
            found.wrong.append(f"{name} has a row, and its shop does not know it.")


def _check_errors(state: State, found: Findings) -> None:
    """No order was ever given up as the program's own fault, as written twice, or for being tried too long."""
    found.wrong += [
        f"Thread {row['thread_id']} has, or had, an error of the kind {row['kind']}: {row['reason']}"
        for row in state.tables["rm_error_orders"]
        if row["kind"] in _NEVER
    ]


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
            if order.wanted and order.modified < cursor and not seen.versions.get((site["id"], order.id))
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
        f"The {what} {row['name']} is still held by somebody."
        for what, table in (("site", "rm_sites"), ("ERP", "rm_erps"))
        for row in tables[table]
        if row["lease_token"] is not None and _is_old(row["lease_until"], at)
    ]


def _check_leases(state: State, found: Findings, *, at: datetime, lease: timedelta) -> None:
    """Nobody holds what is finished, and nobody holds anything for longer than a lease."""
    tables = state.tables
    for table in ("rm_thread", "rm_step", "rm_delivery", "rm_sites", "rm_erps"):
        for row in tables[table]:
            until = moment(row["lease_until"])
            if until is not None and until > at + lease:
                found.stuck.append(f"{table} {row['id']} is held until {until}, longer than a lease.")
    finished = (
        *(("rm_thread", row) for row in tables["rm_thread"] if row["state"] not in _UNFINISHED),
        *(("rm_step", row) for row in tables["rm_step"] if row["state"] not in _STEP_UNFINISHED),
        *(("rm_delivery", row) for row in tables["rm_delivery"] if row["done_at"] is not None),
    )
    found.stuck += [
        f"{table} {row['id']} is finished and still held by somebody."
        for table, row in finished
        if row["lease_token"] is not None or row["lease_until"] is not None
    ]


def _either(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


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
