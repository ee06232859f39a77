"""The site lease, runs, pages and new versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.domain.cards import masked
from app.domain.reading import Bookmark, Cursor
from app.domain.road import SENT, STEP_UNFINISHED, UNFINISHED, Owed, Stage, State, StepState
from app.domain.trail import digest
from app.ports.sales_channel import Seen
from app.ports.store import Bell, Restarted, Run, Sighting, Stored
from tests.fakes.memory_store.base import Entry, Row, change, cut, is_free, storable
from tests.fakes.memory_store.configuration import take_lease
from tests.fakes.memory_store.upkeep import Upkeep, as_run

_OPEN = (*UNFINISHED, State.REJECTED)
_LONGEST_STALL = timedelta(minutes=30)
_REPLICA_LAG = timedelta(minutes=1)
_FREE = {"lease_until": None, "lease_token": None}


class Reading(Upkeep):
    """What was read is stored."""

    def claim_site(self, site_id: int, *, lease_seconds: float) -> str | None:
        return take_lease(self.data.sites.rows[site_id], self.now(), lease_seconds)

    def release_site(self, site_id: int, token: str, *, next_run: datetime | None) -> None:
        site = self.data.sites.rows[site_id]
        if site.lease_token == token:
            change(site, **_FREE)
            if next_run is not None:
                change(site, order_next_run=next_run, order_last_run=self.now())

    def open_run(self, *, kind: str, site_id: int | None = None, erp_id: int | None = None) -> int:
        row = self.data.runs.add(
            kind=kind, site_id=site_id, erp_id=erp_id, state="running", counts={}, started_at=self.now()
        )
        return int(row.id)

    def finish_reading(
        self, run_id: int, *, state: str | None, reason: str, is_full: bool = False
    ) -> Run | None:
        row = self.data.runs.rows.get(run_id)
        if row is None:
            return None
        now, is_over = self.now(), row.finished_at
        change(row, read_at=now, reason=cut(reason), is_full=is_full)
        if state is None:
            return None
        change(row, state=state, finished_at=now, counts=self._run_counts(run_id))
        return None if is_over else as_run(row)

    def adopt_waiting(self, site_id: int, *, run_id: int) -> tuple[Bell, ...]:
        now = self.now()
        mine = [
            each
            for each in self.data.threads
            if each.site_id == site_id
            and each.state in UNFINISHED
            and each.stage != Stage.DELIVER
            and (each.next_at > now or each.state == State.HELD)
            and is_free(each, now)
        ]
        for each in mine:
            change(each, run_id=run_id, next_at=now, rung_at=now)
        places = dict.fromkeys((each.batch_id, each.stage) for each in mine)
        return tuple(Bell(batch_id=batch_id, link=Stage(stage)) for batch_id, stage in places)

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
        site = self.data.sites.rows[site_id]
        if site.lease_token != token:
            return Stored(batch_id=None, lost_lease=True)
        page = _Page(self, site_id=site_id, run_id=run_id, read_at=read_at)
        kept, full = 0, False
        for sighting in sightings:
            if page.is_new(sighting.seen) and page.unseen >= limit:
                full = True
                break
            page.add(sighting)
            kept += 1
        # Nothing is changed before all that may fail has been asked for.
        cursor = cursor_after[kept]
        stored = page.flush(full=full)
        if cursor is not None:
            change(site, cursor_modified=cursor.modified_at, cursor_order_id=cursor.platform_order_id)
        if not full:
            change(site, **{"wide_bookmark" if wide else "bookmark": bookmark})
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
        site = self.data.sites.rows.get(site_id)
        if site is None or site.removed_at is not None:
            return Stored(batch_id=None)
        page = _Page(self, site_id=site_id, run_id=run_id, read_at=read_at)
        for sighting in sightings:
            page.add(sighting)
        for each in gone:
            page.add_gone(each)
        return page.flush(full=False)

    def keep_completed(self, site_id: int, bodies: Mapping[tuple[str, int], str]) -> None:
        now = self.now()
        for (order_id, version), body in bodies.items():
            thread = self._thread(site_id, order_id)
            if thread is None or thread.erased_at or version not in {thread.version, thread.amended_version}:
                continue
            for row in self.data.inbox:
                if (row.site_id, row.platform_order_id, row.version) == (site_id, order_id, version):
                    row.completed = masked(body)
            facts = {"version": version, "completed_sha256": digest(masked(body))}
            self._note([Entry(thread.id, "fetch", "completed", facts)], now=now)

    def note_clock(
        self, site_id: int, token: str, *, clock_ahead: float | None, wide_at: datetime | None = None
    ) -> None:
        site = self.data.sites.rows[site_id]
        if site.lease_token == token:
            change(site, clock_ahead=clock_ahead)
            if wide_at is not None:
                change(site, wide_read_at=wide_at, wide_bookmark=None)

    def count_failure(self, site_id: int, *, failed: bool) -> int:
        site = self.data.sites.rows[site_id]
        site.failures = (site.failures or 0) + 1 if failed else None
        return int(site.failures or 0)

    def new_versions(self, site_id: int, seen: Collection[Seen], *, read_at: datetime) -> Restarted:
        page = _Page(self, site_id=site_id, run_id=None, read_at=read_at)
        changed = frozenset(
            row.platform_order_id for row in seen if not page.is_new(row) and page.add(Sighting(seen=row))
        )
        return Restarted(platform_order_ids=changed, batch_id=page.flush(full=False).batch_id)

    def first_seen_in(self, run_id: int) -> int:
        began = self.data.runs.rows[run_id].started_at
        return sum(1 for each in self.data.threads if each.run_id == run_id and each.created_at >= began)

    def _thread(self, site_id: int, platform_order_id: str) -> Row | None:
        place = (site_id, platform_order_id)
        return next(
            (each for each in self.data.threads if (each.site_id, each.platform_order_id) == place), None
        )


class _Page:
    """What one page changes, looked at as a whole before anything of it is stored."""

    def __init__(self, store: Reading, *, site_id: int, run_id: int | None, read_at: datetime) -> None:
        self.unseen = 0
        self._store = store
        self._data = store.data
        self._site_id = site_id
        self._run_id = run_id
        self._read_at = read_at
        self._now = store.now()
        self._known = {each.platform_order_id: each for each in self._data.threads if each.site_id == site_id}
        exports = [each for each in self._data.steps if each.kind == Owed.EXPORT]
        self._sent = {each.thread_id for each in exports if each.state in SENT}
        self._linked = {each.thread_id for each in exports if each.document_id or each.intent_at is not None}
        self._new: dict[str, Sighting] = {}
        self._again: list[tuple[Row, Sighting]] = []
        self._amended: list[tuple[Row, Sighting]] = []
        self._closed: list[tuple[Row, Sighting]] = []
        self._gone: list[Row] = []
        self._unchanged = 0

    def is_new(self, seen: Seen) -> bool:
        return seen.platform_order_id not in self._known and seen.platform_order_id not in self._new

    def add(self, sighting: Sighting) -> bool:
        """Take one order in. Returns whether it will be run (again)."""
        seen = replace(sighting.seen, body=masked(sighting.seen.body))
        sighting = replace(sighting, seen=seen)
        row = self._known.get(seen.platform_order_id)
        if row is None:
            return self._add_unseen(sighting)
        is_sent, is_settled = row.id in self._sent, row.skipped_by is not None
        same = seen.content_hash == row.content_hash
        unchanged = same and not self._comes_back(sighting, row)
        if self._is_older(seen, row) or (unchanged and (seen.eligible or is_sent)) or (is_settled and same):
            self._unchanged += 1
        elif is_settled or is_sent or (not seen.eligible and row.id in self._linked):
            self._amended.append((row, sighting))
        elif seen.eligible:
            self._again.append((row, sighting))
            return True
        elif row.state in _OPEN:
            self._closed.append((row, sighting))
        return False

    def add_gone(self, platform_order_id: str) -> None:
        row = self._known.get(platform_order_id)
        if row is not None and (row.state in _OPEN or self._may_be_there(row)):
            self._gone.append(row)

    def _add_unseen(self, sighting: Sighting) -> bool:
        if not sighting.seen.eligible:
            return False
        self.unseen += sighting.seen.platform_order_id not in self._new
        self._new[sighting.seen.platform_order_id] = sighting
        return True

    def _comes_back(self, sighting: Sighting, row: Row) -> bool:
        if row.state == State.SKIPPED:
            return sighting.skip is None
        return row.state == State.CLOSED and sighting.seen.eligible and row.id not in self._sent

    def _is_older(self, seen: Seen, row: Row) -> bool:
        if seen.modified_at is None or row.modified_at is None or seen.modified_at > row.modified_at:
            return False
        behind: timedelta = row.read_at - self._read_at
        asked_before = timedelta(0) < behind < _LONGEST_STALL
        if row.modified_at > row.read_at or seen.modified_at == row.modified_at:
            return asked_before
        return asked_before or abs(behind) < _REPLICA_LAG

    def _may_be_there(self, row: Row) -> bool:
        return row.id in self._sent or row.id in self._linked

    def flush(self, *, full: bool) -> Stored:
        skipped = sum(1 for each in self._new.values() if each.skip)
        to_run = len(self._new) - skipped + len(self._again)
        batch_id = self._store._batch(self._site_id, self._now) if to_run else None
        stored = Stored(
            batch_id=batch_id,
            new=len(self._new),
            skipped=skipped,
            again=len(self._again),
            amended=len(self._amended),
            known=self._unchanged,
            closed=len(self._closed) + sum(not self._may_be_there(row) for row in self._gone),
            full=full,
        )
        for sighting in self._new.values():
            self._store_new(sighting, batch_id)
        for row, sighting in self._again:
            self._restart(
                row, sighting, self._version(row, sighting, anew=row.erased_at is not None), batch_id
            )
        for row, sighting in self._amended:
            version = self._version(row, sighting)
            self._tell(row, sighting, "amended", version)
            self._refresh(row, sighting, amended_version=version)
        closed = [self._close(row, sighting) for row, sighting in self._closed]
        self._drop_owed([*closed, *self._close_gone()])
        return stored

    def _body(self, seen: Seen, version: int) -> None:
        self._data.inbox.add(
            site_id=self._site_id,
            platform_order_id=seen.platform_order_id,
            version=version,
            content_hash=seen.content_hash,
            status=storable(seen.status)[:64],
            modified_raw=storable(seen.modified_raw)[:64],
            modified_at=seen.modified_at,
            read_at=self._read_at,
            body=seen.body,
        )

    def _store_new(self, sighting: Sighting, batch_id: int | None) -> None:
        seen, skip = sighting.seen, sighting.skip
        self._body(seen, 1)
        due = None if skip else self._now
        row = self._data.threads.add(
            site_id=self._site_id,
            platform_order_id=seen.platform_order_id,
            order_number=storable(sighting.order_number)[:80],
            version=1,
            content_hash=seen.content_hash,
            modified_at=seen.modified_at,
            read_at=self._read_at,
            run_id=self._run_id,
            batch_id=None if skip else batch_id,
            stage=Stage.NORMALIZE,
            state=State.SKIPPED if skip else State.ACTIVE,
            reason=cut(skip or ""),
            next_at=due,
            rung_at=due,
            created_at=self._now,
            updated_at=self._now,
        )
        detail = {"version": 1, "sha256": digest(seen.body)}
        told = {"reason": skip} if skip else {}
        event = "skipped" if skip else "fetched"
        self._store._note([Entry(row.id, "fetch", event, detail, told)], now=self._now)

    def _version(self, row: Row, sighting: Sighting, *, anew: bool = False) -> int:
        """The version that this is, stored where it differs from the latest."""
        if sighting.seen.content_hash == row.content_hash and not anew:
            return int(row.version)
        version: int = max(row.version, row.amended_version or 0) + 1
        self._body(sighting.seen, version)
        return version

    def _tell(self, row: Row, sighting: Sighting, event: str, version: int) -> None:
        is_stored = sighting.seen.content_hash != row.content_hash
        body = {"sha256": digest(sighting.seen.body)} if is_stored else {}
        self._store._note([Entry(row.id, "fetch", event, {"version": version, **body})], now=self._now)

    def _refresh(self, row: Row, sighting: Sighting, **values: Any) -> None:
        seen = sighting.seen
        change(
            row,
            content_hash=seen.content_hash,
            modified_at=seen.modified_at,
            read_at=self._read_at,
            updated_at=self._now,
            **values,
        )

    def _restart(self, row: Row, sighting: Sighting, version: int, batch_id: int | None) -> None:
        skip = sighting.skip if row.state == State.SKIPPED else None
        self._tell(row, sighting, "changed", version)
        self._refresh(
            row,
            sighting,
            version=version,
            stage=Stage.NORMALIZE,
            state=State.SKIPPED if skip else State.ACTIVE,
            reason=cut(skip or ""),
            hold_kind="",
            waiting_since=None,
            document=None,
            erased_at=None,
            batch_id=batch_id,
            next_at=None if skip else self._now,
            rung_at=self._now,
            attempts=0,
            unsettled=0,
            fence=row.fence + 1,
            **_FREE,
        )
        if self._run_id is not None:
            row.run_id = self._run_id
        for step in self._store._steps_of(row.id):
            change(step, fence=step.fence + 1, **_FREE)
        self._store._resolve_errors([row.id], resolution="a new version arrived", now=self._now)

    def _end(self, row: Row, reason: str) -> None:
        ended = {"state": State.CLOSED, "reason": cut(reason), "hold_kind": "", "next_at": None}
        change(row, **ended, fence=row.fence + 1, **_FREE)

    def _close(self, row: Row, sighting: Sighting) -> int:
        version = self._version(row, sighting)
        self._tell(row, sighting, "closed", version)
        self._refresh(row, sighting, version=version)
        self._end(row, f"Its status on the platform is now {sighting.seen.status!r}.")
        return int(row.id)

    def _close_gone(self) -> list[int]:
        told = {each.thread_id for each in self._data.events if each.event == "gone"}
        closed = []
        for row in self._gone:
            if not self._may_be_there(row):
                self._end(row, "It is no longer on the platform.")
                row.updated_at = self._now
                closed.append(row.id)
            if row.id not in told:
                self._store._note([Entry(row.id, "fetch", "gone")], now=self._now)
        return closed

    def _drop_owed(self, thread_ids: list[int]) -> None:
        """What the platform no longer wants, and was sent to nobody, is owed to nobody."""
        for step in self._data.steps:
            if step.thread_id in thread_ids and step.state in STEP_UNFINISHED:
                change(step, state=StepState.CLOSED, next_at=None, fence=step.fence + 1, **_FREE)
        for order in self._data.orders:
            if order.thread_id in thread_ids and order.imported == 0:
                order.imported = 2
        self._store._resolve_errors(thread_ids, resolution="closed on the platform", now=self._now)
