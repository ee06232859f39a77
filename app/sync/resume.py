"""Letting orders go on: those that stopped from where they stopped, or from the raw body; and those that are held at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.road import SENT, Owed, Stage, State
from app.errors import OrderSyncError, UsageError
from app.ports.desk import DeskOrder, Resumption
from app.ports.sales_channel import Gone, Seen
from app.ports.store import Bell, Site
from app.sync.fetch import Ring
from app.sync.named import read_named
from app.sync.parts import Parts, site_with_id
from app.sync.rehearse import rehearse

_AT_ONCE = 100


class End(StrEnum):
    """What came of asking an order to go on. `FORESEEN` and `STOPS`: in a rehearsal, it would go through, or stop again."""

    RESUMED = "resumed"
    RELEASED = "released"
    SETTLED = "settled"
    FORESEEN = "would go on"
    STOPS = "would stop"
    RESTARTED = "restarted"
    NOTHING = "nothing done"


@dataclass(frozen=True, slots=True)
class Result:
    """One order, what came of it, and the sentence that says why. `run_id` is the run that it goes on in."""

    order: str
    site: str
    thread_id: int
    end: End
    sentence: str
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class How:
    """How orders go on. `replay`: from the raw body; `read_again`: after everything of it was asked for anew.

    `send_again`: a document that was there and is gone is written once more. `held`: orders that are held as well (to foresee).
    """

    by: str
    replay: bool = False
    read_again: bool = False
    send_again: bool = False
    held: bool = False


def orders_named(parts: Parts, keys: Sequence[str]) -> tuple[DeskOrder, ...]:
    """The orders with these numbers, ids of errors, or platform ids, each once. Raises `UsageError` for what names none, or several."""
    found: dict[int, None] = {}
    for key in keys:
        threads = parts.store.desk_threads(key)
        if not threads:
            raise UsageError(f"There is no order {key!r}, and no error with that id.")
        if len(threads) > 1:
            names = ", ".join(each.name for each in parts.store.desk_orders(threads))
            raise UsageError(f"{key!r} names several orders ({names}); give the order's number.")
        found[threads[0]] = None
    return parts.store.desk_orders(list(found))


def resume(parts: Parts, orders: Sequence[DeskOrder], how: How, *, ring: Ring) -> list[Result]:
    """Let these orders go on; what had been done for each by then is not done again.

    The platform is asked first how each stands: one that it has cancelled is closed, and one that it has changed begins anew.
    What cannot go on is said and left alone. Doing it twice does nothing the second time.
    """
    return [
        result
        for site_id, of_site in _by_site(orders)
        for result in _resume_site(parts, site_id, of_site, how, ring=ring)
    ]


def retry(parts: Parts, orders: Sequence[DeskOrder], how: How, *, ring: Ring) -> list[Result]:
    """Let these go on, whether they stopped or are held."""
    held = [each for each in orders if each.state is State.HELD and not each.errors]
    others = [each for each in orders if each not in held]
    return [*resume(parts, others, how, ring=ring), *release(parts, held, ring=ring)]


def release(parts: Parts, orders: Sequence[DeskOrder], *, ring: Ring) -> list[Result]:
    """Try held orders at once; one whose wait is not over is held again. Since when it waits is kept."""
    results: list[Result] = []
    for site_id, of_site in _by_site(orders):
        held = [each for each in of_site if each.state is State.HELD]
        results += [
            _result(each, End.NOTHING, f"It is not held; it is {each.state}.")
            for each in of_site
            if each not in held
        ]
        site, gone = _site(parts, site_id, held)
        results += gone
        if site is None or not held:
            continue
        run_id = parts.store.open_run(kind="resume", site_id=site.id)
        for bell in parts.store.adopt(run_id, thread_ids=[each.thread_id for each in held]):
            ring(bell)
        parts.store.finish_reading(run_id, state=None, reason="")
        results += [
            _result(each, End.RELEASED, f"It is tried again at {each.stage}.", run_id=run_id) for each in held
        ]
    return results


def foresee(parts: Parts, orders: Sequence[DeskOrder], how: How) -> list[Result]:
    """What `resume` would do and what would become of each order: nothing is changed anywhere."""
    results: list[Result] = []
    for site_id, of_site in _by_site(orders):
        able, refused = _able(of_site, how)
        results += refused
        site, gone = _site(parts, site_id, able)
        results += gone
        if site is None or not able:
            continue
        wanted, other = _as_the_platform_shows(parts, site, able)
        results += other
        ready = [_from_start(each) if how.replay else each for each in wanted]
        foreseen = rehearse(parts, site, ready)
        for each in ready:
            known = foreseen[each.thread_id]
            end = End.FORESEEN if known.failure is None else End.STOPS
            results.append(_result(each, end, known.sentence))
    return results


def _by_site(orders: Sequence[DeskOrder]) -> Iterator[tuple[int, list[DeskOrder]]]:
    groups: dict[int, list[DeskOrder]] = {}
    for each in orders:
        groups.setdefault(each.site_id, []).append(each)
    for site_id, of_site in groups.items():
        for start in range(0, len(of_site), _AT_ONCE):
            yield site_id, of_site[start : start + _AT_ONCE]


def _result(order: DeskOrder, end: End, sentence: str, *, run_id: int | None = None) -> Result:
    return Result(order.name, order.site, order.thread_id, end, sentence, run_id)


def _site(parts: Parts, site_id: int, orders: Sequence[DeskOrder]) -> tuple[Site | None, list[Result]]:
    try:
        return site_with_id(parts, site_id), []
    except UsageError:
        reason = "Its site was removed; connect it again first (ordersync site add)."
        return None, [_result(each, End.NOTHING, reason) for each in orders]


def _able(orders: Sequence[DeskOrder], how: How) -> tuple[list[DeskOrder], list[Result]]:
    able: list[DeskOrder] = []
    refused: list[Result] = []
    for each in orders:
        reason = _refusal(each, how)
        if reason:
            refused.append(_result(each, End.NOTHING, reason))
        else:
            able.append(each)
    return able, refused


def _refusal(order: DeskOrder, how: How) -> str:
    """Why this order cannot go on so, empty where it can."""
    export = order.step(Owed.EXPORT)
    document = "" if export is None else export.document
    if order.archived_at is not None or order.erased_at is not None:
        return "It is in the archive, or was erased."
    if how.replay and export is not None and (export.state in SENT or document):
        return f"The ERP has it as document {document or 'that is being verified'}; it is not made anew."
    if order.errors or (how.held and order.state is State.HELD):
        return ""
    return _not_stopped(order, document, how)


def _not_stopped(order: DeskOrder, document: str, how: How) -> str:
    match order.state:
        case State.REJECTED:
            return ""
        case State.DONE:
            return f"It has been exported meanwhile, as document {document}; there is nothing to resume."
        case State.CLOSED | State.SKIPPED:
            if how.replay:
                return ""
            return f"It is {order.state}: {order.reason} To run it all the same, replay it (ordersync errors replay)."
        case State.HELD:
            return f"It is held: {order.reason} To try it at once: ordersync held release."
        case _:
            return f"It is on its way (at {order.stage}); there is nothing to resume."


def _from_start(order: DeskOrder) -> DeskOrder:
    return replace(order, stage=Stage.NORMALIZE, document=None)


def _resume_site(
    parts: Parts, site_id: int, orders: Sequence[DeskOrder], how: How, *, ring: Ring
) -> list[Result]:
    able, results = _able(orders, how)
    site, gone = _site(parts, site_id, able)
    results += gone
    if site is None or not able:
        return results
    note = _read(parts, site, able, ring=ring)
    wanted, other = _still_stopped(parts, able)
    results += other
    if not wanted:
        return results
    run_id = parts.store.open_run(kind="resume", site_id=site.id)
    resumed = parts.store.resume([_resumption(each, how, run_id) for each in wanted])
    parts.store.finish_reading(run_id, state=None, reason="")
    for batch_id, link, name, run in resumed.batches:
        ring(Bell(batch_id=batch_id, link=link, site=name, run_id=run))
    for each in wanted:
        if each.thread_id in resumed.thread_ids:
            sentence = f"It goes on from {'normalize' if how.replay else _where(each)}.{note}"
            results.append(_result(each, End.RESUMED, sentence, run_id=run_id))
        else:
            reason = "Somebody else has changed it at this moment; look at it again."
            results.append(_result(each, End.NOTHING, reason))
    return results


def _where(order: DeskOrder) -> str:
    if order.stage is not Stage.DELIVER:
        return str(order.stage)
    return " and ".join(dict.fromkeys(each.stage for each in order.errors)) or str(order.stage)


def _resumption(order: DeskOrder, how: How, run_id: int) -> Resumption:
    return Resumption(
        thread_id=order.thread_id,
        revision=order.revision,
        run_id=run_id,
        by=how.by,
        stage=Stage.NORMALIZE if how.replay else None,
        send_again=how.send_again,
        read_again=how.read_again,
    )


def _read(parts: Parts, site: Site, orders: Sequence[DeskOrder], *, ring: Ring) -> str:
    """Ask the platform how these stand; what has changed is stored and takes its way. A remark where it gave no answer."""
    try:
        read_at = parts.store.now()
        _, found = read_named(parts, site, [each.platform_order_id for each in orders], ring=ring)
        # A body that was lost comes back with it, for those that are as they were.
        seen = [each for each in found.values() if isinstance(each, Seen)]
        parts.store.restore_bodies(site.id, seen, read_at=read_at)
    except OrderSyncError as error:
        return f" The shop could not be asked how it stands ({error.reason}); that is done on its way."
    return ""


def _still_stopped(parts: Parts, before: Sequence[DeskOrder]) -> tuple[list[DeskOrder], list[Result]]:
    """Those that are as they were before the platform was asked, and what has become of the others."""
    now = {each.thread_id: each for each in parts.store.desk_orders([one.thread_id for one in before])}
    wanted: list[DeskOrder] = []
    other: list[Result] = []
    for each in before:
        present = now[each.thread_id]
        if present.revision == each.revision:
            wanted.append(present)
        elif present.state is State.CLOSED:
            other.append(_result(present, End.NOTHING, f"It was closed: {present.reason}"))
        else:
            reason = "It has been changed in the shop meanwhile, and runs from the start."
            other.append(_result(present, End.RESTARTED, reason))
    return wanted, other


def _as_the_platform_shows(
    parts: Parts, site: Site, orders: Sequence[DeskOrder]
) -> tuple[list[DeskOrder], list[Result]]:
    """The same question without storing its answer."""
    try:
        found: Mapping[str, Seen | Gone] = parts.peers.channel(site).read(
            [each.platform_order_id for each in orders]
        )
    except OrderSyncError:
        return list(orders), []
    wanted: list[DeskOrder] = []
    other: list[Result] = []
    for each in orders:
        match found[each.platform_order_id]:
            case Seen(eligible=False, status=status):
                reason = f"Its status on the platform is now {status!r}; it would be closed."
                other.append(_result(each, End.STOPS, reason))
            case Seen(content_hash=content) if content != each.content_hash:
                reason = "It has been changed in the shop; it would run from the start."
                other.append(_result(each, End.FORESEEN, reason))
            case Seen():
                wanted.append(each)
            case _:
                other.append(_result(each, End.STOPS, "It is no longer on the platform; it would be closed."))
    return wanted, other
