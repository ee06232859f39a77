"""Webhook deliveries, each the job of reading the order that it names; and what a person should be told of a site."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.ports.deliveries import Alert, AlertKind, DeliveryDone, DeliveryOutcome, DueSite, OwedDelivery
from app.ports.hooks import Delivery
from tests.fakes.memory_store.base import Base, Row, change, cut, is_free, storable

_ORDERS = 100


class Deliveries(Base):
    """Taking, claiming, settling and forgetting deliveries."""

    def take_delivery(self, site_id: int, delivery: Delivery) -> bool:
        place = (site_id, delivery.delivery_id)
        if any((each.site_id, each.delivery_id) == place for each in self.data.deliveries):
            return False
        now = self.now()
        row = self.data.deliveries.add(
            site_id=site_id,
            delivery_id=delivery.delivery_id,
            topic=delivery.topic,
            platform_order_id=delivery.platform_order_id,
            received_at=now,
        )
        if delivery.platform_order_id:
            change(row, next_at=now, rung_at=now)
        else:
            change(row, done_at=now, outcome="It names no order.")
        self._end_alert(site_id, AlertKind.WEBHOOK_SILENT)
        return True

    def claim_deliveries(self, site_id: int, *, token: str, lease_seconds: float) -> tuple[OwedDelivery, ...]:
        now = self.now()
        due = sorted(
            (each for each in self._due(now) if each.site_id == site_id),
            key=lambda each: (each.next_at, each.id),
        )
        wanted: dict[str, None] = {}
        taken: list[Row] = []
        for row in due:
            if row.platform_order_id in wanted or len(wanted) < _ORDERS:
                wanted[row.platform_order_id] = None
                taken.append(row)
        for row in taken:
            until = now + timedelta(seconds=lease_seconds)
            change(row, lease_until=until, lease_token=token, attempts=row.attempts + 1)
        return tuple(
            OwedDelivery(
                id=row.id,
                platform_order_id=row.platform_order_id,
                received_at=row.received_at,
                attempts=row.attempts,
            )
            for row in taken
        )

    def settle_deliveries(self, *, token: str, outcomes: Sequence[DeliveryOutcome]) -> int:
        now, settled = self.now(), 0
        for each in outcomes:
            row = self.data.deliveries.rows.get(each.id)
            if row is None or row.lease_token != token:
                continue
            change(
                row, lease_until=None, lease_token=None, rung_at=None, outcome=storable(each.outcome)[:255]
            )
            if isinstance(each, DeliveryDone):
                change(row, next_at=None, done_at=now)
            else:
                row.next_at = each.next_at
            settled += 1
        return settled

    def due_deliveries(self, *, rung_before: float) -> tuple[DueSite, ...]:
        now = self.now()
        silent = now - timedelta(seconds=rung_before)
        due = [each for each in self._due(now) if each.rung_at is None or each.rung_at <= silent]
        for row in due:
            row.rung_at = now
        names = self._site_names()
        sites = dict.fromkeys(each.site_id for each in sorted(due, key=lambda each: each.next_at))
        return tuple(DueSite(id=site_id, name=names[site_id]) for site_id in sites)

    def last_delivery(self, site_id: int) -> datetime | None:
        found = (each.received_at for each in self.data.deliveries if each.site_id == site_id)
        return max(found, default=None)

    def drop_deliveries(self, *, before: datetime, most: int) -> int:
        over = [
            each.id for each in self.data.deliveries if each.received_at < before and each.done_at is not None
        ]
        for key in over[:most]:
            del self.data.deliveries.rows[key]
        return len(over[:most])

    def unannounced(self, site_id: int, *, after: datetime, until: datetime) -> int:
        runs = {
            each.id for each in self.data.runs if each.site_id == site_id and after < each.started_at <= until
        }
        return sum(
            1
            for each in self.data.threads
            if each.run_id in runs
            and each.modified_at is not None
            and each.modified_at > after
            and after < each.created_at <= until
        )

    def _due(self, now: datetime) -> list[Row]:
        return [
            each
            for each in self.data.deliveries
            if each.next_at is not None and each.next_at <= now and is_free(each, now)
        ]

    def keep_hooks(self, site_id: int, *, url: str, secrets: str) -> None:
        change(self.data.sites.rows[site_id], hook_url=url, hook_secrets=secrets)

    def forget_hooks(self, site_id: int) -> None:
        change(self.data.sites.rows[site_id], hook_url=None, hook_secrets=None, hooks_next_check=None)
        for kind in (AlertKind.WEBHOOK_SILENT, AlertKind.WEBHOOK_DISABLED):
            self._end_alert(site_id, kind)

    def check_hooks_at(self, site_id: int, moment: datetime) -> None:
        self.data.sites.rows[site_id].hooks_next_check = moment

    def take_hook_check(self, site_id: int, *, next_check: datetime) -> bool:
        site = self.data.sites.rows[site_id]
        if site.hooks_next_check is None or site.hooks_next_check > self.now():
            return False
        site.hooks_next_check = next_check
        return True

    def open_alert(self, site_id: int, kind: AlertKind, *, reason: str) -> bool:
        key = f"{site_id}:{kind.value}"
        there = next((each for each in self.data.alerts if each.open_key == key), None)
        if there is not None:
            there.reason = cut(reason)
            return False
        told = {"kind": kind.value, "reason": cut(reason), "opened_at": self.now(), "open_key": key}
        self.data.alerts.add(site_id=site_id, **told)
        return True

    def close_alert(self, site_id: int, kind: AlertKind) -> bool:
        return self._end_alert(site_id, kind)

    def open_alerts(self, *, site_id: int | None = None) -> tuple[Alert, ...]:
        return tuple(
            Alert(site_id=row.site_id, kind=AlertKind(row.kind), reason=row.reason, opened_at=row.opened_at)
            for row in self.data.alerts
            if row.closed_at is None and site_id in {None, row.site_id}
        )

    def _end_alert(self, site_id: int, kind: AlertKind) -> bool:
        key = f"{site_id}:{kind.value}"
        told = [each for each in self.data.alerts if each.open_key == key]
        for row in told:
            change(row, closed_at=self.now(), open_key=None)
        return bool(told)
