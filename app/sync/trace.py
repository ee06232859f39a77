"""An order's life as a timeline: when, by whom, where on the road, what happened, and how long after what came before."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.words import counted
from app.errors import Misconfigured
from app.ports.audit import History, PastError, PastRepair, TrailEvent
from app.sync.parts import Parts

_ROAD = {
    "normalize": "read into our own form",
    "verify_skus": "all its SKUs are known",
    "expand_kits": "its kits were expanded",
    "apply_store_credit": "its store credit was spread over its lines",
    "write": "stored; the platform and the ERP are still to be told",
}

_TOLD: Mapping[tuple[str, str], str] = {
    ("fetch", "fetched"): "read from the shop, version {version}",
    ("fetch", "skipped"): "read from the shop, version {version}, and skipped",
    ("fetch", "changed"): "changed in the shop: version {version} runs from the start",
    (
        "fetch",
        "amended",
    ): "changed in the shop after it was sent: version {version} is kept and was sent nowhere",
    ("fetch", "closed"): "closed: the shop does not want it any more (version {version})",
    ("fetch", "gone"): "no longer in the shop",
    ("fetch", "completed"): "the parts that the shop shows apart were read, version {version}",
    ("fetch", "body_restored"): "what the shop sent of version {version} was lost, and was read again",
    **{(stage, "passed"): sentence for stage, sentence in _ROAD.items()},
    ("acknowledge", "acknowledged"): "marked in the shop as taken over",
    ("acknowledge", "sending"): "about to be marked in the shop",
    ("export", "sending"): "sent to the ERP",
    ("export", "exported"): "the ERP holds it as document {document}, total {total}, customer {customer}",
    ("privacy", "erased"): "personal data erased",
}

_ANYWHERE: Mapping[str, str] = {
    "held": "held until {until}",
    "postponed": "tried again at {until}",
    "rejected": "needs a person ({kind})",
    "closed": "closed: what was still owed is dropped",
    "not_closed": "not wanted by the shop any more, but already sent",
    "changed": "nothing had been sent: version {version} runs from the start",
    "repaired": "repaired by hand",
    "resumed": "goes on from where it stopped",
    "replayed": "runs again from here",
    "settled": "settled as it is by hand: nothing more is done for it",
    "released": "released from its hold",
    "assigned": "given to {to}",
    "commented": "comment",
}

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

_SAID_BY_SENTENCE = frozenset(
    (
        "version",
        "sha256",
        "completed_sha256",
        "until",
        "kind",
        "document",
        "document_id",
        "total",
        "customer",
        "to",
        "fields",
        "withdrawn",
        "run",
    )
)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline. `after` is how many seconds passed since the line before, None for the first.

    `sent` are the requests that were made for it and their answers, in order.
    """

    at: datetime
    by: str
    stage: str
    event: str
    what: str
    after: float | None = None
    number: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    sent: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """The life of an order, and how it stands now."""

    history: History
    moments: tuple[Moment, ...]

    @property
    def name(self) -> str:
        """The order as people name it."""
        trail = self.history.trail
        return trail.order_number or f"(platform id {trail.platform_order_id})"

    def notes(self) -> Iterator[str]:
        """What a reader of the timeline has to know, in sentences."""
        history = self.history
        if history.archived_at:
            yield f"It is in the archive since {_to_the_minute(history.archived_at)}."
        if history.trail.erased_at:
            yield f"Its personal data was erased {_to_the_minute(history.trail.erased_at)}; what was said of people before is not there."
        if history.amended_version is not None:
            yield f"Version {history.amended_version} came after it was sent: it is kept and was sent nowhere."
        if history.reason:
            yield history.reason


def trace(parts: Parts, key: str) -> Life:
    """The life of the order with this number, or else this platform's id, live or in the archive.

    Raises `Misconfigured` where there is none, or where the id is one of several sites' orders.
    """
    match parts.store.threads_of(key):
        case ():
            raise Misconfigured(f"There is no order {key!r}.")
        case (only,):
            return life_of(parts, only)
        case several:
            trails = map(parts.store.trail_of, several)
            names = ", ".join(f"{each.order_number} ({each.site})" for each in trails)
            raise Misconfigured(f"{key} is an order of several sites: {names}. Give the order number.")


def life_of(parts: Parts, thread_id: int) -> Life:
    """The life of the order of this row, live or in the archive."""
    history = parts.store.history_of(thread_id)
    return Life(history, _timeline(history))


def plain(life: Life) -> dict[str, Any]:
    """Everything of it as a JSON object, raw bodies, requests and answers included."""
    history = life.history
    trail = history.trail
    return {
        "order": trail.order_number,
        "site": trail.site,
        "platform_order_id": trail.platform_order_id,
        "state": history.state,
        "stage": history.stage,
        "reason": history.reason,
        "amended_version": history.amended_version,
        "archived_at": history.archived_at,
        "erased_at": trail.erased_at,
        "timeline": [asdict(each) for each in life.moments],
        "versions": [asdict(each) for each in history.received],
        "errors": [asdict(each) for each in history.errors],
        "repairs": [asdict(each) for each in history.repairs],
    }


def _timeline(history: History) -> tuple[Moment, ...]:
    told = [_moment(each) for each in history.trail.events]
    told += [moment for each in history.errors for moment in _of_error(each)]
    told += [moment for each in history.repairs for moment in _of_repair(each)]
    if history.archived_at:
        told.append(Moment(history.archived_at, "", "archive", "archived", "moved to the archive"))
    # Stable: what happened in one transaction stays in the order in which it was noted.
    told.sort(key=lambda each: each.at)
    return tuple(
        Moment(**{**_fields(each), "after": None if i == 0 else (each.at - told[i - 1].at).total_seconds()})
        for i, each in enumerate(told)
    )


def _fields(moment: Moment) -> dict[str, Any]:
    return {name: getattr(moment, name) for name in Moment.__dataclass_fields__}


def _moment(event: TrailEvent) -> Moment:
    payload = _payload(event)
    what = _sentence(event)
    reason = payload.get("reason") or payload.get("text") or event.detail.get("reason")
    if reason:
        what = f"{what}: {reason}"
    elif event.erased:
        what = f"{what} (what was said is erased)"
    more = {name: value for name, value in event.detail.items() if name not in _SAID_BY_SENTENCE}
    more.pop("reason", None)
    if more.pop("found", False):
        what += "; it was there already"
    if more:
        facts = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in more.items())
        what += f" ({facts})"
    return Moment(
        at=event.at,
        by=event.by,
        stage=event.stage,
        event=event.event,
        what=what,
        number=event.number,
        facts={**event.detail, **{name: value for name, value in payload.items() if name != "sent"}},
        sent=tuple(payload.get("sent", ())),
    )


def _payload(event: TrailEvent) -> dict[str, Any]:
    try:
        found = json.loads(event.payload or "{}", parse_float=Decimal)
    except ValueError:
        # Somebody has changed it; `audit verify` says so.
        found = None
    return found if isinstance(found, dict) else {}


class _Facts(dict[str, Any]):
    """What a sentence is filled with; events from before some fact was noted do without it."""

    def __missing__(self, name: str) -> str:
        return "(not noted)"


def _sentence(event: TrailEvent) -> str:
    text = _TOLD.get((event.stage, event.event)) or _ANYWHERE.get(event.event)
    if text is None:
        return event.event.replace("_", " ")
    facts = {name: _readable(value) for name, value in event.detail.items()}
    return text.format_map(_Facts(facts))


def _readable(value: object) -> object:
    try:
        return (
            _to_the_minute(datetime.fromisoformat(value))
            if isinstance(value, str) and "T" in value
            else value
        )
    except ValueError:
        return value


def _of_error(error: PastError) -> Iterator[Moment]:
    facts = {"error": error.id, "kind": error.kind, "field": error.field}
    where = f" at {error.field}" if error.field else ""
    what = f"error {error.id} opened ({error.kind}{where})"
    yield Moment(error.opened_at, "", error.stage, "error_opened", what, facts=facts)
    if error.resolved_at:
        what = f"error {error.id} resolved: {error.resolution or 'no word why'}"
        yield Moment(error.resolved_at, "", error.stage, "error_resolved", what, facts=facts)


def _of_repair(repair: PastRepair) -> Iterator[Moment]:
    facts = asdict(repair)
    # Why stands in the event that was noted with it.
    changed = (
        f"{repair.before or 'nothing'} became {repair.after}"
        if repair.after
        else "what was changed is erased"
    )
    what = f"repair of {repair.pointer}: {changed}"
    yield Moment(repair.at, repair.by, repair.layer, "repair", what, facts=facts)
    if repair.ended_at:
        ended = f"repair of {repair.pointer} ended" + (f": {repair.ended}" if repair.ended else "")
        yield Moment(repair.ended_at, "", repair.layer, "repair_ended", ended, facts=facts)


def _to_the_minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """How long something took, as a table shows it."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"+{seconds:.1f} s"
    if seconds < _HOUR:
        return f"+{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"+{seconds / _HOUR:.1f} h"
    return f"+{counted(round(seconds / _DAY), 'day')}"
