"""Reading a site's orders: what the platform showed is stored, with the cursor, before anything else happens to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from app.domain.money import ZERO
from app.domain.reading import Bookmark, Cursor, Position, cursors, far_back, following, jump, set_back, start
from app.domain.road import Stage
from app.errors import Held, Misconfigured, OrderSyncError, Retry, UsageError
from app.ports.sales_channel import Page, SalesChannel, Seen
from app.ports.store import Bell, Sighting, Site, Stored
from app.sync.items import fill_if_empty
from app.sync.options import SiteOptions, site_options
from app.sync.parts import Parts, maintenance_until, paused_sentence, site_with_id
from app.sync.policy import SHORT, go_on_after, is_open_breaker, pause_until, read_again_at
from app.sync.schedule import next_site_run
from app.sync.silence import notice_silence
from app.sync.telling import pause_site, tell_summary

log = structlog.get_logger("ordersync.fetch")

PAGE_SIZE = 100
_TEST_ORDER_BELOW = Decimal("1.00")

Ring = Callable[[Bell], None]
"""Tells the workers that a batch has work at a link. Called only after the commit that makes it true."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """How a fetch ended: `read`, `paused`, `failed`, `busy`, `not_due` or `unfinished`, and the run it belongs to.

    `unfinished`: its time was up, or the account's limits held it; the run is still unread, and fetching for it again, in
    `again_in` seconds, goes on where this stopped, as does any other reading of the site.
    """

    run_id: int | None
    state: str
    reason: str = ""
    again_in: float = 0.0


def fetch(parts: Parts, *, site_id: int, ring: Ring, run_id: int | None = None) -> FetchResult:
    """Read one site. With `run_id` a person asked for it, so it runs whether it is due or not.

    Does nothing where the run was read already. Never raises for a failure of the platform: the run says what happened, and
    what was stored before goes its way.
    """
    try:
        site = site_with_id(parts, site_id)
    except UsageError as error:
        # A message that was under way when its site was removed.
        if run_id is not None:
            parts.store.finish_reading(run_id, state="failed", reason=error.reason)
        return FetchResult(run_id=run_id, state="failed", reason=error.reason)
    nothing = _nothing_to_do(parts, site, run_id)
    if nothing is not None:
        return nothing
    started = parts.ticks()
    until = maintenance_until(parts, site)
    if until is not None:
        reason = paused_sentence(parts.store.now(), until)
        return _ended(parts, site, run_id, state="paused", reason=reason)
    token = parts.store.claim_site(site_id, lease_seconds=parts.limits.lease)
    if token is None:
        # Somebody reads this site now. A run that waits for its turn is rung again by the sweeper.
        return FetchResult(run_id=run_id, state="busy")
    # Once more under the lease: whoever had it until now may have read all there was, and moved the cursor.
    site = site_with_id(parts, site_id)
    nothing = _nothing_to_do(parts, site, run_id)
    if nothing is not None:
        parts.store.release_site(site_id, token, next_run=None)
        return nothing
    next_run = next_site_run(parts, dict(site.settings))
    run = parts.store.open_run(kind="orders", site_id=site_id) if run_id is None else run_id

    def ring_named(bell: Bell) -> None:
        ring(replace(bell, site=site.name, run_id=run))

    with structlog.contextvars.bound_contextvars(site=site.name, run=run):
        try:
            if run_id is not None:
                _unpause(parts, site)
            result, again_at = _read(parts, site, token=token, run_id=run, ring=ring_named, started=started)
            if again_at is not None:
                next_run = _next_run(site, result, scheduled=next_run, again_at=again_at)
            return result
        finally:
            # A run that was cut off stays unread, and is rung again by the sweeper.
            parts.store.release_site(site_id, token, next_run=next_run)


def _next_run(site: Site, result: FetchResult, *, scheduled: datetime, again_at: datetime) -> datetime:
    """When the schedule reads the site next, where the reading asks for `again_at`."""
    if result.state == "unfinished":
        # Another run would be held as well; this one goes on by itself.
        return max(scheduled, again_at)
    # Its own failures set the pace of a site that is away; what the schedule says would only wait for timeouts.
    return again_at if is_open_breaker(site.failures + 1) else min(scheduled, again_at)


def _nothing_to_do(parts: Parts, site: Site, run_id: int | None) -> FetchResult | None:
    """Why there is nothing to read, or None: a run that a person asked for is read once, a site by itself when it is due."""
    if run_id is not None:
        return FetchResult(run_id=run_id, state="read") if parts.store.run(run_id).is_read else None
    if site.is_active and site.orders_sync and site.order_next_run <= parts.store.now():
        return None
    return FetchResult(run_id=None, state="not_due")


def _unpause(parts: Parts, site: Site) -> None:
    """A person who asks for a run wants the settings tried again now; that the site's were wrong is kept until they prove right."""
    parts.store.pause_site(site.id, until=None, reason=site.paused_reason)
    for row in parts.store.erps():
        if row.paused_reason is not None and site.erp_id in {None, row.id}:
            parts.store.pause_erp(row.id, until=None, reason=None)


def _ended(
    parts: Parts, site: Site, run_id: int | None, *, state: str, reason: str, failure: str | None = None
) -> FetchResult:
    tell = log.info if failure is None else log.warning
    tell("fetch_ended", site=site.name, run=run_id, state=state, failure=failure)
    if run_id is not None:
        ended = parts.store.finish_reading(run_id, state=state, reason=reason)
        if ended is not None:
            tell_summary(ended, site=site.name)
    return FetchResult(run_id=run_id, state=state, reason=reason)


def _failed(parts: Parts, site: Site, run_id: int, error: OrderSyncError) -> FetchResult:
    failure = type(error).__name__
    return _ended(parts, site, run_id, state="failed", reason=error.reason, failure=failure)


def _read(
    parts: Parts, site: Site, *, token: str, run_id: int, ring: Ring, started: float
) -> tuple[FetchResult, datetime | None]:
    """How the reading ended, and when to read again where the schedule alone does not say."""
    try:
        fill_if_empty(parts, site)
        channel = parts.peers.channel(site)
        for bell in parts.store.adopt_waiting(site.id, run_id=run_id):
            ring(bell)
        reading = _Reading(parts, site, channel, token=token, run_id=run_id, ring=ring, started=started)
        complete = reading.run()
    except Misconfigured as error:
        until = pause_until(parts.store.now())
        pause_site(parts, site, error)
        return _failed(parts, site, run_id, error), until
    except Held as error:
        return _held(parts, site, run_id, error)
    except OrderSyncError as error:
        # What was stored before stays stored and goes on; the cursor stands behind it, so nothing is passed over.
        asked = error.after if isinstance(error, Retry) else None
        failures = parts.store.count_failure(site.id, failed=True)
        again_at = read_again_at(parts.store.now(), asked=asked, failures=failures)
        return _failed(parts, site, run_id, error), again_at
    if site.failures:
        parts.store.count_failure(site.id, failed=False)
    if site.paused_reason is not None:
        parts.store.pause_site(site.id, until=None, reason=None)
    if complete:
        parts.store.finish_reading(run_id, state=None, reason="", is_full=reading.is_full)
    notice_silence(parts, site)
    state = "read" if complete else "unfinished"
    log.info(
        "fetch_ended",
        site=site.name,
        run=run_id,
        state=state,
        new=reading.new,
        again=reading.again,
        skipped=reading.skipped,
    )
    return FetchResult(run_id=run_id, state=state), None


def _held(parts: Parts, site: Site, run_id: int, error: Held) -> tuple[FetchResult, datetime]:
    """The run stays unread, and nobody comes for it until there is room again: the platform has not failed."""
    wait = go_on_after(error.after)
    again_at = parts.store.now() + wait
    parts.store.read_later(run_id, at=again_at)
    log.info("fetch_ended", site=site.name, run=run_id, state="unfinished", reason=error.reason)
    again_in = min(wait, SHORT).total_seconds()
    return FetchResult(run_id=run_id, state="unfinished", reason=error.reason, again_in=again_in), again_at


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page, and the moment right before it was asked for."""

    page: Page
    read_at: datetime


@dataclass(frozen=True, slots=True)
class _Wide:
    """A look far back: when it was begun, and how far what was read anyway begins."""

    begun: datetime
    until: datetime

    def is_behind(self, position: Position) -> bool:
        return position.since is not None and position.since >= self.until


class _Reading:
    """One pass over what changed since the cursor."""

    def __init__(
        self,
        parts: Parts,
        site: Site,
        channel: SalesChannel,
        *,
        token: str,
        run_id: int,
        ring: Ring,
        started: float,
    ) -> None:
        self._parts = parts
        self._site = site
        self._channel = channel
        self._token = token
        self._run_id = run_id
        self._ring = ring
        self._options: SiteOptions = site_options(site.settings)
        self._cursor: Cursor | None = site.cursor
        self._deadline = started + parts.limits.soft_time_limit - parts.limits.http_timeout
        self._answered_at: datetime | None = None
        self._clock_ahead = site.clock_ahead
        self._is_clock_noted = self.is_full = False
        # A run that was cut off, or had no time left, has part of its orders already.
        self._limit = self._options.max_orders_per_run - parts.store.first_seen_in(run_id)
        self.new = self.again = self.skipped = 0

    def run(self) -> bool:
        """Read to the end or to the run's limit. Returns whether that was reached before the time was up."""
        kept = self._site.bookmark
        position = self._start() if kept is None else kept.position
        first = self._ask(position)
        if not first.page.rows:
            self._doubt_empty()
        moved = self._clock_jump(first)
        if moved:
            log.warning("clock_was_set", site=self._site.name, seconds=round(moved.total_seconds()))
            self._cursor = set_back(self._cursor, by=moved)
            position = self._start()
            first = self._ask(position)
        reached = self._read_from(position, first)
        if reached and not self.is_full:
            self._look_far_back(position)
        return reached

    def _start(self) -> Position:
        return start(self._cursor, overlap=self._options.overlap, floor=self._options.min_order_date)

    def _read_from(self, position: Position, answer: "_Asked | None", *, wide: "_Wide | None" = None) -> bool:
        """Page after page, `answer` being the first, to the end, to the limit or as far as `wide` goes. False where the time was up."""
        following_one: Position | None = position
        while following_one is not None and self.new < self._limit:
            if wide is not None and wide.is_behind(following_one):
                return True
            position = following_one
            answer = self._ask(position) if answer is None else answer
            times = [row.modified_at for row in answer.page.rows if row.modified_at is not None]
            following_one = following(
                position, last_modified_at=max(times, default=None), more=answer.page.more
            )
            stored = self._store(answer, position, following_one, wide=wide)
            self._note_clock()
            if stored.full:
                # What was not read comes with the next run: the cursor stands at the last stored row.
                self.is_full = True
                return True
            if following_one is not None and self._parts.ticks() > self._deadline:
                return False
            answer = None
        self.is_full = self.is_full or following_one is not None
        return True

    def _ask(self, position: Position) -> "_Asked":
        read_at = self._parts.store.now()
        page = self._channel.changed(position, page_size=PAGE_SIZE)
        if self._answered_at is None:
            # A platform that does not tell its time is measured by ours, and one whose clock is fast as well.
            kept = self._site.bookmark
            begun = read_at if kept is None else kept.begun
            self._answered_at = min(page.answered_at or read_at, read_at, begun)
        return _Asked(page, read_at)

    def _clock_jump(self, first: "_Asked") -> timedelta:
        if first.page.answered_at is None:
            return timedelta(0)
        self._clock_ahead = (first.page.answered_at - first.read_at).total_seconds()
        return jump(self._site.clock_ahead, self._clock_ahead, overlap=self._options.overlap)

    def _note_clock(self, *, wide_at: datetime | None = None) -> None:
        """Once the cursor that was set back is stored, and not before: else a run that fails would hide that it has to be."""
        if wide_at is not None or not self._is_clock_noted:
            self._parts.store.note_clock(
                self._site.id, self._token, clock_ahead=self._clock_ahead, wide_at=wide_at
            )
            self._is_clock_noted = True

    def _look_far_back(self, read_from: Position) -> None:
        """Once an hour what is stamped long before the cursor is looked at again, as far as there is time.

        An order can be stamped an hour late by a clock that we do not see; where it was, this finds it. What was just read
        is not read again, and a look that was cut off goes on with the next reading.
        """
        now = self._parts.store.now()
        if read_from.since is None:
            self._note_clock(wide_at=now)
            return
        site, overlap = self._site, self._options.overlap
        kept = site.wide_bookmark
        if kept is None:
            since = far_back(
                site.cursor, last=site.wide_read_at, clock_ahead=site.clock_ahead, now=now, overlap=overlap
            )
            if since is None:
                return
            floor = self._options.min_order_date
            kept = Bookmark(Position(since=since if floor is None else max(since, floor)), begun=now)
        wide = _Wide(begun=kept.begun, until=read_from.since)
        if self._read_from(kept.position, None, wide=wide) and not self.is_full:
            self._note_clock(wide_at=wide.begun)

    def _doubt_empty(self) -> None:
        """An empty list after orders have been read is either quiet times or a broken order table: ask whether any are left."""
        if self._cursor is not None and self._channel.probe().orders == 0:
            raise Retry(
                "The platform answers that it has no orders at all, although some were read before; its order table may be broken."
            )

    def _store(
        self, answer: "_Asked", position: Position, next_one: Position | None, *, wide: "_Wide | None"
    ) -> Stored:
        page, read_at = answer.page, answer.read_at
        answered_at = self._answered_at or read_at
        begun = answered_at if wide is None else wide.begun
        after = cursors(
            self._cursor,
            rows=[(row.modified_at, row.platform_order_id) for row in page.rows],
            position=position,
            answered_at=answered_at,
            overlap=self._options.overlap,
        )
        sightings = [sighting(self._site, row, skip=skip_reason(row, self._options)) for row in page.rows]
        stored = self._parts.store.store_page(
            site_id=self._site.id,
            token=self._token,
            run_id=self._run_id,
            sightings=sightings,
            read_at=read_at,
            limit=self._limit - self.new,
            cursor_after=after,
            bookmark=None if next_one is None else Bookmark(next_one, begun=begun),
            wide=wide is not None,
        )
        if stored.lost_lease:
            raise Retry("This run took longer than its lease and another has taken over.")
        self.new += stored.new
        self.again += stored.again
        self.skipped += stored.skipped
        if not stored.full:
            self._cursor = after[len(page.rows)]
        if stored.batch_id is not None:
            self._ring(Bell(batch_id=stored.batch_id, link=Stage.NORMALIZE))
        return stored


def sighting(site: Site, seen: Seen, *, skip: str | None) -> Sighting:
    """What was seen of an order, under the number that we give it."""
    return Sighting(seen=seen, skip=skip, order_number=f"{site.prefix}-{seen.number}" if seen.number else "")


def skip_test(seen: Seen, options: SiteOptions) -> str | None:
    """Why a new order is stored but not run although nobody had it before: it is a test."""
    if options.skip_test_orders and seen.gross is not None and ZERO < seen.gross < _TEST_ORDER_BELOW:
        return f"It is a test order: its total before discounts is {seen.gross}, below {_TEST_ORDER_BELOW}."
    return None


def skip_reason(seen: Seen, options: SiteOptions) -> str | None:
    """Why a new order is stored but not run, or None."""
    if seen.marked and not options.take_marked:
        return "It was already marked as exported on the platform when it was first seen."
    if (
        options.min_order_date is not None
        and seen.created_at is not None
        and seen.created_at < options.min_order_date
    ):
        return f"It is older than the site's minimum order date {options.min_order_date:%Y-%m-%d}."
    return skip_test(seen, options)
