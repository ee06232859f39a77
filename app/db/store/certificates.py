"""What is stored of orders, side by side with what the platform and the ERP show; and what came of comparing."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, Table, and_, func, insert, select, update

from app.db.store.base import Base, Entry, chunks
from app.db.store.both import either, of_both
from app.db.tables import ARCHIVES, certificates, inbox, orders, sites, steps, threads
from app.db.types import storable
from app.domain.cards import masked
from app.domain.road import Owed, State, StepState
from app.domain.trail import digest
from app.ports.certificates import Certificate, NewCertificate, StoredOrder
from app.ports.sales_channel import Seen


class Certificates(Base):
    """Questions of the reconciliation, and its certificates."""

    def stored_orders(self, site_id: int, platform_order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """Those of these orders that are stored, by the platform's id."""
        found: dict[str, StoredOrder] = {}
        with self._reading() as connection:
            for part in chunks(list(platform_order_ids)):
                query = _stored().where(threads.c.site_id == site_id, threads.c.platform_order_id.in_(part))
                found.update((row.platform_order_id, _order(row)) for row in connection.execute(query))
        return found

    def written_between(
        self, site_id: int, *, since: datetime | None, until: datetime, after: int, limit: int
    ) -> tuple[tuple[int, StoredOrder], ...]:
        """Orders of this site that were written and are dated from `since` to `until`, with the id of their row, beyond `after`."""

        def dated(orders: Table) -> Select[Any]:
            query = select(orders.c.id, orders.c.thread_id).where(
                orders.c.site_id == site_id, orders.c.order_date <= until, orders.c.id > after
            )
            return query if since is None else query.where(orders.c.order_date >= since)

        both = of_both(dated, orders)
        with self._reading() as connection:
            page = connection.execute(both.order_by(both.selected_columns.id).limit(limit)).all()
            found: dict[int, StoredOrder] = {}
            for part in chunks([row.thread_id for row in page]):
                rows = connection.execute(_stored().where(threads.c.id.in_(part)))
                found.update((row.id, _order(row)) for row in rows)
        return tuple((row.id, found[row.thread_id]) for row in page)

    def restore_bodies(self, site_id: int, seen: Collection[Seen], *, read_at: datetime) -> int:
        """Store again what the platform sends of versions whose body is not there any more; those that differ are left out."""
        with self._writing() as connection:
            now = self._now(connection)
            missing = _missing_bodies(site_id, [each.platform_order_id for each in seen])
            # The hash of an order is that of the latest version that is known of it.
            rows = {row.platform_order_id: row for query in missing for row in connection.execute(query)}
            again = [
                (rows[each.platform_order_id], each)
                for each in seen
                if each.platform_order_id in rows
                and rows[each.platform_order_id].content_hash == each.content_hash
            ]
            if again:
                connection.execute(insert(inbox), [_body(site_id, row, each, read_at) for row, each in again])
                told = [
                    Entry(
                        row.id,
                        "fetch",
                        "body_restored",
                        {"version": row.version, "sha256": digest(masked(each.body))},
                    )
                    for row, each in again
                ]
                self._note(connection, told, now=now)
            return len(again)

    def add_certificate(self, certificate: NewCertificate) -> int:
        """Store a certificate; its id."""
        with self._writing() as connection:
            made = connection.execute(
                insert(certificates).values(
                    site_id=certificate.site_id,
                    from_at=certificate.from_at,
                    until_at=certificate.until_at,
                    made_at=self._now(connection),
                    complete=certificate.complete,
                    counts=dict(certificate.counts),
                    findings=list(map(dict, certificate.findings)),
                )
            )
            return int(made.inserted_primary_key[0])  # type: ignore[index]

    def certificates(self, site_id: int, *, limit: int) -> tuple[Certificate, ...]:
        """The latest certificates of a site, the newest first."""
        query = (
            select(certificates)
            .where(certificates.c.site_id == site_id)
            .order_by(certificates.c.made_at.desc(), certificates.c.id.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(
                Certificate(
                    id=row.id,
                    site_id=row.site_id,
                    from_at=row.from_at,
                    until_at=row.until_at,
                    made_at=row.made_at,
                    complete=row.complete,
                    counts=row.counts,
                    findings=row.findings,
                )
                for row in connection.execute(query)
            )

    def plan_reconciliation(self, site_id: int, *, at: datetime) -> None:
        """When the site is compared next."""
        with self._writing() as connection:
            connection.execute(update(sites).where(sites.c.id == site_id).values(reconcile_next_run=at))


_amendment = inbox.alias("amendment")
_away_amendment = ARCHIVES[inbox].alias("away_amendment")


def _of(bodies: FromClause, version: ColumnElement[Any]) -> ColumnElement[bool]:
    """The row of `bodies` that holds this version of a thread's order."""
    same = (
        bodies.c.site_id == threads.c.site_id,
        bodies.c.platform_order_id == threads.c.platform_order_id,
        bodies.c.version == version,
    )
    return and_(*same)


def _stored() -> Select[Any]:
    """Orders with what belongs to them, be it live or in the archive."""
    query = (
        select(
            threads.c.id,
            threads.c.platform_order_id,
            threads.c.order_number,
            threads.c.state,
            threads.c.stage,
            threads.c.reason,
            threads.c.amended_version,
            either(inbox, "id").label("body"),
            func.coalesce(_amendment.c.id, _away_amendment.c.id).label("amended_body"),
            *(either(orders, name) for name in ("total", "currency", "erp_id", "external_number")),
            either(steps, "state").label("export"),
            *(either(steps, name) for name in ("document_id", "document_number")),
        )
        .select_from(threads)
        .outerjoin(_amendment, _of(_amendment, threads.c.amended_version))
        .outerjoin(_away_amendment, _of(_away_amendment, threads.c.amended_version))
    )
    for bodies in (inbox, ARCHIVES[inbox]):
        query = query.outerjoin(bodies, _of(bodies, threads.c.version))
    for written in (orders, ARCHIVES[orders]):
        query = query.outerjoin(written, written.c.thread_id == threads.c.id)
    for owed in (steps, ARCHIVES[steps]):
        query = query.outerjoin(owed, (owed.c.thread_id == threads.c.id) & (owed.c.kind == Owed.EXPORT))
    return query


def _order(row: Row[Any]) -> StoredOrder:
    return StoredOrder(
        platform_order_id=row.platform_order_id,
        order_number=row.order_number,
        state=State(row.state),
        stage=row.stage,
        reason=row.reason,
        has_body=row.body is not None and (row.amended_version is None or row.amended_body is not None),
        amended=row.amended_version is not None,
        total=row.total,
        currency=row.currency or "",
        erp_id=row.erp_id,
        external_number=row.external_number or "",
        export=None if row.export is None else StepState(row.export),
        document_id=row.document_id or "",
        document_number=row.document_number or "",
    )


def _missing_bodies(site_id: int, platform_order_ids: list[str]) -> list[Select[Any]]:
    latest = func.coalesce(threads.c.amended_version, threads.c.version)
    away = ARCHIVES[inbox]
    # What was erased stays erased.
    mine = (threads.c.site_id == site_id, threads.c.erased_at.is_(None))
    return [
        select(threads.c.id, threads.c.platform_order_id, latest.label("version"), threads.c.content_hash)
        .select_from(threads)
        .outerjoin(inbox, _of(inbox, latest))
        .outerjoin(away, _of(away, latest))
        .where(*mine, threads.c.platform_order_id.in_(part), inbox.c.id.is_(None), away.c.id.is_(None))
        for part in chunks(platform_order_ids)
    ]


def _body(site_id: int, row: Row[Any], seen: Seen, read_at: datetime) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "platform_order_id": seen.platform_order_id,
        "version": row.version,
        "content_hash": seen.content_hash,
        "status": storable(seen.status)[:64],
        "modified_raw": storable(seen.modified_raw)[:64],
        "modified_at": seen.modified_at,
        "read_at": read_at,
        "body": masked(seen.body),
    }
