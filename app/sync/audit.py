"""Proving the audit trail: that nothing of it was changed, removed, added or cut off at the end."""

import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from app.domain import trail
from app.domain.words import counted
from app.errors import Misconfigured
from app.ports.audit import Trail, TrailEvent
from app.sync.parts import Parts

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Seals:
    """The key of the trail's seals. Events with ids up to `after_event` were noted before there was this key."""

    key: bytes
    after_event: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was noted: of which order, at which of its events (None: of the order as a whole)."""

    order: str
    number: int | None
    reason: str


@dataclass(slots=True)
class Verification:
    """What was looked at, and what is not as it was noted.

    `unsealed` events are from before the key; `erased` counts payloads and bodies that were erased on request.
    """

    orders: int = 0
    events: int = 0
    unsealed: int = 0
    erased: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything is as it was noted."""
        return not self.faults


def verify(
    parts: Parts, seals: Seals, *, key: str | None = None, progress: Callable[[int], None] = lambda _: None
) -> Verification:
    """Prove the trail of every order, or of those with this number (or platform's id). `progress` is told how many were looked at.

    What it proves: each event after the key was made is there, in its place and as it was noted; what lies apart from it (reasons,
    requests, answers, raw bodies as received) is as it was, or was erased by an erasure that is noted itself; none was added.

    What it cannot prove: events from before the key, and that any followed them where all that did were removed; that the whole
    database, or all rows of an order, are not an earlier state that was put back; that an order was not removed with all its rows
    (`reconcile` finds it missing); what is derived from the bodies (`rm_order` and its lines); and anything
    against someone who has the secret key. Raises `Misconfigured` where there is no such order.
    """
    found = Verification()
    if key is not None:
        ids = parts.store.threads_of(key)
        if not ids:
            raise Misconfigured(f"There is no order {key!r}.")
        for told in map(parts.store.trail_of, ids):
            _look_at(told, seals, found)
        return found
    after = 0
    while page := parts.store.trails(after=after, limit=_AT_ONCE):
        for told in page:
            _look_at(told, seals, found)
        after = page[-1].thread_id
        progress(found.orders)
    found.faults += [
        Fault(f"(order row {each})", None, "There are events of it, but its order row is gone.")
        for each in parts.store.ownerless_events()
    ]
    return found


def sentence(found: Verification) -> str:
    """The outcome in a sentence or two."""
    looked = f"{counted(found.events, 'event')} of {counted(found.orders, 'order')}"
    notes = (
        f" {counted(found.unsealed, 'event')} from before the key cannot be proved." if found.unsealed else ""
    )
    notes += f" {counted(found.erased, 'part')} erased on request." if found.erased else ""
    if found.whole:
        return f"The audit trail is whole: {looked}.{notes}"
    return f"The audit trail is not whole: {counted(len(found.faults), 'fault')} in {looked}.{notes}"


def _look_at(told: Trail, seals: Seals, found: Verification) -> None:
    name = told.order_number or f"(platform id {told.platform_order_id} of {told.site})"
    looking = _Looking(told, seals)
    found.faults += [Fault(name, number, reason) for number, reason in looking.faults()]
    found.orders += 1
    found.events += len(told.events)
    found.unsealed += len(looking.before)
    found.erased += looking.erased


class _Looking:
    """One order's trail, looked at once."""

    def __init__(self, told: Trail, seals: Seals) -> None:
        self._told = told
        self._key = seals.key
        self.before = [each for each in told.events if each.id <= seals.after_event]
        self._sealed = [each for each in told.events if each.id > seals.after_event]
        erasures = [each.number or 0 for each in self._sealed if each.event == "erased"]
        # What was noted before an erasure may have been erased by it, and nothing else may be missing. That the order's row
        # says so is not enough: anybody could write it there.
        self._erased_before = max(erasures, default=0)
        self.erased = 0

    def faults(self) -> Iterator[tuple[int | None, str]]:
        if not self._told.events:
            yield None, "It has no event at all, not even that it was read."
            return
        yield from self._chain()
        for each in self._told.events:
            yield from self._payload(each)
        yield from self._bodies()

    def _chain(self) -> Iterator[tuple[int | None, str]]:
        """The seals, each over all before it, and the last one over the whole, which stands on the order's row."""
        last = max((each.number or 0 for each in self.before), default=0)
        head = ""
        for each in self._sealed:
            number = each.number
            if number is None:
                yield (
                    None,
                    f"The event {each.event!r} of {each.at:%Y-%m-%d %H:%M:%S} UTC was added: it has no seal.",
                )
                continue
            if number > last + 1:
                gone = (
                    f"event {last + 1} is" if number == last + 2 else f"events {last + 1} to {number - 1} are"
                )
                yield number, f"The {gone} gone."
            elif number <= last:
                yield (
                    number,
                    f"The event {each.event!r} stands where it does not belong: it follows event {last}.",
                )
            elif not self._fits(each, number, head):
                yield number, f"The event {each.event!r} is not as it was noted."
            # Each event is judged by the seals that are there, so that one change is one fault.
            last = max(last, number)
            head = trail.head_over(self._key, thread_id=self._told.thread_id, number=number, mac=each.mac)
        if self._told.count != last:
            yield (
                last,
                f"Its row counts {counted(self._told.count, 'event')}, but the last one there is number {last}.",
            )
        elif not hmac.compare_digest(self._told.head, head):
            yield (
                last,
                "The last seal does not belong to the events that are there: some were cut off at the end.",
            )

    def _fits(self, event: TrailEvent, number: int, head: str) -> bool:
        mac = trail.seal(
            self._key,
            head=head,
            thread_id=self._told.thread_id,
            number=number,
            at=event.at,
            stage=event.stage,
            event=event.event,
            by=event.by,
            detail=event.detail,
            digest=event.digest,
        )
        return hmac.compare_digest(mac, event.mac)

    def _may_be_erased(self, event: TrailEvent) -> bool:
        return (event.number or 0) < self._erased_before

    def _payload(self, event: TrailEvent) -> Iterator[tuple[int | None, str]]:
        if event.payload is not None:
            if trail.digest(event.payload) != event.digest:
                yield event.number, f"What belongs to the event {event.event!r} was changed (rm_payload)."
        elif event.digest and event.erased and self._may_be_erased(event):
            self.erased += 1
        elif event.digest:
            yield (
                event.number,
                f"What belongs to the event {event.event!r} is gone (rm_payload), and no erasure is noted.",
            )

    def _bodies(self) -> Iterator[tuple[int | None, str]]:
        yield from self._texts("raw body", "sha256", self._told.bodies)
        yield from self._texts("completed body", "completed_sha256", self._told.completed)

    def _texts(self, what: str, fact: str, stored: Mapping[int, str]) -> Iterator[tuple[int | None, str]]:
        """What is stored of each version, by its digest, against the digests that were noted when it came."""
        noted: dict[int, TrailEvent] = {}
        for each in self._told.events:
            version = each.detail.get("version")
            if isinstance(version, int) and fact in each.detail:
                noted[version] = each
        for version, event in noted.items():
            found = stored.get(version)
            # An empty digest: it was put away, to be asked for anew.
            if (found or "") == event.detail[fact]:
                continue
            if not found and self._may_be_erased(event):
                self.erased += 1
            elif found is None:
                yield event.number, f"The {what} of version {version} is gone (rm_inbox)."
            else:
                yield event.number, f"The {what} of version {version} is not what was received (rm_inbox)."
        if not self.before:
            for version in sorted(set(stored) - set(noted)):
                yield None, f"The {what} of version {version} was added (rm_inbox): no event tells of it."
