"""What the program keeps for itself in the database, encrypted: the key of the audit trail's seals."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import clock_of
from app.db.tables import ARCHIVES, events, secrets, threads


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
