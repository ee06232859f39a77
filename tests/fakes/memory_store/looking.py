"""What people, scripts and tests ask for."""

import json
from decimal import Decimal
from typing import Any

from app.domain.road import Stage, State
from app.ports.store import Json, OrderSummary, Run
from tests.fakes.memory_store.base import MemoryTable, Row
from tests.fakes.memory_store.upkeep import Upkeep, as_run


class Looking(Upkeep):
    """Questions that change nothing."""

    def run(self, run_id: int) -> Run:
        return self._as_run(self.data.runs.rows[run_id])

    def runs(self, *, run_id: int | None = None, site_id: int | None = None, limit: int) -> tuple[Run, ...]:
        found = [
            each
            for each in self.data.runs
            if run_id in {None, each.id} and (site_id is None or each.site_id == site_id)
        ]
        return tuple(self._as_run(each) for each in sorted(found, key=lambda each: -each.id)[:limit])

    def _as_run(self, row: Row) -> Run:
        return as_run(row, counts=row.counts if row.finished_at else self._run_counts(row.id))

    def order_summaries(
        self,
        *,
        site: str | None,
        state: State | None,
        limit: int,
        run_id: int | None = None,
        amended: bool = False,
    ) -> tuple[OrderSummary, ...]:
        names = self._site_names()
        found = [
            each
            for each in self.data.threads
            if site in {None, names[each.site_id]}
            and state in {None, each.state}
            and run_id in {None, each.run_id}
            and (not amended or each.amended_version is not None)
        ]
        return tuple(self._summary(each) for each in sorted(found, key=lambda each: -each.id)[:limit])

    def _summary(self, row: Row) -> OrderSummary:
        order = self._order_of(row.id)
        return OrderSummary(
            thread_id=row.id,
            run_id=row.run_id,
            site=self._site_names()[row.site_id],
            order_number=row.order_number,
            platform_order_id=row.platform_order_id,
            stage=Stage(row.stage),
            state=State(row.state),
            reason=row.reason,
            total=order and order.total,
            currency=order and order.currency,
            acknowledged=order is not None and order.acknowledged_at is not None,
            erp_document=order.erp_document_number if order else "",
            updated_at=row.updated_at,
            amended=row.amended_version is not None,
        )

    def order_details(self, number: str) -> Json | None:
        found = [each for each in self.data.threads if number in {each.order_number, each.platform_order_id}]
        if not found:
            return None
        thread = max(found, key=lambda each: (each.order_number == number, each.id))
        order = self._order_of(thread.id)
        order_id = -1 if order is None else order.id

        def rows(table: MemoryTable, by: str, **where: Any) -> list[dict[str, Any]]:
            mine = [
                dict(vars(each))
                for each in table
                if all(getattr(each, name) == value for name, value in where.items())
            ]
            return sorted(mine, key=lambda each: each[by])

        bodies = rows(
            self.data.inbox, "version", site_id=thread.site_id, platform_order_id=thread.platform_order_id
        )
        return {
            "thread": {**vars(thread), "site": self._site_names()[thread.site_id]},
            "order": None if order is None else dict(vars(order)),
            "addresses": rows(self.data.addresses, "kind", order_id=order_id),
            "lines": rows(self.data.lineitems, "position", order_id=order_id),
            "steps": rows(self.data.steps, "id", thread_id=thread.id),
            "errors": rows(self.data.error_orders, "id", thread_id=thread.id),
            "events": [self._told(each) for each in self.data.events if each.thread_id == thread.id],
            "versions": [
                {name: each[name] for name in ("version", "status", "modified_raw", "read_at")}
                for each in bodies
            ],
        }

    def _told(self, event: Row) -> dict[str, Any]:
        place = (event.thread_id, event.number)
        bodies = [each.body for each in self.data.payloads if (each.thread_id, each.number) == place]
        payload = json.loads(bodies[0], parse_float=Decimal) if bodies else {}
        quoted = {name: value for name, value in payload.items() if name == "reason"}
        names = ("id", "at", "stage", "event", "by")
        return {**{name: getattr(event, name) for name in names}, "detail": {**event.detail, **quoted}}

    def totals(self) -> Json:
        names = self._site_names()
        by_site: dict[str, dict[str, int]] = {}
        for thread in self.data.threads:
            states = by_site.setdefault(names[thread.site_id], {})
            states[thread.state] = states.get(thread.state, 0) + 1
        errors: dict[str, int] = {}
        for error in self.data.error_orders:
            if error.open_key is not None:
                errors[error.kind] = errors.get(error.kind, 0) + 1
        pending = sum(1 for each in self.data.orders if each.imported == 0)
        return {"sites": by_site, "pending": pending, "errors": errors}
