"""What the use-cases ask of the database. One method is one question or one change, in one transaction.

Times are the database's own clock. A claim gives a token; a change made under a token that is no longer the row's is
dropped, so a process that was stalled and wakes up late changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from app.domain import document
from app.domain.kits import Kits
from app.domain.order import Order
from app.domain.reading import Bookmark, Cursor
from app.domain.road import Link, Owed, Stage, State, StepState, links_from
from app.ports.audit import AuditStore
from app.ports.certificates import Certificate, NewCertificate, StoredOrder
from app.ports.deliveries import Alert, AlertKind, DeliveryOutcome, DueSite, OwedDelivery
from app.ports.desk import (
    DeskStore,
    ErrorFilter,
    ErrorOrder,
    ErrorSort,
    ErrorSums,
    HeldOrder,
    Repair,
    Waits,
)
from app.ports.erp import ErpDocument, ErpItem, Exchange
from app.ports.explaining import ExplainingStore
from app.ports.hooks import Delivery
from app.ports.places import OrderPlace
from app.ports.reporting import ErrorReport, OrderFilter, OrderRow
from app.ports.retention import RetentionStore
from app.ports.sales_channel import Seen
from app.ports.systems import ErpChanges, ErpUse, Removal, SiteChanges, SiteUse

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A configured sales channel. `credentials` and `hook_secrets` are as stored: encrypted.

    `clock_ahead` is by how many seconds its clock went before ours when it was last asked, `failures` how many readings have
    failed since the last that did not. `bookmark` is where a reading that was cut off goes on, `wide_bookmark` where a look far back
    does. `hook_url` is where its platform sends webhooks, empty where it sends none.
    """

    id: int
    name: str
    platform: str
    url: str
    prefix: str
    erp_id: int | None
    allow_private: bool
    settings: Json
    credentials: str
    is_active: bool
    orders_sync: bool
    order_last_run: datetime | None
    order_next_run: datetime
    cursor: Cursor | None
    paused_until: datetime | None
    paused_reason: str | None
    clock_ahead: float | None = None
    wide_read_at: datetime | None = None
    bookmark: Bookmark | None = None
    wide_bookmark: Bookmark | None = None
    failures: int = 0
    hook_url: str = ""
    hook_secrets: str = ""
    hooks_next_check: datetime | None = None
    reconcile_next_run: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErpRow:
    """A configured ERP. `credentials` are as stored: encrypted."""

    id: int
    name: str
    platform: str
    url: str
    company: str
    allow_private: bool
    settings: Json
    credentials: str
    is_active: bool
    paused_until: datetime | None
    paused_reason: str | None
    items_cursor: datetime | None
    items_next_run: datetime
    items_last_run: datetime | None


@dataclass(frozen=True, slots=True)
class NewSite:
    """What `site add` stores."""

    name: str
    platform: str
    url: str
    prefix: str
    erp_id: int | None
    allow_private: bool
    settings: Json
    credentials: str
    order_next_run: datetime


@dataclass(frozen=True, slots=True)
class NewErp:
    """What `erp add` stores."""

    name: str
    platform: str
    url: str
    company: str
    allow_private: bool
    settings: Json
    credentials: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One order of a page, with its number as we write it, and why it is skipped if it is new, or None."""

    seen: Seen
    skip: str | None = None
    order_number: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """What `store_page` did. `batch_id` is to be rung; `full`: the limit was reached before the page's end.

    `closed` orders are no longer wanted by the platform and had not been sent anywhere.
    """

    batch_id: int | None
    new: int = 0
    skipped: int = 0
    again: int = 0
    amended: int = 0
    known: int = 0
    closed: int = 0
    full: bool = False
    lost_lease: bool = False


@dataclass(frozen=True, slots=True)
class Restarted:
    """Orders that were read again and had changed, by platform order id, and the batch to ring for them."""

    platform_order_ids: frozenset[str]
    batch_id: int | None


@dataclass(frozen=True)
class Claimed:
    """One order under lease at a stage. `body` is the raw body at normalize, `document` the order so far afterwards.

    `body` is None where it is not stored any more, and `completed` says that it has all its parts.
    `repairs` are what people have changed of it, at normalize.
    `fresh`: a person resumed it, so cached verdicts do not count. `waiting_since` is when it first had to wait here.
    """

    thread_id: int
    site_id: int
    order_number: str
    platform_order_id: str
    attempts: int
    unsettled: int
    waiting_since: datetime | None
    fresh: bool
    body: str | None
    document: str | None
    version: int = 1
    completed: bool = False
    repairs: tuple[Repair, ...] = ()

    @cached_property
    def order(self) -> Order:
        """The order so far, read when it is first asked for."""
        return document.load_text(self.document or "")


@dataclass(frozen=True, slots=True)
class Passed:
    """The order goes on to the next stage. `document` is what stands of it already, where the stage has changed nothing."""

    thread_id: int
    order: Order
    document: str | None = None
    detail: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The order, or the owed step, waits until `next_at`. `hold_kind` names a hold; empty for a plain retry.

    `waits_for` are items (the ERP's id, the SKU in upper case): once all are known, it waits no longer. An owed step without `reason`
    and `state` is given back untried, and that was no attempt.
    """

    id: int
    reason: str
    next_at: datetime
    hold_kind: str = ""
    state: StepState | None = None
    waits_for: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The order, or the owed step, needs a person. `id` is the thread's or the step's, as claimed.

    `document`: what the ERP holds although the order is in error; the link is kept. `unsent`: the ERP certainly holds nothing
    of this attempt, so that nothing can come of it any more. `worth` is the order's total and currency, where neither `order`
    nor what is stored of it tells them.
    """

    id: int
    reason: str
    kind: str
    field: str | None = None
    order: Order | None = None
    document: ErpDocument | None = None
    unsent: bool = False
    worth: tuple[Decimal, str] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What `settle` did: how many went on, how many wait and in which batch, and the first moment any of them is due."""

    passed: int
    waiting: int
    waiting_batch: int | None
    due_at: datetime | None


@dataclass(frozen=True)
class OwedStep:
    """One owed step under lease, with what it needs of its order; `document` is the order as it is stored.

    `linked` is the number of the ERP's document that the order was tied to before, empty where there was none.
    """

    step_id: int
    thread_id: int
    site_id: int
    erp_id: int
    state: StepState
    attempts: int
    unsettled: int
    waiting_since: datetime | None
    intent_at: datetime | None
    acknowledged_at: datetime | None
    platform_order_id: str
    external_number: str
    document: str
    linked: str = ""

    @cached_property
    def order(self) -> Order:
        """The order, read when it is first asked for: to acknowledge it takes no more than its id."""
        return document.load_text(self.document)

    @property
    def begun(self) -> bool:
        """Whether something of an earlier attempt may still come to be in the ERP."""
        return self.intent_at is not None


@dataclass(frozen=True, slots=True)
class StepDone:
    """The owed step is done; `document` is what the ERP holds, `asked_at` when the platform was told.

    An order counts as acknowledged since then, and not since its outcome was stored: what happened to it in between may not be known.
    """

    step_id: int
    document: ErpDocument | None = None
    detail: Json = field(default_factory=dict)
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The order is no longer eligible on the platform: what is still owed is dropped, and why."""

    thread_id: int
    reason: str


StepOutcome = StepDone | Waiting | Failed
ThreadOutcome = Passed | Waiting | Failed


@dataclass(frozen=True, slots=True)
class CustomerLink:
    """Our record of a customer in the ERP. `number` is empty while its creation has not been confirmed.

    `mine`: this call stored the intent, so this caller may create it.
    """

    number: str
    intent_at: datetime
    mine: bool


@dataclass(frozen=True, slots=True)
class Bell:
    """A batch that has rows due at a link of the chain. The site's name and the run are for readers, where they are known."""

    batch_id: int
    link: Link
    site: str = field(default="", compare=False)
    run_id: int | None = field(default=None, compare=False)

    @property
    def links(self) -> tuple[Link, ...]:
        """The links of the chain that takes the batch to the end of the road."""
        return links_from(self.link)


@dataclass(frozen=True, slots=True)
class UnreadRun:
    """A run whose reading is owed, and the site it is to read."""

    run_id: int
    site_id: int
    site: str


STOPPED_FULL = "It stopped at the site's max_orders_per_run; the rest comes with the next run."
"""What a run says whose reading did."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run and how its orders stand. `counts` has every number the summary shows."""

    id: int
    site_id: int | None
    kind: str
    state: str
    reason: str
    counts: Mapping[str, int]
    is_read: bool
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """One order, as a list shows it. `amended`: the platform has changed it since it was sent, and that version waits."""

    thread_id: int
    run_id: int | None
    site: str
    order_number: str
    platform_order_id: str
    stage: Stage
    state: State
    reason: str
    total: Decimal | None
    currency: str | None
    acknowledged: bool
    erp_document: str
    updated_at: datetime
    amended: bool = False


class Store(AuditStore, DeskStore, ExplainingStore, RetentionStore, Protocol):
    """The database, as the use-cases see it."""

    def now(self) -> datetime:
        """The database's clock (with the process's shift), aware UTC."""
        ...

    # Configuration.
    def add_erp(self, erp: NewErp) -> int: ...
    def add_site(self, site: NewSite) -> int: ...
    def erps(self) -> tuple[ErpRow, ...]:
        """Every ERP that is connected, by name."""
        ...

    def sites(self) -> tuple[Site, ...]:
        """Every site that is connected, by name."""
        ...

    def removed_erps(self) -> tuple[ErpRow, ...]: ...
    def removed_sites(self) -> tuple[Site, ...]: ...
    def change_erp(self, erp_id: int, changes: ErpChanges) -> None: ...
    def change_site(self, site_id: int, changes: SiteChanges) -> None: ...
    def switch_site(self, site_id: int, *, active: bool) -> None:
        """Whether the site is read when its schedule says so."""
        ...

    def erp_use(self, erp_id: int) -> ErpUse: ...
    def site_use(self, site_id: int) -> SiteUse: ...
    def remove_erp(self, erp_id: int) -> Removal:
        """Remove an ERP that no site uses and that has no unfinished order; its name stays taken where it had any order."""
        ...

    def remove_site(self, site_id: int) -> Removal:
        """Remove a site that has no unfinished order; its name and prefix stay taken where it had any order."""
        ...

    def restore_erp(self, erp_id: int, erp: NewErp) -> None:
        """A removed ERP is connected again, with these settings and credentials; what it has read stays read."""
        ...

    def restore_site(self, site_id: int, site: NewSite) -> None:
        """A removed site is connected again, with these settings and credentials; it is read on from where it stood."""
        ...

    def pause_erp(self, erp_id: int, *, until: datetime | None, reason: str | None) -> bool:
        """Leave this ERP alone until then; None goes on at once. Returns whether a pause has begun with this."""
        ...

    def pause_site(self, site_id: int, *, until: datetime | None, reason: str | None) -> bool:
        """Leave this site alone until then; None goes on at once. Returns whether a pause has begun with this."""
        ...

    # Items and kits.
    def save_items(
        self, erp_id: int, items: Sequence[ErpItem], *, source: str, cursor: datetime | None
    ) -> int:
        """Insert or update items; a person's `not allowed` is kept. Moves the item cursor. Returns how many are new."""
        ...

    def set_item_status(self, erp_id: int, statuses: Mapping[str, tuple[str, str]], *, source: str) -> int:
        """Insert or update items from a person's list: SKU to (name, `allowed` or `not_allowed`)."""
        ...

    def item_statuses(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, str]: ...
    def has_items(self, erp_id: int) -> bool: ...
    def save_kits(self, kits: Kits) -> None:
        """Replace the definitions of these parents by these components."""
        ...

    def kits(self) -> Kits: ...
    def claim_items_sync(self, erp_id: int, *, lease_seconds: float) -> str | None: ...
    def release_items_sync(self, erp_id: int, token: str, *, next_run: datetime) -> None: ...
    def release_held(self, *, hold_kind: str, erp_id: int | None = None, site_id: int | None = None) -> int:
        """Make the orders held for this reason, and what is owed for them, due now. Returns how many orders."""
        ...

    # Reading.
    def claim_site(self, site_id: int, *, lease_seconds: float) -> str | None:
        """A token, or None while another fetch of this site holds the lease."""
        ...

    def release_site(self, site_id: int, token: str, *, next_run: datetime | None) -> None: ...
    def open_run(self, *, kind: str, site_id: int | None = None, erp_id: int | None = None) -> int: ...
    def finish_reading(
        self, run_id: int, *, state: str | None, reason: str, is_full: bool = False
    ) -> Run | None:
        """The reading of a run is over. `state` ends it at once (`paused`, `failed`); None leaves it to `close_runs`.

        `is_full`: it stopped at the most orders that a run may bring, and the rest comes with the next; the run says so at its end.
        Returns the run where it ended with this.
        """
        ...

    def adopt_waiting(self, site_id: int, *, run_id: int) -> tuple[Bell, ...]:
        """Make the site's waiting orders due and part of this run; what is to be rung for them."""
        ...

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
        """Store a page: new orders, new versions, the cursor, and the bookmark (`wide`: that of the look far back), in one transaction.

        `limit` counts unseen orders only. `cursor_after[n]` is the cursor once the first n rows are stored. The bookmark stays where
        it was when not all rows were.
        """
        ...

    def store_read(
        self,
        site_id: int,
        sightings: Sequence[Sighting],
        *,
        read_at: datetime,
        gone: Collection[str] = (),
        run_id: int | None = None,
    ) -> Stored:
        """Store orders that were read by their ids: new ones, new versions. The cursor stays.

        An order that is not eligible is stored only where it was sent already, or may have been (as an amendment); where it
        was not, it is closed, and where it is not known, it is left alone. Of orders that are `gone` from the platform those
        that were not sent are closed, and of the others it is noted. Nothing is stored for a site that was removed.
        """
        ...

    def keep_completed(self, site_id: int, bodies: Mapping[tuple[str, int], str]) -> None:
        """Keep the completed bodies of these versions, by platform order id and version, beside what was received first.

        Nothing is kept, nor noted, of a version that has been overtaken, nor of an order whose data was erased meanwhile.
        """
        ...

    def note_clock(
        self, site_id: int, token: str, *, clock_ahead: float | None, wide_at: datetime | None = None
    ) -> None:
        """How far the platform's clock is ahead of ours, and up to when what is stamped far back was looked for, by ours.

        With `wide_at` that look is over, and its bookmark gone.
        """
        ...

    def count_failure(self, site_id: int, *, failed: bool) -> int:
        """How many readings of this site have failed in a row, this one counted; one that did not fail sets it to none."""
        ...

    # Comparing.
    def stored_orders(self, site_id: int, platform_order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """Those of these orders that are stored, by the platform's id."""
        ...

    def written_between(
        self, site_id: int, *, since: datetime | None, until: datetime, after: int, limit: int
    ) -> tuple[tuple[int, StoredOrder], ...]:
        """Orders that were written and are dated from `since` to `until`, ascending by the id that comes with each, beyond `after`."""
        ...

    def restore_bodies(self, site_id: int, seen: Collection[Seen], *, read_at: datetime) -> int:
        """Store again what the platform sends of versions whose body is not there any more; those that differ are left out."""
        ...

    def add_certificate(self, certificate: NewCertificate) -> int: ...
    def certificates(self, site_id: int, *, limit: int) -> tuple[Certificate, ...]:
        """The latest certificates of a site, the newest first."""
        ...

    def plan_reconciliation(self, site_id: int, *, at: datetime) -> None:
        """When the site is compared next."""
        ...

    # Webhooks.
    def take_delivery(self, site_id: int, delivery: Delivery) -> bool:
        """Store a delivery as something to be done now, or as done where it names no order. False where it is stored already.

        It ends the alert that no deliveries come.
        """
        ...

    def claim_deliveries(self, site_id: int, *, token: str, lease_seconds: float) -> tuple[OwedDelivery, ...]:
        """Take due deliveries of a site under lease, the oldest first: all those of up to 100 orders."""
        ...

    def settle_deliveries(self, *, token: str, outcomes: Sequence[DeliveryOutcome]) -> int:
        """Store what became of claimed deliveries; those no longer under this token are left alone. Returns how many were not."""
        ...

    def due_deliveries(self, *, rung_before: float) -> tuple[DueSite, ...]:
        """The sites with due deliveries that were not rung within `rung_before` seconds, marked as rung now."""
        ...

    def last_delivery(self, site_id: int) -> datetime | None: ...
    def drop_deliveries(self, *, before: datetime, most: int) -> int:
        """Forget at most so many deliveries that were taken before then and are done. Returns how many there were."""
        ...

    def unannounced(self, site_id: int, *, after: datetime, until: datetime) -> int:
        """How many new orders, changed after `after`, polling has brought to this site by `until`."""
        ...

    def keep_hooks(self, site_id: int, *, url: str, secrets: str) -> None:
        """A site's webhooks go to `url` and are checked against these (encrypted) secrets."""
        ...

    def forget_hooks(self, site_id: int) -> None:
        """A site has no webhooks any more, and nothing is to be told of them."""
        ...

    def check_hooks_at(self, site_id: int, moment: datetime) -> None:
        """Webhooks are looked after at `moment`."""
        ...

    def take_hook_check(self, site_id: int, *, next_check: datetime) -> bool:
        """Whether webhooks are due to be looked after; whoever asks first is to do it, and the next one is at `next_check`."""
        ...

    def open_alert(self, site_id: int, kind: AlertKind, *, reason: str) -> bool:
        """Tell of something; what is being told already gets this reason. Returns whether it is told with this."""
        ...

    def close_alert(self, site_id: int, kind: AlertKind) -> bool:
        """It is over. Returns whether it was being told."""
        ...

    def open_alerts(self, *, site_id: int | None = None) -> tuple[Alert, ...]:
        """What is told, the oldest first: of one site, or of all."""
        ...

    # The road.
    def claim(
        self, stage: Stage, *, batch_id: int, token: str, lease_seconds: float
    ) -> tuple[Claimed, ...]: ...
    def settle(
        self, stage: Stage, *, batch_id: int, token: str, outcomes: Sequence[ThreadOutcome]
    ) -> Settled: ...
    def write(
        self, *, batch_id: int, token: str, erp_ids: Mapping[int, int], outcomes: Sequence[ThreadOutcome]
    ) -> Settled:
        """Like `settle` for the stage `write`: the passed orders' rows and owed steps are stored in the same transaction."""
        ...

    def claim_steps(
        self, kind: Owed, *, batch_id: int, token: str, lease_seconds: float, limit: int
    ) -> tuple[OwedStep, ...]: ...
    def intend(self, step_ids: Sequence[int], *, token: str) -> tuple[int, ...]:
        """Store that these steps are about to be sent. Returns those still under this token; only they may be sent."""
        ...

    def settle_steps(
        self,
        kind: Owed,
        *,
        batch_id: int,
        token: str,
        outcomes: Sequence[StepOutcome],
        closed: Sequence[Closed] = (),
        exchanges: Mapping[int, Sequence[Exchange]] = MappingProxyType({}),
    ) -> Settled:
        """Store what became of claimed steps, and what was said for them to the outside, by the steps' ids."""
        ...

    def new_versions(self, site_id: int, seen: Collection[Seen], *, read_at: datetime) -> Restarted:
        """Store what was read again and differs; such orders restart."""
        ...

    def customer_numbers(self, erp_id: int, emails: Sequence[str]) -> Mapping[str, str]:
        """The confirmed customer numbers of these e-mail addresses (lower case); what is not known is left out."""
        ...

    def customer_link(self, erp_id: int, email: str, *, intend: bool) -> CustomerLink | None:
        """The stored link for an e-mail address; with `intend`, an intent is stored where there is none."""
        ...

    def confirm_customer(self, erp_id: int, email: str, *, number: str) -> None: ...
    def drop_customer_intent(self, erp_id: int, email: str, *, intent_at: datetime) -> None:
        """Forget this intent (and no later one): the creation certainly did not happen."""
        ...

    # Upkeep.
    def due(self, *, rung_before: float, limit: int) -> tuple[Bell, ...]:
        """Batches with rows due and not rung within `rung_before` seconds, marked as rung now."""
        ...

    def unread_runs(self, *, rung_before: float) -> tuple[UnreadRun, ...]:
        """Runs whose reading is owed, which nobody reads and which were not rung for so many seconds; rung now."""
        ...

    def read_later(self, run_id: int, *, at: datetime) -> None:
        """The reading of this run goes on at `at`; until then it is neither among the unread ones nor given up."""
        ...

    def close_runs(self, *, cut_off_after: float) -> tuple[Run, ...]:
        """End the runs none of whose orders is in motion. Returns those that ended now.

        A run whose reading has not ended after `cut_off_after` seconds is given up, unless its site is being read.
        """
        ...

    def places(
        self,
        *,
        site_id: int | None = None,
        batch_id: int | None = None,
        key: str | None = None,
        link: Link | None = None,
    ) -> tuple[OrderPlace, ...]:
        """Where the orders of a site, of a batch, or with this number (else this platform's id) stand; with `link` those there."""
        ...

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
        where nobody is named; since when the order waits is kept. Orders that stand at the same link of the same site are
        gathered into common batches. Returns what is to be rung for them.
        """
        ...

    # Looking.
    def first_seen_in(self, run_id: int) -> int:
        """How many orders this run has brought that nobody had seen before."""
        ...

    def run(self, run_id: int) -> Run: ...
    def runs(self, *, run_id: int | None = None, site_id: int | None = None, limit: int) -> tuple[Run, ...]:
        """The latest runs, newest first: all, of one site, or the one with this id."""
        ...

    def order_summaries(
        self,
        *,
        site: str | None,
        state: State | None,
        limit: int,
        run_id: int | None = None,
        amended: bool = False,
    ) -> tuple[OrderSummary, ...]: ...
    def held_orders(self, *, site: str | None) -> tuple[HeldOrder, ...]:
        """The orders that are held, the longest wait first."""
        ...

    def error_orders(
        self,
        wanted: ErrorFilter,
        *,
        sort: ErrorSort = ErrorSort.AGE,
        reverse: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[ErrorOrder, ...]:
        """These errors in this order, without documents. Orders of unknown value come last where it goes by money."""
        ...

    def error_orders_after(self, wanted: ErrorFilter, *, after: int, limit: int) -> tuple[ErrorOrder, ...]:
        """The next of these errors with ids beyond `after`, ascending, without documents."""
        ...

    def error_sums(self, wanted: ErrorFilter) -> ErrorSums:
        """How many of these errors there are, and the money at risk by currency."""
        ...

    def orders_after(self, wanted: OrderFilter, *, after: int, limit: int) -> tuple[OrderRow, ...]:
        """The next of these orders with ids beyond `after`, ascending."""
        ...

    def error_report(self, *, since: datetime, until: datetime, oldest: int) -> ErrorReport:
        """The errors from `since` to before `until`, those of archived orders as well, and the `oldest` left open."""
        ...

    def open_error_numbers(self, beginning: str, *, limit: int) -> tuple[str, ...]:
        """Numbers of orders with an open error that begin like this, in their order."""
        ...

    def errors_of(self, key: str) -> tuple[ErrorOrder, ...]:
        """With documents, the errors of an order by its number, or else the error with this id, or those by the platform's id."""
        ...

    def waits(self) -> tuple[Waits, ...]:
        """What stands where on the road, from `fetch` to `export`; links at which nothing stands are left out."""
        ...

    def order_details(self, number: str) -> Json | None: ...
    def totals(self) -> Json:
        """How many orders are in each state, per site, and what is open."""
        ...
