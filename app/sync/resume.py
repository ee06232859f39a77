"""Letting orders go on: those that stopped from where they stopped, or from the raw body; and those that are held at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.road import Owed, Stage, State, StepState
from app.errors import OrderSyncError, UsageError
from app.ports.desk import KIND_DELETED, DeskOrder, Resumption
from app.ports.sales_channel import Gone, Seen
from app.ports.store import Bell, Site
from app.sync.fetch import Ring
from app.sync.named import read_named
from app.sync.parts import Parts, site_with_id
from app.sync.rehearse import rehearse

_AT_ONCE = 100


Shown = Mapping[str, Seen | Gone]
"""What the platform shows of orders, by its ids."""


class End(StrEnum):
    """What came of asking an order to go on. `FORESEEN` and `STOPS`: in a rehearsal, it would go through, or stop again.

    `NOTHING`: there was nothing to be done; `REFUSED`: it cannot be done.
    """

    RESUMED = "resumed"
    RELEASED = "released"
    SETTLED = "settled"
    FORESEEN = "would go on"
    STOPS = "would stop"
    RESTARTED = "restarted"
    NOTHING = "nothing done"
    REFUSED = "refused"


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
            raise UsageError(f"{key!r} names several orders ({names}): give the order's number.")
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
    return [*resume(parts, others, how, ring=ring), *release(parts, held, by=how.by, ring=ring)]


def release(parts: Parts, orders: Sequence[DeskOrder], *, by: str, ring: Ring) -> list[Result]:
    """Try held orders at once for the person `by`; one whose wait is not over is held again. Since when it waits is kept."""
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
        for bell in parts.store.adopt(run_id, thread_ids=[each.thread_id for each in held], by=by):
            ring(bell)
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
        try:
            shown: Shown = parts.peers.channel(site).read([each.platform_order_id for each in able])
        except OrderSyncError:
            shown = {}
        ready = []
        for each in able:
            match _standing(each, shown):
                case _Standing.WANTED:
                    ready.append(_as_it_would_go(each, how))
                case _Standing.CHANGED:
                    reason = "It has been changed in the shop; it would run from the start."
                    results.append(_result(each, End.FORESEEN, reason))
                case _Standing.OVER:
                    reason = f"{_over(each, shown)} It would be closed."
                    results.append(_result(each, End.STOPS, reason))
        foreseen = rehearse(parts, site, ready)
        for each in ready:
            known = foreseen[each.thread_id]
            end = End.FORESEEN if known.failure is None else End.STOPS
            results.append(_result(each, end, known.sentence))
    return results


class _Standing(StrEnum):
    """How an order stands that is to go on: as it was, changed by the platform, or over there."""

    WANTED = "wanted"
    CHANGED = "changed"
    OVER = "over"


def _standing(order: DeskOrder, shown: Shown) -> _Standing:
    """By what the platform shows of it. What may be in the ERP, or a person has settled, goes on as it is in any case."""
    export = order.step(Owed.EXPORT)
    if order.platform_order_id not in shown or (export is not None and export.may_exist):
        return _Standing.WANTED
    match shown[order.platform_order_id]:
        case Seen(eligible=True, content_hash=content):
            is_same = content == order.content_hash or order.skipped_by is not None
            return _Standing.WANTED if is_same else _Standing.CHANGED
        case _:
            return _Standing.OVER


def _over(order: DeskOrder, shown: Shown) -> str:
    match shown[order.platform_order_id]:
        case Seen(status=status):
            return f"Its status on the platform is now {status!r}."
        case _:
            return "It is no longer on the platform."


def _as_it_would_go(order: DeskOrder, how: How) -> DeskOrder:
    if how.replay:
        return replace(order, stage=Stage.NORMALIZE, document=None)
    if how.send_again:
        untied = [
            replace(each, state=StepState.OWED, intent_at=None, document="")
            if each.kind is Owed.EXPORT
            else each
            for each in order.steps
        ]
        return replace(order, steps=tuple(untied))
    return order


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
        return None, [_result(each, End.REFUSED, reason) for each in orders]


def _able(orders: Sequence[DeskOrder], how: How) -> tuple[list[DeskOrder], list[Result]]:
    able: list[DeskOrder] = []
    refused: list[Result] = []
    for each in orders:
        reason = _refusal(each, how)
        end = End.REFUSED if reason else End.NOTHING
        reason = reason or _not_stopped(each, how)
        if reason:
            refused.append(_result(each, end, reason))
        else:
            able.append(each)
    return able, refused


def _refusal(order: DeskOrder, how: How) -> str:
    """Why this order cannot go on so, empty where it can."""
    export = order.step(Owed.EXPORT)
    if order.archived_at is not None or order.erased_at is not None:
        return "It is in the archive, or was erased."
    if how.replay and export is not None and export.is_sent:
        return (
            f"The ERP has it as document {export.document or 'that is being verified'}; it is not made anew."
        )
    if how.send_again and not any(each.kind == KIND_DELETED for each in order.errors):
        return "Only an order whose document was found to be deleted in the ERP is sent again."
    return ""


def _not_stopped(order: DeskOrder, how: How) -> str:
    """Why there is nothing to be done for this order, empty where there is."""
    over = order.state in {State.CLOSED, State.SKIPPED}
    is_stopped = order.errors or order.state is State.REJECTED
    if is_stopped or (how.replay and over) or (how.held and order.state is State.HELD):
        return ""
    if over:
        return f"It is {order.state}: {order.reason} To run it all the same, replay it (ordersync errors replay)."
    match order.state:
        case State.DONE:
            export = order.step(Owed.EXPORT)
            document = "" if export is None else export.document
            return f"It has been exported meanwhile, as document {document}; there is nothing to resume."
        case State.HELD:
            return f"It is held: {order.reason} To try it at once: ordersync held release."
        case _:
            return f"It is on its way (at {order.stage}); there is nothing to resume."


def _resume_site(
    parts: Parts, site_id: int, orders: Sequence[DeskOrder], how: How, *, ring: Ring
) -> list[Result]:
    able, results = _able(orders, how)
    site, gone = _site(parts, site_id, able)
    results += gone
    if site is None or not able:
        return results
    shown, note = _read(parts, site, able, ring=ring)
    wanted, other = _still_stopped(parts, able, shown)
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
            results.append(_result(each, End.REFUSED, reason))
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


def _read(parts: Parts, site: Site, orders: Sequence[DeskOrder], *, ring: Ring) -> tuple[Shown, str]:
    """What the platform shows of these now; what has changed is stored and takes its way. A remark where it gave no answer."""
    try:
        read_at = parts.store.now()
        _, found = read_named(parts, site, [each.platform_order_id for each in orders], ring=ring)
        # A body that was lost comes back with it, for those that are as they were.
        seen = [each for each in found.values() if isinstance(each, Seen)]
        parts.store.restore_bodies(site.id, seen, read_at=read_at)
    except OrderSyncError as error:
        return {}, f" The shop could not be asked how it stands ({error.reason}); that is done on its way."
    return found, ""


def _still_stopped(
    parts: Parts, before: Sequence[DeskOrder], shown: Shown
) -> tuple[list[DeskOrder], list[Result]]:
    """Those that are as they were before the platform was asked, and what has become of the others."""
    now = {each.thread_id: each for each in parts.store.desk_orders([one.thread_id for one in before])}
    wanted: list[DeskOrder] = []
    other: list[Result] = []
    for each in before:
        present = now[each.thread_id]
        if _standing(each, shown) is _Standing.OVER:
            other.append(_result(present, End.NOTHING, f"{_over(each, shown)} It is closed."))
        elif present.version != each.version:
            reason = "It has been changed in the shop meanwhile, and runs from the start."
            other.append(_result(present, End.RESTARTED, reason))
        elif present.revision != each.revision:
            reason = "Somebody else has done something about it meanwhile; look at it again."
            other.append(_result(present, End.REFUSED, reason))
        else:
            wanted.append(present)
    return wanted, other
