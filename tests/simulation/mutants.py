"""The protocol with one thing wrong in it: what the simulation must notice. Each is a patch that lasts as long as its runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

from app.domain.order import Verdict
from app.domain.reading import cursors
from app.domain.road import Owed, Stage, StepState
from app.domain.windows import Window, closed_until
from app.errors import OrderSyncError, Retry, Unknown
from app.ports.erp import ErpDocument
from app.ports.store import Bell, Claimed, OwedStep, Sighting, Site, Waiting
from app.sync import customers, export, fetch, inline, outcomes, parts, pipeline, steps, verify
from app.sync.sweep import sweep
from tests.fakes.memory_store import MemoryStore
from tests.fakes.memory_store import owed as memory_owed
from tests.fakes.memory_store.reading import _Page
from tests.simulation import gateways, processes
from tests.simulation.simulation import Variant
from tests.simulation.stores import OpenDatabase, Row, memory

Patch = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing wrong. `caught_within` is how many seeds from the first are enough to notice it.

    `found` are the kinds of findings that show it: a patch that no longer fits the code breaks something too, but not these.
    """

    name: str
    says: str
    found: tuple[str, ...]
    patch: Patch = nullcontext
    variant: Variant = field(default_factory=Variant)
    open_database: OpenDatabase = memory
    caught_within: int = 400


def _replaced(owner: object, name: str, by: object) -> Patch:
    return lambda: patch.object(owner, name, by)


# What is sent, and when.

_looked_up, _doubtful, _create = outcomes.looked_up, outcomes._doubtful, customers.Customers._create


def _sees_nothing(step: Any, _found: Any, *rest: Any, **more: Any) -> Any:
    return _looked_up(step, (), *rest, **more)


def _forgets(step: Any, intent_at: datetime, options: Any, now: datetime) -> Waiting:
    return replace(_doubtful(step, intent_at, options, now), state=StepState.OWED)


def _create_at_once(self: Any, email: str, order: Any) -> str:
    made = self._erp.create_customer(order, in_time=self._in_time, told=self._told)
    self._parts.store.confirm_customer(self._row.id, email, number=made.number)
    return str(made.number)


def _write_then_intend(self: Any, to: Any, ready: Sequence[Any], left: dict[int, Any]) -> None:
    intent_at = self.parts.store.now()
    answers = self._answers(to, [draft for _, draft in ready])
    ours = set(self.parts.store.intend([step.step_id for step, _ in ready], token=self.token))
    now = self.parts.store.now()
    for step, _ in ready:
        if step.step_id in ours:
            answer = answers[step.external_number]
            outcome = outcomes.answered(self.parts, step, answer, to.options, intent_at=intent_at, now=now)
            self._settle(outcome, step, left)
        else:
            left.pop(step.step_id, None)


_create_documents = gateways.ErpGateway.create_documents


def _too_many_requests(self: Any, drafts: Any, **more: Any) -> Mapping[str, ErpDocument | OrderSyncError]:
    found = _create_documents(self, drafts, **more)
    return {
        number: Retry("Too many requests.") if isinstance(answer, Unknown) else answer
        for number, answer in found.items()
    }


def _not_early(now: datetime, *, windows: tuple[Window, ...], early: timedelta) -> datetime | None:
    del early
    return closed_until(now, windows=windows)


# What is read, marked and rung.

_store_of_reading = fetch._Reading._store


def _cursor_first(self: Any, answer: Any, position: Any, next_one: Any, *, wide: Any) -> Any:
    page, read_at = answer.page, answer.read_at
    after = cursors(
        self._cursor,
        rows=[(row.modified_at, row.platform_order_id) for row in page.rows],
        position=position,
        answered_at=self._answered_at or read_at,
        overlap=self._options.overlap,
    )
    self._parts.store.store_page(
        site_id=self._site.id,
        token=self._token,
        run_id=self._run_id,
        sightings=[],
        read_at=read_at,
        limit=self._limit,
        cursor_after={0: after[len(page.rows)]},
    )
    return _store_of_reading(self, answer, position, next_one, wide=wide)


def _mark_then_write(all_parts: parts.Parts, *, batch_id: int) -> steps.StepResult:
    def work(site: Site, claimed: Sequence[Claimed]) -> dict[int, steps.Outcome]:
        all_parts.peers.channel(site).acknowledge([each.platform_order_id for each in claimed])
        return steps.each_order(claimed, lambda each: each.order)

    return steps.run_stage(all_parts, Stage.WRITE, batch_id=batch_id, work=work)


def _silent_sweep(all_parts: parts.Parts, *, ring: Any, **more: Any) -> int:
    del ring

    def nobody(_bell: Bell) -> None:
        pass

    return sweep(all_parts, ring=nobody, **more)


def _wants_all(_self: Any, owed: Sequence[OwedStep]) -> list[OwedStep]:
    return list(owed)


def _reads_instead(self: Any, platform_order_ids: Sequence[str]) -> Any:
    return self._of_now().read(platform_order_ids)


_add, _verdicts = _Page.add, verify.verdicts


def _drops_cancellations(self: Any, sighting: Sighting) -> bool:
    row = self._known.get(sighting.seen.platform_order_id)
    if row is not None and row.id in self._sent and not sighting.seen.eligible:
        self._unchanged += 1
        return False
    return _add(self, sighting)


def _judges(verdict: Verdict) -> Patch:
    """An item that is sold and known is judged like this."""

    def verdicts(*args: Any, **more: Any) -> Mapping[str, Verdict]:
        return {
            sku: verdict if sku == "COMP-A" else as_it_is
            for sku, as_it_is in _verdicts(*args, **more).items()
        }

    return _replaced(pipeline, "verdicts", verdicts)


# What the store lets pass.


@contextmanager
def _any_token() -> Iterator[None]:
    """Whoever settles, settles: a process that was stalled and wakes up late as well."""
    made = memory_owed._Settlement.__init__

    def init(self: Any, store: Any, kind: Owed, *rest: Any) -> None:
        made(self, store, kind, *rest)
        self._steps = {each.id: each for each in store.data.steps if each.kind == kind}

    def owned(self: Any, batch_id: int, token: str) -> dict[int, Row]:
        del batch_id, token
        return cast("dict[int, Row]", dict(self.data.threads.rows))

    def intend(self: Any, step_ids: Sequence[int], *, token: str) -> tuple[int, ...]:
        del token
        for each in step_ids:
            row = self.data.steps.rows[each]
            row.state, row.intent_at = StepState.SENDING, self.now()
        return tuple(step_ids)

    with (
        patch.object(memory_owed._Settlement, "__init__", init),
        patch.object(MemoryStore, "_owned", owned),
        patch.object(MemoryStore, "intend", intend),
    ):
        yield


@contextmanager
def _nothing_leased() -> Iterator[None]:
    """Who claims gets what others are working on."""

    def free(_row: Any, _now: datetime) -> bool:
        return True

    with (
        patch("tests.fakes.memory_store.road.is_free", free),
        patch("tests.fakes.memory_store.base.is_free", free),
    ):
        yield


@contextmanager
def _nothing_counted() -> Iterator[None]:
    """No claim is counted, so that nobody notices a row that kills whoever takes it."""

    def lease(row: Any, now: datetime, token: str, seconds: float) -> None:
        row.lease_until, row.lease_token = now + timedelta(seconds=seconds), token

    with patch("tests.fakes.memory_store.road.lease", lease), patch.object(memory_owed, "lease", lease):
        yield


MUTANTS = (
    Mutant(
        "no-look",
        "what the ERP has is not looked at before a write",
        ("duplicated",),
        _replaced(export, "looked_up", _sees_nothing),
    ),
    Mutant(
        "no-quarantine",
        "what is in doubt is sent again as soon as it is not found",
        ("duplicated",),
        _replaced(outcomes, "_absent", lambda *_: None),
    ),
    Mutant(
        "short-t-late", "T_LATE is shorter than the ERP takes", ("duplicated",), variant=Variant(late=350.0)
    ),
    Mutant(
        "no-fence",
        "a change under a token that is no longer the row's is made all the same",
        ("stale",),
        _any_token,
    ),
    Mutant("no-lease", "a claim takes what others are working on", ("lease",), _nothing_leased),
    Mutant(
        "cursor-first",
        "the cursor moves before its page is stored",
        ("cursor",),
        _replaced(fetch._Reading, "_store", _cursor_first),
    ),
    Mutant(
        "mark-first",
        "an order is marked in its shop before it is written",
        ("marked early",),
        lambda: patch.dict(cast("dict[Any, Any]", inline.STEPS), {Stage.WRITE: _mark_then_write}),
    ),
    Mutant(
        "intent-last",
        "the intent to send is stored after sending",
        ("duplicated",),
        _replaced(export._Export, "_write", _write_then_intend),
        caught_within=1500,
    ),
    Mutant(
        "intent-forgotten",
        "what got no answer waits as if nothing had been sent",
        ("duplicated",),
        _replaced(outcomes, "_doubtful", _forgets),
    ),
    Mutant(
        "silent-sweeper",
        "the sweeper finds what is due and rings nobody",
        (
            "stuck",
            "lost",
        ),
        _replaced(processes, "sweep", _silent_sweep),
    ),
    Mutant("nothing-counted", "claims are not counted", ("stuck",), _nothing_counted),
    Mutant(
        "customer-at-once",
        "a customer is created without an intent",
        ("customer",),
        _replaced(customers.Customers, "_create", _create_at_once),
    ),
    Mutant(
        "window-not-early",
        "the maintenance window does not close early",
        ("window",),
        _replaced(parts, "closed_until", _not_early),
    ),
    Mutant(
        "429-not-sent",
        "a refusal for too many requests counts as not sent",
        ("duplicated",),
        _replaced(gateways.ErpGateway, "create_documents", _too_many_requests),
    ),
    Mutant(
        "all-poison",
        "every claim counts as one that kills its process",
        ("error crash",),
        _replaced(steps, "MAX_UNSETTLED", 0),
    ),
    Mutant(
        "item-refused",
        "an item that is sold is judged not allowed",
        ("error bad_sku",),
        _judges(Verdict.NOT_ALLOWED),
    ),
    Mutant(
        "item-unknown",
        "an item that is known is judged not to be in the middleware yet",
        ("stuck",),
        _judges(Verdict.NOT_IN_MIDDLEWARE),
    ),
    Mutant(
        "mark-claimed",
        "an order is read instead of marked, and counts as marked",
        ("not marked",),
        _replaced(gateways.ShopGateway, "acknowledge", _reads_instead),
    ),
    Mutant(
        "never-asked",
        "the platform is not asked before an export whether the order is still wanted",
        ("unwanted",),
        _replaced(export._Export, "_still_wanted", _wants_all),
    ),
    Mutant(
        "cancellation-dropped",
        "a cancellation after the export is not stored",
        ("old version",),
        _replaced(_Page, "add", _drops_cancellations),
    ),
)
"""All of them."""
