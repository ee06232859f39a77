"""What the database holds encrypted: the key of the audit trail's seals, which is the program's own, and everybody's credentials."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import clock_of
from app.db.tables import ARCHIVES, alert_targets, erps, events, secrets, sites, threads


def kept(engine: Engine, name: str, *, make: Callable[[int], str]) -> str:
    """The secret of this name as it is stored; where there is none, what `make` gives for the id of the latest event.

    Two processes that ask at once get the same.
    """
    query = select(secrets.c.value).where(secrets.c.name == name)
    with engine.connect().execution_options(read_only=True) as connection:
        found = connection.scalar(query)
    if found is not None:
        return str(found)
    try:
        with engine.begin() as connection:
            value = make(_last_event(connection))
            connection.execute(
                insert(secrets).values(name=name, value=value, created_at=clock_of(connection))
            )
            return value
    except IntegrityError:
        with engine.connect().execution_options(read_only=True) as connection:
            return str(connection.execute(query).scalar_one())


def replace(engine: Engine, name: str, *, make: Callable[[int], str]) -> str:
    """Put another secret of this name in the place of the one there is; every order's seals begin anew.

    The numbers of events go on, for what belongs to an event is found by its number.
    """
    with engine.begin() as connection:
        # Whoever appends to the trail locks an order's row first: until then there is no event that we do not see.
        connection.execute(update(threads).values(event_head=None))
        value = make(_last_event(connection))
        connection.execute(
            update(secrets).where(secrets.c.name == name).values(value=value, created_at=clock_of(connection))
        )
        return value


def _last_event(connection: Connection) -> int:
    return max(connection.scalar(select(func.max(each.c.id))) or 0 for each in (events, ARCHIVES[events]))


_PLACES: tuple[tuple[str, Column[str], Column[str]], ...] = (
    ("the ERP {}", erps.c.name, erps.c.credentials),
    ("the site {}", sites.c.name, sites.c.credentials),
    ("the webhooks of {}", sites.c.name, sites.c.hook_secrets),
    ("the {} key", secrets.c.name, secrets.c.value),
    ("the alert target {}", alert_targets.c.name, alert_targets.c.url),
)
"""Every column with something encrypted in it, and what each of its rows is called. A test sees that there is no other."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """One thing that is stored encrypted: `what` a person calls it, and where its `token` stands."""

    what: str
    token: str
    place: int
    row_id: int


def encrypted(engine: Engine) -> list[Encrypted]:
    """Everything that is stored encrypted. What was removed keeps its row and has no credentials any more."""
    found: list[Encrypted] = []
    with engine.connect().execution_options(read_only=True) as connection:
        for place, (what, name, column) in enumerate(_PLACES):
            rows = connection.execute(
                select(column.table.c.id, name, column)
                .where(column.is_not(None), column != "")
                .order_by(name)
            )
            found += [
                Encrypted(what=what.format(row[1]), token=row[2], place=place, row_id=row[0]) for row in rows
            ]
    return found


def exchange(engine: Engine, old: Encrypted, *, token: str) -> bool:
    """Put another token in the place of this one, in a transaction of its own. False where it is no longer the one there."""
    _, _, column = _PLACES[old.place]
    with engine.begin() as connection:
        done = connection.execute(
            update(column.table)
            .where(column.table.c.id == old.row_id, column == old.token)
            .values({column.name: token})
        )
        return bool(done.rowcount)
