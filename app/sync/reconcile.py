"""Comparing what a platform shows with what the middleware has and what the ERP holds: complete up to a time, or what is not.

Nothing is ever sent to the ERP from here. What was exported and is not there any more is for a person to decide about.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import structlog

from app.domain.road import SENT, State, StepState
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.ports.certificates import NewCertificate, StoredOrder
from app.ports.erp import ErpDocument
from app.ports.sales_channel import Listed, Seen
from app.ports.store import ErpRow, Site
from app.sync.fetch import Ring
from app.sync.named import read_named
from app.sync.options import erp_options, site_options
from app.sync.parts import Parts, erp_of

log = structlog.get_logger("ordersync.reconcile")

_AT_ONCE = 100


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
        """Whether nothing is missing, doubled or different."""
        return not self.findings


def reconcile(
    parts: Parts,
    site: Site,
    *,
    since: datetime | None,
    until: datetime | None,
    heal: bool,
    ring: Ring,
) -> Comparison:
    """Compare the orders created in this time, and store the certificate. With `heal` what can be read again is, first.

    Raises `UsageError` for a time that cannot be, and what reading platform and ERP raises: no certificate is made then.
    """
    now = parts.store.now()
    until = now if until is None else min(until, now)
    if since is not None and since >= until:
        raise UsageError("--from must be earlier than --to, and before now.")
    result = _Comparing(parts, site, since, until).run()
    if heal and any(each.kind in _HEALS for each in result.findings):
        before = result.findings
        _heal(parts, site, [each for each in before if each.kind in _HEALS], ring=ring)
        result = _Comparing(parts, site, since, until).run()
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


def _heal(parts: Parts, site: Site, findings: Sequence[Finding], *, ring: Ring) -> None:
    ids = list(dict.fromkeys(each.platform_order_id for each in findings))
    for begin in range(0, len(ids), _AT_ONCE):
        read_at = parts.store.now()
        _, found = read_named(parts, site, ids[begin : begin + _AT_ONCE], ring=ring, heal=True)
        seen = [each for each in found.values() if isinstance(each, Seen)]
        parts.store.restore_bodies(site.id, seen, read_at=read_at)


class _Comparing:
    """One comparison: first the platform's list against what is stored, then what is stored against the ERP."""

    def __init__(self, parts: Parts, site: Site, since: datetime | None, until: datetime) -> None:
        self._parts = parts
        self._site = site
        self._since = since
        overlap = site_options(site.settings).overlap
        # What was modified since then may not have been read yet: the next reading begins there.
        self._read_to = None if site.cursor is None else site.cursor.modified_at - overlap
        self._stored: dict[str, StoredOrder] = {}
        self._result = Comparison(site=site.name, from_at=since, until_at=until)

    def run(self) -> Comparison:
        """The comparison. Raises what platform and ERP raise."""
        until = self._result.until_at
        for page in self._parts.peers.channel(self._site).census(since=self._since, until=until):
            self._compare_page([row for row in page if row.eligible])
        for stored in self._written():
            self._stored.setdefault(stored.platform_order_id, stored)
        self._compare_with_erps()
        self._result.counts["stored"] = len(self._stored)
        for stored in self._stored.values():
            self._result.counts[stored.state.value] += 1
            if stored.state is not State.DONE:
                self._result.not_exported.append(
                    Standing(_name(stored), stored.state.value, stored.reason or f"It is at {stored.stage}.")
                )
        return self._result

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
        if row.modified_at is not None and not self._was_to_be_read(row):
            self._result.counts["coming"] += 1
            self._result.until_at = min(self._result.until_at, row.modified_at - timedelta(seconds=1))
            return
        number = f"{self._site.prefix}-{row.number}" if row.number else row.platform_order_id
        reason = f"The platform has it as {row.status!r}, and it was never read."
        self._find(Kind.MISSING, number, row.platform_order_id, reason)

    def _was_to_be_read(self, row: Listed) -> bool:
        return self._read_to is not None and row.modified_at is not None and row.modified_at <= self._read_to

    def _compare_with_platform(self, row: Listed, stored: StoredOrder) -> None:
        if not stored.has_body:
            self._found(Kind.NO_BODY, stored, "What the platform sent of it is not stored any more.")
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
                self._site.id, since=self._since, until=self._result.until_at, after=after, limit=500
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
        for erp_id, of_erp in by_erp.items():
            self._compare_with_erp(rows[erp_id], of_erp)

    def _compare_with_erp(self, row: ErpRow, of_erp: Sequence[StoredOrder]) -> None:
        erp = self._parts.peers.erp(row)
        tolerance = erp_options(row.settings).total_tolerance
        for begin in range(0, len(of_erp), _AT_ONCE):
            part = of_erp[begin : begin + _AT_ONCE]
            documents = erp.find_documents([_external(stored) for stored in part])
            for stored in part:
                self._compare_documents(stored, documents[_external(stored)], tolerance)

    def _compare_documents(
        self, stored: StoredOrder, documents: Sequence[ErpDocument], tolerance: Decimal
    ) -> None:
        self._result.counts["documents"] += len(documents)
        numbers = ", ".join(each.number for each in documents)
        if len(documents) > 1:
            self._found(Kind.ERP_DOUBLED, stored, f"The ERP has {len(documents)} documents of it: {numbers}.")
        elif stored.export is StepState.DONE and not documents:
            self._found(
                Kind.ERP_MISSING,
                stored,
                f"It was exported as {stored.document_number or 'a document'}, which the ERP does not have any more.",
            )
        elif documents and stored.total is not None and abs(documents[0].total - stored.total) > tolerance:
            self._found(
                Kind.ERP_AMOUNT,
                stored,
                f"The ERP's document {numbers} comes to {documents[0].total}, the order to {stored.total} {stored.currency}.",
            )
        elif documents and stored.export not in SENT and stored.document_id != documents[0].id:
            self._found(
                Kind.ERP_UNEXPECTED,
                stored,
                f"The ERP has the document {numbers} of it, although it was not exported.",
            )

    def _found(self, kind: Kind, stored: StoredOrder, reason: str) -> None:
        self._find(kind, _name(stored), stored.platform_order_id, reason)

    def _find(self, kind: Kind, order: str, platform_order_id: str, reason: str) -> None:
        self._result.counts[kind.value] += 1
        self._result.findings.append(Finding(kind, order, platform_order_id, reason))


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
    if comparison.complete:
        return f"Complete up to {comparison.until_at:%Y-%m-%d %H:%M:%S} UTC: {looked}.{later}"
    return f"Not complete: {counted(len(comparison.findings), 'finding')}; {looked}.{later}"
