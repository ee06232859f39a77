"""Telling the store that orders were taken over: another status, and a line in the staff notes that is never written twice.

Each order is looked at right before and right after it is updated. A range of orders is one call, and the look after one chunk is
the look before the next, so that a hundred neighbours cost a hundred updates and five reads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.connectors.bigcommerce import notes
from app.connectors.bigcommerce.bodies import identifier, single
from app.connectors.bigcommerce.calls import Calls, Stale
from app.connectors.bigcommerce.groups import GROUP, base_of, group_of, is_id
from app.connectors.bigcommerce.reading import Look, look, not_listed, stands
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter
from app.connectors.bigcommerce.statuses import status_text
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.sales_channel import Gone, Seen
from app.transport import parse_json

CHUNK = 25


def system_time() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Update:
    """What has to be changed of one order of the platform, and nothing else: whatever is sent with it would be written as well.

    `ours` are the ids of those of our orders that it marks: one, but where an order for several addresses is split.
    `looked_at` is when that was found out, in seconds of the calls' clock.
    """

    order_id: str
    ours: tuple[str, ...]
    changes: Mapping[str, Any]
    looked_at: float


class Marking:
    """One call of `acknowledge`: the outcomes so far, and the orders whose update was answered but not yet looked at."""

    def __init__(
        self, calls: Calls, sighter: Sighter, *, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._calls = calls
        self._sighter = sighter
        self._note_text = settings.note_text
        self._now = now
        self._outcomes: dict[str, Seen | OrderSyncError] = {}
        self._updated: dict[str, bool] = {}
        """With each, whether the answer to its update showed the mark."""
        self._stale: list[str] = []

    def acknowledge(self, wanted: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        """The outcome for each. Raises where nothing came of any of them: `Misconfigured`, `Unknown` or `Retry`."""
        known = [each for each in wanted if is_id(each)]
        self._outcomes |= {each: _gone(each) for each in wanted if not is_id(each)}
        while known:
            chunk, known = known[:CHUNK], known[CHUNK:]
            if not self._chunk(chunk):
                break
            known = [*self._stale, *known]
        if self._updated:
            self._chunk([])
        late = Retry("There was no time left for this order in the store's turn.")
        outcomes = {each: self._outcomes.get(each, late) for each in wanted}
        _raise_if_nothing_came_of_it(outcomes)
        return outcomes

    def _chunk(self, order_ids: Sequence[str]) -> bool:
        """Look at what was updated last and at these, and update these. Whether there is any sense in going on."""
        self._stale = []
        try:
            looks = look(self._calls, self._sighter, [*self._updated, *order_ids])
        except OrderSyncError as error:
            if isinstance(error, Misconfigured) or not (self._outcomes or self._updated):
                raise
            self._outcomes |= {each: _not_seen(each, error) for each in self._updated}
            self._outcomes |= {each: Retry(error.reason) for each in order_ids}
            self._updated = {}
            return False
        self._outcomes |= {
            each: self._after(each, looks[base_of(each)], shown=shown)
            for each, shown in self._updated.items()
        }
        self._updated = {}
        bases = dict.fromkeys(map(base_of, order_ids))
        own = {base: [each for each in order_ids if base_of(each) == base] for base in bases}
        updates = [update for base, ids in own.items() if (update := self._update(base, ids, looks[base]))]
        results = self._calls.each(updates, self._send, unforeseen=Unknown)
        for update, result in zip(updates, results, strict=True):
            match result:
                case Misconfigured():
                    raise result
                case Stale():
                    self._stale += update.ours
                case OrderSyncError():
                    self._outcomes |= dict.fromkeys(update.ours, result)
                case _:
                    self._updated |= {each: self._shows_mark(each, result) for each in update.ours}
        return not self._calls.time_is_up

    def _update(self, base: str, order_ids: Sequence[str], looked: Look | None) -> _Update | None:
        """What is to be changed of one order of the platform; where that is nothing, the outcomes are settled.

        The status is changed with the last of its addresses: until then it has to be read again, or the others would be missed.
        """
        wanted: dict[str, Seen] = {}
        for each in order_ids:
            match stands(self._sighter, each, looked):
                case Seen(eligible=True) as seen:
                    wanted[each] = seen
                case Seen() as seen:
                    # Somebody has taken it out of our hands (cancelled, archived): then it is left as it is.
                    self._outcomes[each] = seen
                case _:
                    self._outcomes[each] = _gone(each)
        if looked is None or not wanted:
            return None
        if looked.hidden:
            self._outcomes |= dict.fromkeys(wanted, not_listed(base))
            return None
        given = looked.given
        fresh = [group_of(each) for each, seen in wanted.items() if not seen.marked]
        count = self._sighter.count_of(given)
        changes: dict[str, Any] = {}
        if fresh:
            named = fresh if count > 1 else ()
            noted = notes.with_mark(
                given.get("staff_notes"), note_text=self._note_text, at=self._now(), groups=named
            )
            if noted is None:
                reason = f"The staff notes of order {base} are full, so that it cannot be marked; shorten them in the store."
                full = Reject(reason, kind="platform", field="/staff_notes")
                self._outcomes |= dict.fromkeys(wanted, full)
                return None
            changes["staff_notes"] = noted
        left = set(self._sighter.unmarked(given)) - set(fresh)
        if not left and given.get("status_id") != self._sighter.acknowledged:
            changes["status_id"] = self._sighter.acknowledged
        if not changes:
            self._outcomes |= wanted
            return None
        return _Update(base, tuple(wanted), changes, looked.at)

    def _send(self, update: _Update) -> dict[str, Any]:
        """The order as the store answered it."""
        answer = self._calls.update(update.order_id, update.changes, looked_at=update.looked_at)
        try:
            updated: dict[str, Any] = single(answer)
        except Retry as error:
            raise Unknown(f"The update of order {update.order_id}: {error.reason}") from None
        if identifier(updated) != update.order_id:
            raise Unknown(f"The store answered the update of order {update.order_id} with something else.")
        return updated

    def _shows_mark(self, order_id: str, given: dict[str, Any]) -> bool:
        return self._sighter.is_marked({**given, GROUP: group_of(order_id)})

    def _after(self, order_id: str, looked: Look | None, *, shown: bool) -> Seen | OrderSyncError:
        """What came of an update that the store says it has made; `shown`: its answer had the mark."""
        if looked is not None and looked.hidden:
            return _not_seen(order_id, not_listed(base_of(order_id)))
        stand = stands(self._sighter, order_id, looked)
        if isinstance(stand, Gone):
            return _gone(order_id)
        given = parse_json(stand.body)
        # A status that is neither read nor ours was set by somebody since then, and is not our affair.
        if stand.marked and (
            given.get("status_id") not in self._sighter.read or self._sighter.unmarked(given)
        ):
            return stand
        if shown:
            # A list may lag behind what was just written, and then shows the order as it was.
            return Unknown(f"Order {order_id} was marked, but the store's list does not show that yet.")
        wanted = status_text(self._sighter.acknowledged)
        return Reject(
            f"The store took the mark for order {order_id} (status {wanted} and a line in the staff notes), but does not show it;"
            " something else may be writing its staff notes.",
            kind="settings",
            field="/staff_notes",
        )


def _gone(order_id: str) -> Reject:
    return Reject(f"The store has no order {order_id} any more.", kind="gone")


def _not_seen(order_id: str, error: OrderSyncError) -> Unknown:
    return Unknown(f"Order {order_id} was marked, but could not be looked at afterwards: {error.reason}")


def _raise_if_nothing_came_of_it(outcomes: Mapping[str, Seen | OrderSyncError]) -> None:
    waiting = [each for each in outcomes.values() if isinstance(each, (Unknown, Retry))]
    if not waiting or len(waiting) < len(outcomes):
        return
    unknown = [each for each in waiting if isinstance(each, Unknown)]
    told = [each for each in waiting if isinstance(each, Retry) and each.after is not None]
    raise (unknown or told or waiting)[0]
