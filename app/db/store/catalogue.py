"""Items and kits a page at a time, and the newest certificate of each site."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, func, or_, select, update

from app.db.store.base import Base
from app.db.store.texts import holds
from app.db.tables import certificates, items, kits
from app.db.types import storable
from app.domain.kits import Component
from app.ports.catalogue import Certified, Item, Kit


class Catalogue(Base):
    """Implements `app.ports.catalogue.CatalogueStore`."""

    def items_page(
        self,
        erp_id: int,
        *,
        text: str = "",
        status: str | None = None,
        after: str = "",
        before: str = "",
        limit: int,
    ) -> Sequence[Item]:
        """Items of an ERP, ascending by SKU."""
        columns = (items.c[name] for name in ("sku", "name", "status", "kind", "source", "updated_at"))
        query = select(*columns).where(items.c.erp_id == erp_id)
        if status is not None:
            query = query.where(items.c.status == status)
        if text:
            query = query.where(or_(_holds(items.c.sku, text.upper()), holds(items.c.name, text)))
        with self._reading() as connection:
            rows = connection.execute(_turned(query, items.c.sku, after, before).limit(limit)).all()
        return [Item(**row._asdict()) for row in _ascending(rows, before)]

    def item_counts(self, erp_id: int) -> Mapping[str, int]:
        """How many items of an ERP have each status."""
        query = select(items.c.status, func.count()).where(items.c.erp_id == erp_id).group_by(items.c.status)
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def switch_item(self, erp_id: int, sku: str, *, status: str) -> bool:
        """Whether an item may be sold. False where it is not known."""
        mine = (items.c.erp_id == erp_id, items.c.sku == storable(sku))
        with self._writing() as connection:
            if connection.execute(select(items.c.id).where(*mine)).first() is None:
                return False
            now = self._now(connection)
            connection.execute(update(items).where(*mine).values(status=status, updated_at=now))
            return True

    def kits_page(self, *, text: str = "", after: str = "", before: str = "", limit: int) -> Sequence[Kit]:
        """Kits, ascending by the parent's SKU."""
        query = select(kits.c.parent_sku).distinct()
        if text:
            wanted = text.upper()
            query = query.where(or_(_holds(kits.c.parent_sku, wanted), _holds(kits.c.component_sku, wanted)))
        with self._reading() as connection:
            rows = connection.execute(_turned(query, kits.c.parent_sku, after, before).limit(limit)).all()
            parents = [row.parent_sku for row in _ascending(rows, before)]
            found: dict[str, list[Component]] = {parent: [] for parent in parents}
            of_these = select(kits).where(kits.c.parent_sku.in_(parents)).order_by(kits.c.position)
            for row in connection.execute(of_these):
                found[row.parent_sku].append(Component(sku=row.component_sku, quantity=row.quantity))
        return [Kit(parent, tuple(components)) for parent, components in found.items()]

    def kit_count(self) -> int:
        """How many kits there are."""
        with self._reading() as connection:
            return int(connection.execute(select(func.count(kits.c.parent_sku.distinct()))).scalar_one())

    def latest_certificates(self) -> Mapping[int, Certified]:
        """The newest certificate of each site that has one, by the site's id."""
        newest = select(func.max(certificates.c.id)).group_by(certificates.c.site_id)
        query = select(
            *(certificates.c[name] for name in ("site_id", "complete", "until_at", "made_at"))
        ).where(certificates.c.id.in_(newest))
        with self._reading() as connection:
            return {
                row.site_id: Certified(complete=row.complete, until_at=row.until_at, made_at=row.made_at)
                for row in connection.execute(query)
            }


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return column.contains(storable(text), autoescape=True)


def _turned(query: Select[Any], column: Column[Any], after: str, before: str) -> Select[Any]:
    """The rows beyond `after`, or those just before `before`, which come the wrong way round."""
    if before:
        return query.where(column < storable(before)).order_by(column.desc())
    return (query.where(column > storable(after)) if after else query).order_by(column)


def _ascending(rows: Sequence[Any], before: str) -> Sequence[Any]:
    return rows[::-1] if before else rows
