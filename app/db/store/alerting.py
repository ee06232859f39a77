"""Alerts with their rules, and what is owed to those who are to be told."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.db.store.base import Base, cut, lease_free
from app.db.tables import alert_notices, alert_rules, alert_targets, alerts, runs, sites, threads
from app.db.types import storable
from app.ports.alerting import (
    AlertRow,
    Changes,
    Condition,
    Notice,
    OwedNotice,
    Rule,
    Severity,
    SiteReading,
    Target,
    What,
)
from app.ports.deliveries import AlertKind

_CANDIDATES = 20
_UNREAD = ("failed", "paused")


class Alerting(Base):
    """Alerts with their rules, and what is owed to those who are to be told."""

    def alert_rules(self) -> Mapping[AlertKind, Rule]:
        """The rules that people have changed."""
        with self._reading() as connection:
            return {AlertKind(row.kind): _rule(row) for row in connection.execute(select(alert_rules))}

    def save_alert_rule(self, rule: Rule) -> None:
        """Put a rule in the place of the one there is."""
        values = {
            "enabled": rule.enabled,
            "threshold": rule.threshold,
            "currency": rule.currency,
            "for_minutes": rule.for_minutes,
            "severity": rule.severity.value,
            "quiet_from": rule.quiet_from,
            "quiet_to": rule.quiet_to,
            "quiet_zone": rule.quiet_zone,
        }
        this = alert_rules.c.kind == rule.kind.value
        try:
            with self._writing() as connection:
                # Looked for first: MariaDB counts only rows that changed.
                if connection.execute(select(alert_rules.c.id).where(this)).first() is None:
                    connection.execute(insert(alert_rules).values(kind=rule.kind.value, **values))
                else:
                    connection.execute(update(alert_rules).where(this).values(**values))
        except IntegrityError:
            # Somebody saved the first one of this kind at the same moment.
            with self._writing() as connection:
                connection.execute(update(alert_rules).where(this).values(**values))

    def observe(
        self,
        seen: Sequence[Condition],
        *,
        kinds: Collection[AlertKind],
        clear_minutes: Mapping[AlertKind, int],
    ) -> Changes:
        """Open an alert for each condition that has none, and end those of these kinds not seen for their `clear_minutes`."""
        wanted = {_key(each.kind, each.site_id, each.subject): each for each in seen}
        try:
            with self._writing() as connection:
                now = self._now(connection)
                there = {row.open_key: row for row in connection.execute(_open(kinds)).all()}
                opened = [
                    _opened(connection, key, each, now) for key, each in wanted.items() if key not in there
                ]
                closed = []
                for key, row in there.items():
                    if key in wanted:
                        _still_seen(connection, row, cut(wanted[key].reason))
                    elif _cleared(connection, row, now, minutes=clear_minutes.get(AlertKind(row.kind), 0)):
                        closed.append(row.id)
                return Changes(opened=_rows(connection, opened), closed=_rows(connection, closed))
        except IntegrityError:
            # Another watcher opened one of them at this moment: it has seen what we saw, and the next minute sees the rest.
            return Changes()

    def end_alerts(self, kinds: Collection[AlertKind]) -> Changes:
        """End the open alerts of these kinds at once; nobody is told that they are over."""
        with self._writing() as connection:
            now = self._now(connection)
            found = [row.id for row in connection.execute(_open(kinds)).all()]
            if found:
                connection.execute(
                    update(alerts)
                    .where(alerts.c.id.in_(found), alerts.c.closed_at.is_(None))
                    .values(closed_at=now, open_key=None, told_over_at=now)
                )
                connection.execute(
                    update(alert_notices)
                    .where(alert_notices.c.alert_id.in_(found), alert_notices.c.next_at.is_not(None))
                    .values(next_at=None, outcome="Its rule was switched off.")
                )
            return Changes(closed=_rows(connection, found))

    def owe_notices(self, rules: Mapping[AlertKind, Rule], *, quiet: Collection[AlertKind]) -> int:
        """Put down who is to be told of what has begun, and of what is over; but for `quiet` kinds. Returns how many notices."""
        made = 0
        with self._writing() as connection:
            now = self._now(connection)
            targets = _targets(connection)
            begun = _untold().where(
                alerts.c.closed_at.is_(None), alerts.c.told_at.is_(None), alerts.c.clear_since.is_(None)
            )
            for row in connection.execute(begun).all():
                kind = AlertKind(row.kind)
                rule = rules[kind]
                held = now - row.opened_at >= timedelta(minutes=rule.for_minutes)
                wanting = [each for each in targets if each.wants(kind)]
                if rule.enabled and held and wanting and kind not in quiet:
                    made += _owe(connection, row.id, What.BEGUN, wanting, now)
            over = _untold().where(
                alerts.c.closed_at.is_not(None),
                alerts.c.told_at.is_not(None),
                alerts.c.told_over_at.is_(None),
            )
            for row in connection.execute(over).all():
                kind = AlertKind(row.kind)
                told = _told(connection, row.id, now)
                if told is not None and kind not in quiet:
                    wanting = [each for each in targets if each.id in told and each.wants(kind)]
                    made += _owe(connection, row.id, What.OVER, wanting if rules[kind].enabled else [], now)
        return made

    def claim_notice(
        self, *, quiet: Collection[AlertKind], without: Collection[int], token: str, lease_seconds: float
    ) -> OwedNotice | None:
        """The oldest due notice that is not for one of the targets `without`, under lease; None where there is none."""
        with self._writing() as connection:
            now = self._now(connection)
            due = (alert_notices.c.next_at <= now, lease_free(alert_notices, now))
            query = (
                select(alert_notices)
                .join(alerts, alerts.c.id == alert_notices.c.alert_id)
                .join(alert_targets, alert_targets.c.id == alert_notices.c.target_id)
                .where(
                    *due,
                    alert_targets.c.enabled == True,  # noqa: E712 - SQL's own comparison
                    alert_targets.c.id.not_in(list(without)),
                    alerts.c.kind.not_in([each.value for each in quiet]),
                )
                .order_by(alert_notices.c.next_at, alert_notices.c.id)
                .limit(_CANDIDATES)
            )
            for row in connection.execute(query).all():
                taken = connection.execute(
                    update(alert_notices)
                    .where(alert_notices.c.id == row.id, *due)
                    .values(
                        lease_until=now + timedelta(seconds=lease_seconds),
                        lease_token=token,
                        attempts=alert_notices.c.attempts + 1,
                    )
                )
                if taken.rowcount:
                    (alert,) = _rows(connection, [row.alert_id])
                    (target,) = (each for each in _targets(connection) if each.id == row.target_id)
                    return OwedNotice(
                        id=row.id,
                        alert=alert,
                        target=target,
                        what=What(row.what),
                        made_at=row.made_at,
                        attempts=row.attempts + 1,
                    )
        return None

    def settle_notice(
        self, notice_id: int, *, token: str, is_told: bool, next_at: datetime | None, outcome: str
    ) -> bool:
        """Store what became of it. False where it is no longer under this token."""
        with self._writing() as connection:
            values: dict[str, Any] = {"next_at": next_at, "outcome": cut(outcome)}
            if is_told:
                values |= {"told_at": self._now(connection)}
            done = connection.execute(
                update(alert_notices)
                .where(alert_notices.c.id == notice_id, alert_notices.c.lease_token == token)
                .values(lease_until=None, lease_token=None, **values)
            )
            return bool(done.rowcount)

    def alert_rows(self, *, is_open: bool, before: int | None = None, limit: int) -> tuple[AlertRow, ...]:
        """Open alerts, or those that are over, the latest first, with ids below `before`."""
        query = _alerts().order_by(alerts.c.id.desc()).limit(limit)
        query = query.where(alerts.c.closed_at.is_(None) if is_open else alerts.c.closed_at.is_not(None))
        if before is not None:
            query = query.where(alerts.c.id < before)
        with self._reading() as connection:
            return tuple(_alert(row) for row in connection.execute(query))

    def alert_notices(self, alert_ids: Sequence[int]) -> Mapping[int, tuple[Notice, ...]]:
        """Who was told of each of these alerts."""
        query = (
            select(alert_notices)
            .where(alert_notices.c.alert_id.in_(list(alert_ids)))
            .order_by(alert_notices.c.id)
        )
        found: dict[int, tuple[Notice, ...]] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                notice = Notice(
                    alert_id=row.alert_id,
                    target=row.target,
                    what=What(row.what),
                    told_at=row.told_at,
                    next_at=row.next_at,
                    attempts=row.attempts,
                    outcome=row.outcome,
                )
                found[row.alert_id] = (*found.get(row.alert_id, ()), notice)
        return found

    def alert_targets(self) -> tuple[Target, ...]:
        """Every target, by name."""
        with self._reading() as connection:
            return _targets(connection)

    def add_alert_target(
        self, name: str, *, url: str, hint: str, kinds: Sequence[AlertKind], by: str
    ) -> int | None:
        """The id of the new target; None where the name is taken."""
        try:
            with self._writing() as connection:
                row = {
                    "name": name,
                    "url": url,
                    "hint": storable(hint)[:255],
                    "enabled": True,
                    "kinds": " ".join(kinds),
                    "created_at": self._now(connection),
                    "created_by": storable(by)[:64],
                }
                key: Any = connection.execute(insert(alert_targets).values(**row)).inserted_primary_key
                return int(key[0])
        except IntegrityError:
            return None

    def change_alert_target(
        self, target_id: int, *, enabled: bool | None = None, kinds: Sequence[AlertKind] | None = None
    ) -> None:
        """One that is disabled is told nothing, not even what it is owed."""
        values: dict[str, Any] = {} if kinds is None else {"kinds": " ".join(kinds)}
        if enabled is not None:
            values |= {"enabled": enabled}
        with self._writing() as connection:
            if values:
                connection.execute(
                    update(alert_targets).where(alert_targets.c.id == target_id).values(**values)
                )
            if enabled is False:
                _drop_owed(connection, target_id, outcome="The target was switched off.")

    def remove_alert_target(self, target_id: int) -> None:
        """Forget it; what it was told stays listed."""
        with self._writing() as connection:
            _drop_owed(connection, target_id, outcome="The target was removed.")
            of_target = alert_notices.c.target_id == target_id
            connection.execute(update(alert_notices).where(of_target).values(target_id=None))
            connection.execute(delete(alert_targets).where(alert_targets.c.id == target_id))

    def readings(self) -> Mapping[int, SiteReading]:
        """How each connected site was read last, by the site's id."""
        last = (
            select(runs.c.read_at)
            .where(
                runs.c.site_id == sites.c.id,
                runs.c.kind == "orders",
                runs.c.read_at.is_not(None),
                runs.c.state.not_in(_UNREAD),
                runs.c.is_full.is_not(True),
            )
            .order_by(runs.c.started_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(sites.c.id, sites.c.created_at, last.label("last")).where(sites.c.removed_at.is_(None))
        with self._reading() as connection:
            return {
                row.id: SiteReading(created_at=row.created_at, read_at=row.last)
                for row in connection.execute(query)
            }

    def new_orders(self, spans: Sequence[tuple[datetime, datetime]]) -> Mapping[int, tuple[int, ...]]:
        """How many orders were first seen in each of these spans of time, by the site's id; a site without any is left out."""
        parts = [
            select(literal(place).label("place"), threads.c.site_id, func.count().label("orders"))
            .where(threads.c.created_at >= begin, threads.c.created_at < end)
            .group_by(threads.c.site_id)
            for place, (begin, end) in enumerate(spans)
        ]
        found: dict[int, list[int]] = {}
        with self._reading() as connection:
            for row in connection.execute(union_all(*parts)):
                found.setdefault(row.site_id, [0] * len(spans))[row.place] = row.orders
        return {site_id: tuple(counts) for site_id, counts in found.items()}


def _key(kind: AlertKind, site_id: int | None, subject: str) -> str:
    if site_id is not None:
        return f"{site_id}:{kind.value}"
    return f"{kind.value}:{hashlib.sha256(subject.encode()).hexdigest()[:24]}"


def _open(kinds: Collection[AlertKind]) -> Select[Any]:
    # In one order, so that two who watch at once do not wait for each other.
    return (
        select(alerts)
        .where(alerts.c.closed_at.is_(None), alerts.c.kind.in_([each.value for each in kinds]))
        .order_by(alerts.c.id)
        .with_for_update()
    )


def _untold() -> Select[Any]:
    return select(alerts.c.id, alerts.c.kind, alerts.c.opened_at).order_by(alerts.c.id)


def _opened(connection: Connection, key: str, seen: Condition, now: datetime) -> int:
    row = {
        "site_id": seen.site_id,
        "kind": seen.kind.value,
        "subject": None if seen.site_id is not None else storable(seen.subject)[:255],
        "reason": cut(seen.reason),
        "opened_at": now,
        "open_key": key,
    }
    inserted: Any = connection.execute(insert(alerts).values(**row)).inserted_primary_key
    return int(inserted[0])


def _still_seen(connection: Connection, row: Row[Any], reason: str) -> None:
    if row.reason != reason or row.clear_since is not None:
        connection.execute(
            update(alerts).where(alerts.c.id == row.id).values(reason=reason, clear_since=None)
        )


def _cleared(connection: Connection, row: Row[Any], now: datetime, *, minutes: int) -> bool:
    """Whether it is over with this; else it is noted since when it is not seen."""
    since = row.clear_since or now
    this = (alerts.c.id == row.id, alerts.c.closed_at.is_(None))
    if now - since >= timedelta(minutes=minutes):
        over = {"closed_at": now, "open_key": None, "clear_since": since}
        return bool(connection.execute(update(alerts).where(*this).values(**over)).rowcount)
    if row.clear_since is None:
        connection.execute(update(alerts).where(*this).values(clear_since=now))
    return False


def _told(connection: Connection, alert_id: int, now: datetime) -> set[int] | None:
    """The targets that know that it has begun; None while one of them is being told.

    Who could not be told yet is told of begin and end at once.
    """
    query = select(alert_notices).where(
        alert_notices.c.alert_id == alert_id, alert_notices.c.what == What.BEGUN.value
    )
    found = connection.execute(query).all()
    if any(row.lease_until is not None and row.lease_until > now for row in found):
        return None
    return {row.target_id for row in found if row.told_at is not None}


def _owe(connection: Connection, alert_id: int, what: What, targets: Sequence[Target], now: datetime) -> int:
    """Whoever is first to note that it is being told puts down whom; how many they are."""
    column = alerts.c.told_at if what is What.BEGUN else alerts.c.told_over_at
    mine = connection.execute(
        update(alerts).where(alerts.c.id == alert_id, column.is_(None)).values({column.name: now})
    )
    if not mine.rowcount or not targets:
        return 0
    rows = [
        {
            "alert_id": alert_id,
            "target_id": each.id,
            "target": each.name,
            "what": what.value,
            "made_at": now,
            "next_at": now,
        }
        for each in targets
    ]
    connection.execute(insert(alert_notices), rows)
    return len(rows)


def _drop_owed(connection: Connection, target_id: int, *, outcome: str) -> None:
    owed = (alert_notices.c.target_id == target_id, alert_notices.c.next_at.is_not(None))
    dropped = {"next_at": None, "lease_until": None, "lease_token": None, "outcome": outcome}
    connection.execute(update(alert_notices).where(*owed).values(**dropped))


def _targets(connection: Connection) -> tuple[Target, ...]:
    return tuple(
        Target(
            id=row.id,
            name=row.name,
            url=row.url,
            hint=row.hint,
            enabled=row.enabled,
            kinds=tuple(AlertKind(each) for each in row.kinds.split()),
            created_at=row.created_at,
            created_by=row.created_by,
        )
        for row in connection.execute(select(alert_targets).order_by(alert_targets.c.name))
    )


def _alerts() -> Select[Any]:
    name = func.coalesce(sites.c.name, alerts.c.subject, "").label("about")
    return select(alerts, name).outerjoin(sites, sites.c.id == alerts.c.site_id)


def _rows(connection: Connection, ids: Sequence[int]) -> tuple[AlertRow, ...]:
    if not ids:
        return ()
    query = _alerts().where(alerts.c.id.in_(ids)).order_by(alerts.c.id)
    return tuple(_alert(row) for row in connection.execute(query))


def _alert(row: Row[Any]) -> AlertRow:
    return AlertRow(
        id=row.id,
        site_id=row.site_id,
        kind=AlertKind(row.kind),
        subject=row.about,
        reason=row.reason,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        clear_since=row.clear_since,
        told_at=row.told_at,
        told_over_at=row.told_over_at,
    )


def _rule(row: Row[Any]) -> Rule:
    return Rule(
        kind=AlertKind(row.kind),
        enabled=row.enabled,
        threshold=row.threshold,
        currency=row.currency,
        for_minutes=row.for_minutes,
        severity=Severity(row.severity),
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        quiet_zone=row.quiet_zone,
    )
