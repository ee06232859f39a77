"""Storing what a platform showed: bodies, versions, threads and the cursor, in one transaction."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, insert, select, update

from app.db.store.base import Base, Entry, chunks, cut, lease_free
from app.db.store.both import bring_back, of_both
from app.db.store.road import resolve_errors
from app.db.store.upkeep import as_run, run_counts
from app.db.tables import batches, events, inbox, orders, runs, sites, steps, threads
from app.db.types import storable
from app.domain.cards import masked
from app.domain.reading import Bookmark, Cursor
from app.domain.road import SENT, STEP_UNFINISHED, UNFINISHED, Owed, Stage, State, StepState
from app.domain.trail import digest
from app.ports.sales_channel import Seen
from app.ports.store import Bell, Restarted, Run, Sighting, Stored

_OPEN = (*UNFINISHED, State.REJECTED)
"""States that an order leaves when the platform does not want it any more."""


_LONGEST_STALL = timedelta(minutes=30)
"""No answer is stored so long after it was asked for, its lease having ended; it is our own clock then that was set back."""

_REPLICA_LAG = timedelta(minutes=1)
"""For so long a platform may answer with what was true before."""


class Reading(Base):
    """The site lease, runs, pages and new versions."""

    def claim_site(self, site_id: int, *, lease_seconds: float) -> str | None:
        """A token, or None while another fetch of this site holds the lease."""
        token = str(uuid.uuid4())
        with self._writing() as connection:
            now = self._now(connection)
            taken = connection.execute(
                update(sites)
                .where(sites.c.id == site_id, lease_free(sites, now))
                .values(lease_token=token, lease_until=now + timedelta(seconds=lease_seconds))
            )
        return token if taken.rowcount == 1 else None

    def release_site(self, site_id: int, token: str, *, next_run: datetime | None) -> None:
        """Give the lease back. With `next_run` the fetch counts as a run of the site."""
        with self._writing() as connection:
            values: dict[str, Any] = {"lease_token": None, "lease_until": None}
            if next_run is not None:
                values |= {"order_next_run": next_run, "order_last_run": self._now(connection)}
            connection.execute(
                update(sites).where(sites.c.id == site_id, sites.c.lease_token == token).values(**values)
            )

    def open_run(self, *, kind: str, site_id: int | None = None, erp_id: int | None = None) -> int:
        """A new run, in state `running`."""
        with self._writing() as connection:
            values: dict[str, Any] = {
                "kind": kind,
                "site_id": site_id,
                "erp_id": erp_id,
                "state": "running",
                "counts": {},
            }
            made = connection.execute(insert(runs).values(**values, started_at=self._now(connection)))
            return int(made.inserted_primary_key[0])  # type: ignore[index]

    def finish_reading(
        self, run_id: int, *, state: str | None, reason: str, is_full: bool = False
    ) -> Run | None:
        """The reading of a run is over. `state` ends it at once (`paused`, `failed`); None leaves it to `close_runs`.

        Returns the run where it ended with this.
        """
        with self._writing() as connection:
            now = self._now(connection)
            this = runs.c.id == run_id
            row = connection.execute(select(runs.c.finished_at).where(this).with_for_update()).first()
            if row is None:
                # Its site was removed meanwhile, with all it had.
                return None
            is_over = row.finished_at
            values: dict[str, Any] = {"read_at": now, "reason": cut(reason), "is_full": is_full}
            if state is not None:
                counts = run_counts(connection, run_id)
                values |= {"state": state, "finished_at": now, "counts": counts}
            connection.execute(update(runs).where(this).values(**values))
            if state is None or is_over:
                return None
            return as_run(connection.execute(select(runs).where(this)).one())

    def adopt_waiting(self, site_id: int, *, run_id: int) -> tuple[Bell, ...]:
        """Make the site's waiting orders before delivery due and part of this run; what is to be rung for them."""
        with self._writing() as connection:
            now = self._now(connection)
            mine = (
                threads.c.site_id == site_id,
                threads.c.state.in_(UNFINISHED),
                threads.c.stage != Stage.DELIVER,
                # A held order waits also where it was released a moment ago and nobody has come for it yet.
                (threads.c.next_at > now) | (threads.c.state == State.HELD),
                lease_free(threads, now),
            )
            found = connection.execute(
                select(threads.c.batch_id, threads.c.stage).where(*mine).distinct()
            ).all()
            connection.execute(update(threads).where(*mine).values(run_id=run_id, next_at=now, rung_at=now))
            return tuple(Bell(batch_id=row.batch_id, link=Stage(row.stage)) for row in found)

    def store_page(
        self,
        *,
        site_id: int,
        token: str,
        run_id: int,
        sightings: Sequence[Sighting],
        read_at: datetime,
        limit: int,
        cursor_after: Mapping[int, Cursor | None],
        bookmark: Bookmark | None = None,
        wide: bool = False,
    ) -> Stored:
        """Store a page: new orders, new versions, the cursor and the bookmark, in one transaction."""
        with self._writing() as connection:
            owner = (
                select(sites.c.id)
                .where(sites.c.id == site_id, sites.c.lease_token == token)
                .with_for_update()
            )
            if connection.execute(owner).first() is None:
                return Stored(batch_id=None, lost_lease=True)
            page = _Page(self, connection, site_id=site_id, run_id=run_id, read_at=read_at)
            page.look_up([sighting.seen for sighting in sightings])
            kept = 0
            full = False
            for sighting in sightings:
                if page.is_new(sighting.seen) and page.unseen >= limit:
                    full = True
                    break
                page.add(sighting)
                kept += 1
            stored = page.flush(full=full)
            values: dict[str, Any] = {}
            if not full:
                values["wide_bookmark" if wide else "bookmark"] = bookmark
            cursor = cursor_after[kept]
            if cursor is not None:
                values |= {"cursor_modified": cursor.modified_at, "cursor_order_id": cursor.platform_order_id}
            if values:
                connection.execute(
                    update(sites).where(sites.c.id == site_id, sites.c.lease_token == token).values(**values)
                )
            return stored

    def store_read(
        self,
        site_id: int,
        sightings: Sequence[Sighting],
        *,
        read_at: datetime,
        gone: Collection[str] = (),
        run_id: int | None = None,
    ) -> Stored:
        """Store orders that were read by their ids; the cursor stays. See the port for those that are not eligible."""
        with self._writing() as connection:
            # Two that read the same new order would both insert it, and one that is being removed must get no more.
            here = (sites.c.id == site_id, sites.c.removed_at.is_(None))
            if connection.execute(select(sites.c.id).where(*here).with_for_update()).first() is None:
                return Stored(batch_id=None)
            page = _Page(self, connection, site_id=site_id, run_id=run_id, read_at=read_at)
            page.look_up([sighting.seen for sighting in sightings], gone=gone)
            for sighting in sightings:
                page.add(sighting)
            for each in gone:
                page.add_gone(each)
            return page.flush(full=False)

    def keep_completed(self, site_id: int, bodies: Mapping[tuple[str, int], str]) -> None:
        """Keep the completed bodies of these versions beside what was received first. See the port for those that are not."""
        if not bodies:
            return
        bodies = {key: masked(body) for key, body in bodies.items()}
        this = (
            inbox.c.site_id == site_id,
            inbox.c.platform_order_id == bindparam("_order"),
            inbox.c.version == bindparam("_version"),
        )
        with self._writing() as connection:
            owners = _wanted(connection, site_id, bodies)
            if not owners:
                return
            connection.execute(
                update(inbox).where(*this).values(completed=bindparam("_body")),
                [{"_order": each[0], "_version": each[1], "_body": bodies[each]} for each in owners],
            )
            entries = [
                Entry(
                    owner,
                    "fetch",
                    "completed",
                    {"version": each[1], "completed_sha256": digest(bodies[each])},
                )
                for each, owner in owners.items()
            ]
            self._note(connection, entries, now=self._now(connection))

    def note_clock(
        self, site_id: int, token: str, *, clock_ahead: float | None, wide_at: datetime | None = None
    ) -> None:
        """How far the platform's clock is ahead of ours, and up to when what is stamped far back was looked for, by ours."""
        with self._writing() as connection:
            values: dict[str, Any] = {"clock_ahead": clock_ahead}
            if wide_at is not None:
                values |= {"wide_read_at": wide_at, "wide_bookmark": None}
            connection.execute(
                update(sites).where(sites.c.id == site_id, sites.c.lease_token == token).values(**values)
            )

    def count_failure(self, site_id: int, *, failed: bool) -> int:
        """How many readings of this site have failed in a row, this one counted; one that did not fail sets it to none."""
        with self._writing() as connection:
            this = sites.c.id == site_id
            before = connection.execute(select(sites.c.failures).where(this).with_for_update()).scalar() or 0
            after = before + 1 if failed else 0
            if after != before:
                connection.execute(update(sites).where(this).values(failures=after or None))
            return int(after)

    def new_versions(self, site_id: int, seen: Collection[Seen], *, read_at: datetime) -> Restarted:
        """Store what was read again and differs; such orders restart."""
        with self._writing() as connection:
            page = _Page(self, connection, site_id=site_id, run_id=None, read_at=read_at)
            page.look_up(seen)
            changed = frozenset(
                row.platform_order_id for row in seen if not page.is_new(row) and page.add(Sighting(seen=row))
            )
            return Restarted(platform_order_ids=changed, batch_id=page.flush(full=False).batch_id)


def _closing(reason: str) -> dict[str, Any]:
    """An order's row once it goes no further; a step that still works on it finds its token gone and settles nothing."""
    return {
        "state": State.CLOSED,
        "reason": reason,
        "hold_kind": "",
        "next_at": None,
        "fence": threads.c.fence + 1,
        "lease_until": None,
        "lease_token": None,
    }


def _wanted(
    connection: Connection, site_id: int, bodies: Collection[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """The row ids of the orders that have these versions still, and their data; they are locked."""
    query = select(threads).where(
        threads.c.site_id == site_id, threads.c.erased_at.is_(None), threads.c.archived_at.is_(None)
    )
    found: dict[tuple[str, int], int] = {}
    for part in chunks(sorted({order_id for order_id, _ in bodies})):
        mine = query.where(threads.c.platform_order_id.in_(part)).order_by(threads.c.id)
        for row in connection.execute(mine.with_for_update()):
            for version in {row.version, row.amended_version}:
                if (row.platform_order_id, version) in bodies:
                    found[row.platform_order_id, version] = row.id
    return found


def _exports(thread_ids: list[int], steps: Table) -> Select[Any]:
    columns = (steps.c.thread_id, steps.c.state, steps.c.document_id, steps.c.intent_at)
    return select(*columns).where(steps.c.thread_id.in_(thread_ids), steps.c.kind == Owed.EXPORT)


def _told_gone(thread_ids: list[int], events: Table) -> Select[Any]:
    return select(events.c.thread_id).where(events.c.thread_id.in_(thread_ids), events.c.event == "gone")


def _without_cards(sighting: Sighting) -> Sighting:
    body = masked(sighting.seen.body)
    if body is sighting.seen.body:
        return sighting
    return replace(sighting, seen=replace(sighting.seen, body=body))


class _Page:
    """Collects what one page changes and stores it in bulk. Lives for one transaction."""

    def __init__(
        self, store: Base, connection: Connection, *, site_id: int, run_id: int | None, read_at: datetime
    ) -> None:
        self.unseen = 0
        self._store = store
        self._connection = connection
        self._site_id = site_id
        self._run_id = run_id
        self._read_at = read_at
        self._now = store._now(connection)  # noqa: SLF001 - a part of the store, split off for its length
        self._known: dict[str, Row[Any]] = {}
        self._sent: set[int] = set()
        self._linked: set[int] = set()
        self._new: dict[str, Sighting] = {}
        self._again: list[tuple[Row[Any], Sighting]] = []
        self._amended: list[tuple[Row[Any], Sighting]] = []
        self._closed: list[tuple[Row[Any], Sighting]] = []
        self._gone: list[Row[Any]] = []
        self._unchanged = 0

    def look_up(self, seen: Collection[Seen], *, gone: Collection[str] = ()) -> None:
        """Learn what is stored of these orders, and lock those that this page may change.

        Orders that are shown as they are stored are not locked: a claim passes over locked orders, and what it passed over waits
        for the sweeper. As nothing is done with them, it is as if this page had come before whatever is done to them meanwhile.
        """
        query = select(threads).where(threads.c.site_id == self._site_id)
        for part in chunks(list({*(each.platform_order_id for each in seen), *gone})):
            rows = self._connection.execute(query.where(threads.c.platform_order_id.in_(part)))
            self._known.update((row.platform_order_id, row) for row in rows)
        differ = {each.platform_order_id for each in seen if not self._is_as_stored(each)}
        locked = [self._known.pop(each).id for each in {*differ, *gone} if each in self._known]
        for part in chunks(sorted(locked)):
            these = query.where(threads.c.id.in_(part)).order_by(threads.c.id)
            rows = self._connection.execute(these.with_for_update())
            self._known.update((row.platform_order_id, row) for row in rows)
        # Asked only now that the threads are locked, and by itself: an export's intent takes the same locks first, so its
        # state cannot be older than what is decided here.
        for part in chunks(locked):
            for export in self._connection.execute(of_both(partial(_exports, part), steps)):
                if export.state in SENT:
                    self._sent.add(export.thread_id)
                # An intent outlives a failure after which something may still come of it.
                if export.document_id or export.intent_at is not None:
                    self._linked.add(export.thread_id)

    def _is_as_stored(self, seen: Seen) -> bool:
        """Whether nothing follows from seeing this order as it stands."""
        row = self._known.get(seen.platform_order_id)
        return (
            row is not None
            and seen.eligible
            and seen.content_hash == row.content_hash
            and row.state not in (State.CLOSED, State.SKIPPED)
        )

    def is_new(self, seen: Seen) -> bool:
        return seen.platform_order_id not in self._known and seen.platform_order_id not in self._new

    def add(self, sighting: Sighting) -> bool:
        """Take one order in. Returns whether it will be run (again)."""
        seen = sighting.seen
        row = self._known.get(seen.platform_order_id)
        if row is None:
            return self._add_unseen(sighting)
        same = seen.content_hash == row.content_hash
        unchanged = same and not self._comes_back(sighting, row)
        # What a person has settled is theirs: it never runs again by itself.
        settled = row.skipped_by is not None
        if (
            self._is_older(seen, row)
            or (unchanged and (seen.eligible or row.id in self._sent))
            or (settled and same)
        ):
            self._unchanged += 1
        elif settled or row.id in self._sent or (not seen.eligible and row.id in self._linked):
            self._amended.append((row, _without_cards(sighting)))
        elif seen.eligible:
            self._again.append((row, _without_cards(sighting)))
            return True
        elif row.state in _OPEN:
            self._closed.append((row, _without_cards(sighting)))
        return False

    def add_gone(self, platform_order_id: str) -> None:
        """Take in that the platform has no such order any more."""
        row = self._known.get(platform_order_id)
        if row is not None and (row.state in _OPEN or row.id in self._sent or row.id in self._linked):
            self._gone.append(row)

    def _add_unseen(self, sighting: Sighting) -> bool:
        if not sighting.seen.eligible:
            return False
        if sighting.seen.platform_order_id not in self._new:
            self.unseen += 1
        self._new[sighting.seen.platform_order_id] = _without_cards(sighting)
        return True

    def _comes_back(self, sighting: Sighting, row: Row[Any]) -> bool:
        """Whether an order that was closed or skipped is wanted now, with the content it had before."""
        if row.state == State.SKIPPED:
            return sighting.skip is None
        return row.state == State.CLOSED and sighting.seen.eligible and row.id not in self._sent

    def _is_older(self, seen: Seen, row: Row[Any]) -> bool:
        """Whether this read shows less than what is stored: by the platform's time, and within one second by when we asked."""
        if seen.modified_at is None or row.modified_at is None or seen.modified_at > row.modified_at:
            return False
        behind: timedelta = row.read_at - self._read_at
        asked_before = timedelta(0) < behind < _LONGEST_STALL
        if row.modified_at > row.read_at or seen.modified_at == row.modified_at:
            # A time that had not come yet when it was read says nothing about what is older.
            return asked_before
        # Where we asked clearly later, the platform's clock was set back, and its edit is an edit.
        return asked_before or abs(behind) < _REPLICA_LAG

    def flush(self, *, full: bool) -> Stored:
        # Something happens to them again; what is only seen to be gone stays where it is.
        bring_back(self._connection, [row.id for row, _ in (*self._again, *self._amended, *self._closed)])
        skipped = sum(1 for sighting in self._new.values() if sighting.skip)
        to_run = len(self._new) - skipped + len(self._again)
        batch_id = self._batch() if to_run else None
        self._store_new(batch_id)
        self._store_versions(batch_id)
        self._close()
        return Stored(
            batch_id=batch_id,
            new=len(self._new),
            skipped=skipped,
            again=len(self._again),
            amended=len(self._amended),
            known=self._unchanged,
            closed=len(self._closed) + sum(not self._may_be_there(row) for row in self._gone),
            full=full,
        )

    def _batch(self) -> int:
        made = self._connection.execute(insert(batches).values(site_id=self._site_id, created_at=self._now))
        return int(made.inserted_primary_key[0])  # type: ignore[index]

    def _body(self, seen: Seen, version: int) -> dict[str, Any]:
        return {
            "site_id": self._site_id,
            "platform_order_id": seen.platform_order_id,
            "version": version,
            "content_hash": seen.content_hash,
            "status": storable(seen.status)[:64],
            "modified_raw": storable(seen.modified_raw)[:64],
            "modified_at": seen.modified_at,
            "read_at": self._read_at,
            "body": seen.body,
        }

    def _store_new(self, batch_id: int | None) -> None:
        if not self._new:
            return
        self._connection.execute(
            insert(inbox), [self._body(sighting.seen, 1) for sighting in self._new.values()]
        )
        rows = [
            {
                "site_id": self._site_id,
                "platform_order_id": key,
                "order_number": storable(sighting.order_number)[:80],
                "version": 1,
                "content_hash": sighting.seen.content_hash,
                "modified_at": sighting.seen.modified_at,
                "read_at": self._read_at,
                "run_id": self._run_id,
                "batch_id": None if sighting.skip else batch_id,
                "stage": Stage.NORMALIZE.value,
                "state": (State.SKIPPED if sighting.skip else State.ACTIVE).value,
                "reason": cut(sighting.skip or ""),
                "next_at": None if sighting.skip else self._now,
                "rung_at": None if sighting.skip else self._now,
                "created_at": self._now,
                "updated_at": self._now,
            }
            for key, sighting in self._new.items()
        ]
        self._connection.execute(insert(threads), rows)
        made = self._connection.execute(
            select(threads.c.id, threads.c.platform_order_id).where(
                threads.c.site_id == self._site_id, threads.c.platform_order_id.in_(list(self._new))
            )
        )
        self._note([self._first(row.id, self._new[row.platform_order_id]) for row in made])

    def _first(self, thread_id: int, sighting: Sighting) -> Entry:
        detail = {"version": 1, "sha256": digest(sighting.seen.body)}
        if sighting.skip:
            return Entry(thread_id, "fetch", "skipped", detail, {"reason": sighting.skip})
        return Entry(thread_id, "fetch", "fetched", detail)

    def _store_versions(self, batch_id: int | None) -> None:
        both = [*self._again, *self._amended, *self._closed]
        if not both:
            return
        amended = {row.id for row, _ in self._amended}
        closed = {row.id for row, _ in self._closed}
        again = {row.id for row, _ in self._again}
        different = [
            (row, sighting)
            for row, sighting in both
            # An order that is wanted again after its data was erased begins with what is read now.
            if sighting.seen.content_hash != row.content_hash
            or (row.id in again and row.erased_at is not None)
        ]
        latest = {row.id: row.version for row, _ in both}
        latest |= {row.id: max(row.version, row.amended_version or 0) + 1 for row, _ in different}
        if different:
            self._connection.execute(
                insert(inbox), [self._body(sighting.seen, latest[row.id]) for row, sighting in different]
            )
        for row, sighting in both:
            seen = {
                "content_hash": sighting.seen.content_hash,
                "modified_at": sighting.seen.modified_at,
                "read_at": self._read_at,
            }
            values: dict[str, Any] = {**seen, "updated_at": self._now}
            if row.id in amended:
                values["amended_version"] = latest[row.id]
            elif row.id in closed:
                reason = cut(f"Its status on the platform is now {sighting.seen.status!r}.")
                values |= {"version": latest[row.id], **_closing(reason)}
            else:
                skip = sighting.skip if row.state == State.SKIPPED else None
                values |= {
                    "version": latest[row.id],
                    "stage": Stage.NORMALIZE,
                    "state": State.SKIPPED if skip else State.ACTIVE,
                    "reason": cut(skip or ""),
                    "hold_kind": "",
                    "waiting_since": None,
                    "document": None,
                    # What was erased stays so; from now on it is an order with what is read now, like any other.
                    "erased_at": None,
                    "batch_id": batch_id,
                    "next_at": None if skip else self._now,
                    "rung_at": self._now,
                    "attempts": 0,
                    "unsettled": 0,
                    # A step that still works on the old version finds its token gone and settles nothing.
                    "fence": threads.c.fence + 1,
                    "lease_until": None,
                    "lease_token": None,
                }
                if self._run_id is not None:
                    values["run_id"] = self._run_id
            self._connection.execute(update(threads).where(threads.c.id == row.id).values(**values))
        if again:
            self._connection.execute(
                update(steps)
                .where(steps.c.thread_id.in_(again))
                .values(lease_until=None, lease_token=None, fence=steps.c.fence + 1)
            )
            resolve_errors(self._connection, sorted(again), resolution="a new version arrived", now=self._now)
        stored = {row.id for row, _ in different}
        self._note(
            [
                Entry(
                    row.id,
                    "fetch",
                    self._event(row.id, amended=amended, closed=closed),
                    {"version": latest[row.id]}
                    | ({"sha256": digest(sighting.seen.body)} if row.id in stored else {}),
                )
                for row, sighting in both
            ]
        )

    def _may_be_there(self, row: Row[Any]) -> bool:
        return row.id in self._sent or row.id in self._linked

    def _close_gone(self) -> list[int]:
        """Orders that are gone from the platform: closed where nothing was sent, else only told. The threads that were closed."""
        closed = [row.id for row in self._gone if not self._may_be_there(row)]
        if closed:
            values = {**_closing("It is no longer on the platform."), "updated_at": self._now}
            self._connection.execute(update(threads).where(threads.c.id.in_(closed)).values(**values))
        told = of_both(partial(_told_gone, [row.id for row in self._gone]), events)
        known = set(self._connection.scalars(told)) if self._gone else set()
        self._note([Entry(row.id, "fetch", "gone") for row in self._gone if row.id not in known])
        return closed

    def _close(self) -> None:
        """What the platform no longer wants, and was sent to nobody, is owed to nobody."""
        free = {"lease_until": None, "lease_token": None}
        ids = [*(row.id for row, _ in self._closed), *self._close_gone()]
        if not ids:
            return
        self._connection.execute(
            update(steps)
            .where(steps.c.thread_id.in_(ids), steps.c.state.in_(STEP_UNFINISHED))
            .values(state=StepState.CLOSED, next_at=None, fence=steps.c.fence + 1, **free)
        )
        unsent = (orders.c.thread_id.in_(ids), orders.c.imported == 0)
        self._connection.execute(update(orders).where(*unsent).values(imported=2))
        resolve_errors(self._connection, ids, resolution="closed on the platform", now=self._now)

    @staticmethod
    def _event(thread_id: int, *, amended: set[int], closed: set[int]) -> str:
        if thread_id in amended:
            return "amended"
        return "closed" if thread_id in closed else "changed"

    def _note(self, entries: list[Entry]) -> None:
        self._store._note(self._connection, entries, now=self._now)  # noqa: SLF001 - a part of the store
