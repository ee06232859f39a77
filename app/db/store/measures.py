"""Figures over many rows, for `/metrics`."""

from collections.abc import Mapping

from sqlalchemy import func, select

from app.db.amounts import decimal_of, total
from app.db.store.base import Base
from app.db.tables import alerts, certificates, error_orders, sites
from app.ports.measures import LastCertificate, OpenErrors


class Measuring(Base):
    """Each figure in one question."""

    def open_errors(self) -> tuple[OpenErrors, ...]:
        """All open errors, added up."""
        errors = error_orders.c
        by = (sites.c.name, errors.kind, errors.currency)
        with self._reading() as connection:
            query = (
                select(*by, func.count().label("errors"), total(connection, errors.value).label("money"))
                .join(sites, sites.c.id == errors.site_id)
                .where(errors.open_key.is_not(None))
                .group_by(*by)
                .order_by(*by)
            )
            return tuple(
                OpenErrors(
                    site=row.name,
                    kind=row.kind,
                    currency=row.currency or "",
                    errors=row.errors,
                    money=decimal_of(row.money),
                )
                for row in connection.execute(query)
            )

    def last_certificates(self) -> tuple[LastCertificate, ...]:
        """Of each site that was ever compared."""
        last = select(func.max(certificates.c.id)).group_by(certificates.c.site_id)
        query = select(certificates.c.site_id, certificates.c.complete, certificates.c.made_at).where(
            certificates.c.id.in_(last)
        )
        with self._reading() as connection:
            return tuple(
                LastCertificate(site_id=row.site_id, complete=bool(row.complete), made_at=row.made_at)
                for row in connection.execute(query)
            )

    def alert_counts(self) -> Mapping[str, int]:
        """How many alerts of each kind are open; kinds without any are left out."""
        query = (
            select(alerts.c.kind, func.count().label("open"))
            .where(alerts.c.closed_at.is_(None))
            .group_by(alerts.c.kind)
            .order_by(alerts.c.kind)
        )
        with self._reading() as connection:
            return {row.kind: row.open for row in connection.execute(query)}
