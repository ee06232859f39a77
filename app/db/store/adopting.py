"""Orders that a person or the desk starts again become part of a run, and are due now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, exists, select, update

from app.db.store.base import Base, Entry, chunks, lease_free
from app.db.store.upkeep import bell_for, gather, groups
from app.db.tables import runs, sites, steps, threads
from app.domain.road import LINKS, STEP_UNFINISHED, UNFINISHED, Link, Owed, Stage, State, StepState
from app.ports.places import OrderPlace
from app.ports.store import Bell

_PARTS = 500


class Adopting(Base):
    """Where orders stand, and what makes them go on from there as part of a run."""

    def places(
        self,
        *,
        site_id: int | None = None,
        batch_id: int | None = None,
        key: str | None = None,
        link: Link | None = None,
    ) -> tuple[OrderPlace, ...]:
        """Where the orders of a site, of a batch, or with this number (else this platform's id) stand; with `link` those there."""
        named = (threads.c.order_number == key, threads.c.platform_order_id == key)
        of = threads.c.site_id == site_id if batch_id is None else threads.c.batch_id == batch_id
        with self._reading() as connection:
            now = self._now(connection)
            for where in named if key is not None else (of,):
                found = connection.execute(_standing(now, where, link=link)).all()
                if found:
                    return tuple(_place(row) for row in found)
        return ()

    def adopt(
        self,
        run_id: int,
        *,
        thread_ids: Sequence[int] | None = None,
        batch_id: int | None = None,
        link: Link | None = None,
        by: str = "",
    ) -> tuple[Bell, ...]:
        """Make the unfinished orders among these, or of this batch, that nobody works on due now and part of this run.

        With `link` only those that stand there. A hold is released, in the audit trail by the person `by`, or by this process
        where nobody is named; since when the order waits is kept, so that it still comes to a person in time. Orders that stand
        at the same link of the same site are gathered into common batches. Returns what is to be rung for them.
        """
        wanted = (
            [threads.c.batch_id == batch_id]
            if thread_ids is None
            else [threads.c.id.in_(part) for part in chunks(sorted(set(thread_ids)), _PARTS)]
        )
        with self._writing() as connection:
            now = self._now(connection)
            rows = [
                row
                for where in wanted
                for row in connection.execute(
                    _unworked(now, where, link=link).with_for_update(skip_locked=True)
                )
            ]
            self._take(connection, [row.id for row in rows], run_id=run_id, link=link, now=now)
            held = [row for row in rows if row.state == State.HELD]
            self._note(connection, [_released(row, run_id, by=by) for row in held], now=now)
            # From now on it is its orders that end the run. A reading's run is ended by its reading.
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.kind != "orders", runs.c.read_at.is_(None))
                .values(read_at=now)
            )
            names: Mapping[int, str] = {
                row.id: row.name for row in connection.execute(select(sites.c.id, sites.c.name))
            }
            return tuple(
                bell_for(gather(connection, group, now), _link(group[0].link), group, names, run_id=run_id)
                for group in groups(rows)
            )

    def _take(
        self, connection: Connection, ids: list[int], *, run_id: int, link: Link | None, now: datetime
    ) -> None:
        due = {"next_at": now, "rung_at": now}
        kinds = [link] if isinstance(link, Owed) else list(Owed)
        for part in chunks(ids, _PARTS):
            connection.execute(
                update(steps)
                .where(
                    steps.c.thread_id.in_(part),
                    steps.c.kind.in_(kinds),
                    steps.c.state.in_(STEP_UNFINISHED),
                )
                .values(**due)
            )
            connection.execute(
                update(threads)
                .where(threads.c.id.in_(part))
                .values(run_id=run_id, state=State.ACTIVE, hold_kind="", **due)
            )


def _released(row: Row[Any], run_id: int, *, by: str) -> Entry:
    return Entry(row.id, row.link, "released", {"run": run_id, "hold": row.hold_kind}, by=by)


def _owes(kind: Owed, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a step of this kind is unfinished."""
    return exists().where(
        steps.c.thread_id == threads.c.id, steps.c.kind == kind, steps.c.state.in_(STEP_UNFINISHED), *more
    )


def _at(link: Link) -> ColumnElement[bool]:
    """The unfinished orders at a link. One whose mark waits and whose export is owed stands at both, once the mark was tried."""
    match link:
        case Owed.ACKNOWLEDGE:
            here: ColumnElement[bool] = (threads.c.stage == Stage.DELIVER) & _owes(Owed.ACKNOWLEDGE)
        case Owed.EXPORT:
            untried = _owes(Owed.ACKNOWLEDGE, steps.c.state == StepState.OWED, steps.c.attempts == 0)
            here = (threads.c.stage == Stage.DELIVER) & _owes(Owed.EXPORT) & ~untried
        case _:
            here = threads.c.stage == link
    return threads.c.state.in_(UNFINISHED) & here


def _first_link() -> ColumnElement[str]:
    """The first link of the chain that an order needs; `deliver` where nothing is owed for it any more."""
    return case(
        (threads.c.stage != Stage.DELIVER, threads.c.stage),
        *((_owes(kind), str(kind)) for kind in Owed),
        else_=str(Stage.DELIVER),
    )


def _is_worked_on(now: datetime) -> ColumnElement[bool]:
    on_a_step = exists().where(steps.c.thread_id == threads.c.id, ~lease_free(steps, now))
    return ~lease_free(threads, now) | on_a_step


def _unworked(now: datetime, where: ColumnElement[bool], *, link: Link | None) -> Select[Any]:
    columns = (threads.c.id, threads.c.site_id, threads.c.batch_id, threads.c.state, threads.c.hold_kind)
    stands = _first_link() if link is None else _constant(link)
    there = threads.c.state.in_(UNFINISHED) if link is None else _at(link)
    return (
        select(*columns, stands.label("link"))
        .where(where, there, ~_is_worked_on(now))
        .order_by(threads.c.site_id, threads.c.id)
    )


def _constant(link: Link) -> ColumnElement[str]:
    return case((threads.c.id.is_not(None), str(link)), else_=str(link))


def _standing(now: datetime, where: ColumnElement[bool], *, link: Link | None) -> Select[Any]:
    columns = (
        *(threads.c.id, threads.c.site_id, threads.c.order_number, threads.c.platform_order_id),
        *(threads.c.state, threads.c.batch_id, sites.c.name.label("site")),
    )
    at = [each for each in LINKS if link is None or each is link]
    marks = [case((_at(each), 1), else_=0).label(f"at_{each}") for each in at]
    busy = case((_is_worked_on(now), 1), else_=0).label("busy")
    query = (
        select(*columns, _first_link().label("link"), busy, *marks)
        .join(sites, sites.c.id == threads.c.site_id)
        .where(where)
        .order_by(threads.c.id)
    )
    return query if link is None else query.where(_at(link))


def _place(row: Row[Any]) -> OrderPlace:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    return OrderPlace(
        thread_id=row.id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        site_id=row.site_id,
        site=row.site,
        state=State(row.state),
        links=tuple(link for link in LINKS if found.get(f"at_{link}")),
        busy=bool(row.busy),
    )


def _link(word: str) -> Link:
    return Owed(word) if word in set(Owed) else Stage(word)
