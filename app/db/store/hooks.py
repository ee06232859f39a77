"""How a site's webhooks are set up, and what a person should be told of a site."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import Base, cut
from app.db.tables import alerts, sites
from app.ports.deliveries import Alert, AlertKind


class HooksAndAlerts(Base):
    """Where webhooks go, when they are looked after, and alerts."""

    def keep_hooks(self, site_id: int, *, url: str, secrets: str) -> None:
        """A site's webhooks go to `url` and are checked against these (encrypted) secrets."""
        with self._writing() as connection:
            values = {"hook_url": url, "hook_secrets": secrets}
            connection.execute(update(sites).where(sites.c.id == site_id).values(**values))

    def forget_hooks(self, site_id: int) -> None:
        """A site has no webhooks any more, and nothing is to be told of them."""
        with self._writing() as connection:
            now = self._now(connection)
            values = {"hook_url": None, "hook_secrets": None, "hooks_next_check": None}
            connection.execute(update(sites).where(sites.c.id == site_id).values(**values))
            for kind in (AlertKind.WEBHOOK_SILENT, AlertKind.WEBHOOK_DISABLED):
                end_alert(connection, site_id, kind, now)

    def check_hooks_at(self, site_id: int, moment: datetime) -> None:
        """Webhooks are looked after at `moment`."""
        with self._writing() as connection:
            connection.execute(update(sites).where(sites.c.id == site_id).values(hooks_next_check=moment))

    def take_hook_check(self, site_id: int, *, next_check: datetime) -> bool:
        """Whether webhooks are due to be looked after; whoever asks first is to do it, and the next one is at `next_check`."""
        with self._writing() as connection:
            now = self._now(connection)
            due = (sites.c.id == site_id, sites.c.hooks_next_check <= now)
            found = connection.execute(update(sites).where(*due).values(hooks_next_check=next_check))
            return bool(found.rowcount)

    def open_alert(self, site_id: int, kind: AlertKind, *, reason: str) -> bool:
        """Tell of something; what is being told already gets this reason. Returns whether it is told with this."""
        key = _alert_key(site_id, kind)
        there = select(alerts.c.id).where(alerts.c.open_key == key)
        try:
            with self._writing() as connection:
                told = connection.execute(
                    update(alerts).where(alerts.c.open_key == key).values(reason=cut(reason))
                )
                if told.rowcount or connection.execute(there).first() is not None:
                    return False
                row = {
                    "site_id": site_id,
                    "kind": kind.value,
                    "reason": cut(reason),
                    "opened_at": self._now(connection),
                    "open_key": key,
                }
                connection.execute(insert(alerts).values(**row))
                return True
        except IntegrityError:
            # Somebody else opened it between our look and our insert; else the site is gone.
            with self._reading() as connection:
                if connection.execute(there).first() is not None:
                    return False
            raise

    def close_alert(self, site_id: int, kind: AlertKind) -> bool:
        """It is over. Returns whether it was being told."""
        with self._writing() as connection:
            return end_alert(connection, site_id, kind, self._now(connection))

    def open_alerts(self, *, site_id: int | None = None) -> tuple[Alert, ...]:
        """What is told, the oldest first: of one site, or of all."""
        query = select(alerts).where(alerts.c.closed_at.is_(None)).order_by(alerts.c.id)
        if site_id is not None:
            query = query.where(alerts.c.site_id == site_id)
        with self._reading() as connection:
            return tuple(
                Alert(
                    site_id=row.site_id,
                    kind=AlertKind(row.kind),
                    reason=row.reason,
                    opened_at=row.opened_at,
                )
                for row in connection.execute(query)
            )


def _alert_key(site_id: int, kind: AlertKind) -> str:
    return f"{site_id}:{kind.value}"


def end_alert(connection: Connection, site_id: int, kind: AlertKind, now: datetime) -> bool:
    """Whether an alert of this kind was open."""
    over = update(alerts).where(alerts.c.open_key == _alert_key(site_id, kind))
    return bool(connection.execute(over.values(closed_at=now, open_key=None)).rowcount)
