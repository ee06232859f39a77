"""Comparing what a platform shows with what the middleware has and what the ERP holds: complete up to a time, or what is not.

Nothing is ever sent to the ERP from here. What was exported and is not there any more is for a person to decide about.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import structlog

from app.domain.road import SENT, State, StepState
from app.domain.words import counted
from app.errors import Misconfigured, Retry, UsageError
from app.ports.certificates import NewCertificate, StoredOrder
from app.ports.erp import ErpDocument
from app.ports.sales_channel import Listed, Seen
from app.ports.store import ErpRow, Site
from app.sync.fetch import Ring, skip_test
from app.sync.named import read_named
from app.sync.options import erp_options, site_options
from app.sync.parts import Parts, erp_of

log = structlog.get_logger("ordersync.reconcile")

_AT_ONCE = 100
_RUNS_LOOKED_AT = 20
_READ = frozenset(("running", "finished"))


class Kind(StrEnum):
    """What is not as it should be."""

    MISSING = "missing"
    NO_BODY = "no_body"
    CLOSED = "closed"
    AMOUNT = "amount"
    ERP_MISSING = "erp_missing"
    ERP_DOUBLED = "erp_doubled"
    ERP_AMOUNT = "erp_amount"
    ERP_UNEXPECTED = "erp_unexpected"


_HEALS = (Kind.MISSING, Kind.NO_BODY, Kind.CLOSED, Kind.AMOUNT)
"""What reading the order from the platform again may put right."""


class Heal(StrEnum):
    """What may be read again. `UNMARKED`: orders that carry our mark and are not stored are left to a person.

    Such an order may have been exported by another system before, or lost from our database after its export.
    """

    NOTHING = "nothing"
    UNMARKED = "unmarked"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Finding:
    """One order that is not as it should be: its number (or the platform's id), what it is, and a sentence."""

    kind: Kind
    order: str
    platform_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One order that is stored but not exported, and why."""

    order: str
    state: str
    reason: str


@dataclass(slots=True)
class Comparison:
    """What was compared, and what came of it. `until_at`: up to this time every eligible order was read."""

    site: str
    from_at: datetime | None
    until_at: datetime
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    not_exported: list[Standing] = field(default_factory=list)
    healed: tuple[Finding, ...] = ()
    certificate_id: int | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, doubled or different, and all of it could be compared."""
        return not self.findings and not self.counts["not_compared"]


def reconcile(
    parts: Parts,
    site: Site,
    *,
    since: datetime | None,
    until: datetime | None,
    heal: Heal,
    ring: Ring,
    in_time: Callable[[], bool] = lambda: True,
) -> Comparison:
    """Compare the orders created in this time, and store the certificate. What `heal` allows is read again first.

    Orders from before the site's minimum order date are none of ours. `in_time` is asked before each call; once it says no,
    `Retry` is raised. Raises `UsageError` for a time that cannot be, and what reading platform and ERP raises: no certificate is made then.
    """
    now = parts.store.now()
    until = now if until is None else min(until, now)
    if since is not None and since >= until:
        raise UsageError("--from must be earlier than --to, and before now.")
    floor = site_options(site.settings).min_order_date
    if floor is not None and (since is None or since < floor):
        since = min(floor, until)
    result = _Comparing(parts, site, since, until, in_time=in_time).run()
    if heal is not Heal.NOTHING and any(each.kind in _HEALS for each in result.findings):
        before = result.findings
        _heal(parts, site, before, heal=heal, ring=ring)
        result = _Comparing(parts, site, since, until, in_time=in_time).run()
        left = {(each.kind, each.platform_order_id) for each in result.findings}
        result.healed = tuple(each for each in before if (each.kind, each.platform_order_id) not in left)
    result.certificate_id = parts.store.add_certificate(
        NewCertificate(
            site_id=site.id,
            from_at=since,
            until_at=result.until_at,
            complete=result.complete,
            counts=dict(result.counts),
            findings=[
                {"kind": each.kind.value, "order": each.order, "reason": each.reason}
                for each in result.findings
            ],
        )
    )
    log.info(
        "reconciled",
        site=site.name,
        complete=result.complete,
        until=result.until_at.isoformat(),
        findings=len(result.findings),
        healed=len(result.healed),
    )
    return result


def _heal(parts: Parts, site: Site, findings: Sequence[Finding], *, heal: Heal, ring: Ring) -> None:
    options = site_options(site.settings)
    lost = _ids(findings, Kind.MISSING, Kind.CLOSED)
    if heal is Heal.UNMARKED:
        lost = _unmarked(parts, site, lost)
    for part in _parts(lost):
        # They are ours whatever their age and mark: polling passed them over, or the database has lost them.
        read_named(parts, site, part, ring=ring, rule=lambda seen: skip_test(seen, options))
    for part in _parts(_ids(findings, Kind.AMOUNT)):
        read_named(parts, site, part, ring=ring)
    for part in _parts(_ids(findings, Kind.NO_BODY)):
        read_at = parts.store.now()
        seen = [each for each in parts.peers.channel(site).read(part).values() if isinstance(each, Seen)]
        parts.store.restore_bodies(site.id, seen, read_at=read_at)


def _ids(findings: Sequence[Finding], *kinds: Kind) -> list[str]:
    return list(dict.fromkeys(each.platform_order_id for each in findings if each.kind in kinds))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield ids[begin : begin + _AT_ONCE]


def _unmarked(parts: Parts, site: Site, ids: Sequence[str]) -> list[str]:
    found: list[str] = []
    for part in _parts(ids):
        answers = parts.peers.channel(site).read(part)
        found += [key for key, each in answers.items() if isinstance(each, Seen) and not each.marked]
    return found


class _Comparing:
    """One comparison: first the platform's list against what is stored, then what is stored against the ERP."""

    def __init__(
        self,
        parts: Parts,
        site: Site,
        since: datetime | None,
        until: datetime,
        *,
        in_time: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._in_time = in_time
        self._site = site
        self._since = since
        overlap = site_options(site.settings).overlap
        # What was modified since then may not have been read yet: the next reading begins there.
        self._read_to = None if site.cursor is None else site.cursor.modified_at - overlap
        self._stored: dict[str, StoredOrder] = {}
        self._until = until
        self._unread: dict[str, Listed] = {}
        self._result = Comparison(site=site.name, from_at=since, until_at=min(until, self._last_reading()))

    def _last_reading(self) -> datetime:
        """Since when edits of orders that are stored may not have been read; each order itself is looked for by its id."""
        runs = self._parts.store.runs(site_id=self._site.id, limit=_RUNS_LOOKED_AT)
        read = (run.started_at for run in runs if run.kind == "orders" and run.is_read and run.state in _READ)
        return max(read, default=self._until)

    def run(self) -> Comparison:
        """The comparison. Raises what platform and ERP raise."""
        for page in self._parts.peers.channel(self._site).census(since=self._since, until=self._until):
            self._check_time()
            self._compare_page([row for row in page if row.eligible])
        self._sort_unread()
        for stored in self._written():
            self._stored.setdefault(stored.platform_order_id, stored)
        for stored in self._stored.values():
            if not stored.has_body:
                self._found(Kind.NO_BODY, stored, "What the platform sent of it is not stored any more.")
        self._compare_with_erps()
        self._result.counts["stored"] = len(self._stored)
        for stored in self._stored.values():
            self._result.counts[stored.state.value] += 1
            if stored.state is not State.DONE:
                self._result.not_exported.append(
                    Standing(_name(stored), stored.state.value, stored.reason or f"It is at {stored.stage}.")
                )
        return self._result

    def _check_time(self) -> None:
        if not self._in_time():
            raise Retry(
                f"There was not enough time to compare so many orders of {self._site.name}; lower reconcile_days, or run "
                f"ordersync reconcile {self._site.name} by hand."
            )

    def _compare_page(self, rows: Sequence[Listed]) -> None:
        self._result.counts["eligible"] += len(rows)
        found = self._parts.store.stored_orders(self._site.id, [row.platform_order_id for row in rows])
        self._stored |= found
        for row in rows:
            stored = found.get(row.platform_order_id)
            if stored is None:
                self._not_stored(row)
            else:
                self._compare_with_platform(row, stored)

    def _not_stored(self, row: Listed) -> None:
        if self._was_to_be_read(row):
            self._miss(row, f"The platform has it as {row.status!r}, and it was never read.")
        else:
            self._unread[row.platform_order_id] = row

    def _sort_unread(self) -> None:
        """Orders that the next reading will bring, and those that carry our mark: one that is marked was stored before."""
        channel = self._parts.peers.channel(self._site)
        for part in _parts(list(self._unread)):
            self._check_time()
            answers = channel.read(part)
            for row in map(self._unread.__getitem__, part):
                answer = answers[row.platform_order_id]
                if isinstance(answer, Seen) and answer.marked:
                    self._miss(row, "It carries our mark on the platform, and it is not stored.")
                elif row.modified_at is not None:
                    self._result.counts["coming"] += 1
                    first = min(row.modified_at, row.created_at or row.modified_at)
                    self._result.until_at = min(self._result.until_at, first - timedelta(seconds=1))

    def _miss(self, row: Listed, reason: str) -> None:
        number = f"{self._site.prefix}-{row.number}" if row.number else row.platform_order_id
        self._find(Kind.MISSING, number, row.platform_order_id, reason)

    def _was_to_be_read(self, row: Listed) -> bool:
        return row.modified_at is None or (self._read_to is not None and row.modified_at <= self._read_to)

    def _compare_with_platform(self, row: Listed, stored: StoredOrder) -> None:
        if not self._was_to_be_read(row):
            return
        if stored.state is State.CLOSED:
            self._found(
                Kind.CLOSED, stored, f"It is closed here, but the platform has it as {row.status!r} again."
            )
        if stored.amended:
            self._result.counts["amended"] += 1
        elif None not in (row.total, stored.total) and row.total != stored.total:
            self._found(
                Kind.AMOUNT,
                stored,
                f"The platform says {row.total}, the middleware {stored.total} {stored.currency}.",
            )

    def _written(self) -> Iterator[StoredOrder]:
        """What was written of these days, whatever the platform says of it now."""
        after = 0
        while True:
            page = self._parts.store.written_between(
                self._site.id, since=self._since, until=self._until, after=after, limit=500
            )
            if not page:
                return
            yield from (stored for _, stored in page)
            after = page[-1][0]

    def _compare_with_erps(self) -> None:
        rows = {row.id: row for row in self._parts.store.erps()}
        default = _default_erp(self._parts, self._site)
        by_erp: dict[int, list[StoredOrder]] = {}
        for stored in self._stored.values():
            erp_id = default if stored.erp_id is None else stored.erp_id
            if erp_id in rows and _external(stored):
                by_erp.setdefault(erp_id, []).append(stored)
            elif stored.erp_id is not None:
                # Its ERP was removed: nobody can say what is there.
                self._result.counts["not_compared"] += 1
        for erp_id, of_erp in by_erp.items():
            self._compare_with_erp(rows[erp_id], of_erp)

    def _compare_with_erp(self, row: ErpRow, of_erp: Sequence[StoredOrder]) -> None:
        erp = self._parts.peers.erp(row)
        tolerance = erp_options(row.settings).total_tolerance
        odd: list[StoredOrder] = []
        for begin in range(0, len(of_erp), _AT_ONCE):
            self._check_time()
            part = of_erp[begin : begin + _AT_ONCE]
            documents = erp.find_documents([_external(stored) for stored in part])
            self._result.counts["documents"] += sum(map(len, documents.values()))
            odd += [each for each in part if _oddity(each, documents[_external(each)], tolerance)]
        for begin in range(0, len(odd), _AT_ONCE):
            # Looked at once more, both sides: an order that was exported meanwhile is as it should be.
            part = odd[begin : begin + _AT_ONCE]
            now = self._parts.store.stored_orders(self._site.id, [each.platform_order_id for each in part])
            documents = erp.find_documents([_external(stored) for stored in part])
            for before in part:
                stored = now.get(before.platform_order_id, before)
                found = _oddity(stored, documents[_external(before)], tolerance)
                if found is not None:
                    self._found(found[0], stored, found[1])

    def _found(self, kind: Kind, stored: StoredOrder, reason: str) -> None:
        self._find(kind, _name(stored), stored.platform_order_id, reason)

    def _find(self, kind: Kind, order: str, platform_order_id: str, reason: str) -> None:
        self._result.counts[kind.value] += 1
        self._result.findings.append(Finding(kind, order, platform_order_id, reason))


def _oddity(
    stored: StoredOrder, documents: Sequence[ErpDocument], tolerance: Decimal
) -> tuple[Kind, str] | None:
    """What is not as it should be between an order and the ERP's documents of it, or None."""
    numbers = ", ".join(each.number for each in documents)
    if len(documents) > 1:
        return Kind.ERP_DOUBLED, f"The ERP has {len(documents)} documents of it: {numbers}."
    if not documents:
        if stored.export is not StepState.DONE and stored.state is not State.DONE:
            return None
        number = stored.document_number or "a document"
        return Kind.ERP_MISSING, f"It was exported as {number}, which the ERP does not have any more."
    (document,) = documents
    differs = stored.total is not None and (
        abs(document.total - stored.total) > tolerance or document.currency not in {"", stored.currency}
    )
    if differs:
        return Kind.ERP_AMOUNT, (
            f"The ERP's document {numbers} comes to {document.total} {document.currency}, the order to {stored.total} "
            f"{stored.currency}."
        )
    # One that was skipped may have been exported by another system before us, under the same number.
    if stored.export in SENT or stored.document_id == document.id or stored.state is State.SKIPPED:
        return None
    return Kind.ERP_UNEXPECTED, f"The ERP has the document {numbers} of it, although it was not exported."


def _name(stored: StoredOrder) -> str:
    return stored.order_number or stored.platform_order_id


def _external(stored: StoredOrder) -> str:
    return stored.external_number or stored.order_number.upper()


def _default_erp(parts: Parts, site: Site) -> int | None:
    try:
        return erp_of(parts, site).id
    except Misconfigured:
        return None


def sentence(comparison: Comparison) -> str:
    """The certificate in a sentence or two."""
    counts: Mapping[str, int] = comparison.counts
    span = (
        ""
        if comparison.from_at is None
        else f" of those created since {comparison.from_at:%Y-%m-%d %H:%M} UTC"
    )
    looked = (
        f"{counted(counts.get('eligible', 0), 'eligible order')} on the platform{span}, "
        f"{counts.get('stored', 0)} stored, {counted(counts.get('documents', 0), 'document')} in the ERP"
    )
    coming = counts.get("coming", 0)
    later = f" {counted(coming, 'order')} not read yet." if coming else ""
    apart = counts.get("not_compared", 0)
    later += f" {counted(apart, 'order')} not compared, since their ERP is not connected." if apart else ""
    if comparison.complete:
        return f"Complete up to {comparison.until_at:%Y-%m-%d %H:%M:%S} UTC: {looked}.{later}"
    return f"Not complete: {counted(len(comparison.findings), 'finding')}; {looked}.{later}"
