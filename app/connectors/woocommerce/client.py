"""A WooCommerce shop as a sales channel: the calls, and what each answer comes to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from app.connectors.woocommerce.answers import INVALID_ID, problem_of, read_failure, refusal
from app.connectors.woocommerce.bodies import identifier, listed, single, updated
from app.connectors.woocommerce.calls import ANY_ORDER, Calls, counted, readable
from app.connectors.woocommerce.census import census
from app.connectors.woocommerce.examination import examine
from app.connectors.woocommerce.figures import figures, worth
from app.connectors.woocommerce.mapping import normalize
from app.connectors.woocommerce.settings import Settings
from app.connectors.woocommerce.sighting import seen
from app.connectors.woocommerce.survey import survey
from app.domain.order import Order
from app.domain.reading import Position
from app.errors import OrderSyncError, Reject, Retry, Unknown
from app.ports.connector import Account
from app.ports.examination import Examination
from app.ports.sales_channel import Figure, Gone, Listed, Page, Probe, Seen
from app.ports.survey import Survey
from app.transport import Answer
from app.transport.addresses import is_loopback

_MOST = 100
_ONE_SECOND = timedelta(seconds=1)


class WooCommerce:
    """One shop. Implements `SalesChannel`; not shared between threads."""

    def __init__(self, account: Account, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = Settings.stored(account.settings)
        self._clock = clock
        self._timeout = account.http_timeout
        self._is_near = is_loopback(account.url)
        self._calls = Calls(account, settings=self._settings)
        self._ack_status_is_known = not self._settings.ack_status

    def changed(self, position: Position, *, page_size: int) -> Page:
        """Orders with one of the site's statuses, modified at or after `position.since`; see the port."""
        parameters = {
            "orderby": "modified",
            "order": "asc",
            "status": ",".join(self._settings.statuses),
            "per_page": str(page_size),
            "page": str(position.page),
        }
        if position.since is not None:
            # Exclusive, in whole seconds, and right in every timezone only in this form (README, "Dates").
            after = position.since.astimezone(UTC).replace(microsecond=0, tzinfo=None) - _ONE_SECOND
            parameters |= {"modified_after": after.isoformat(), "dates_are_gmt": "true"}
        answer = self._calls.get("/orders", parameters)
        rows = self._rows(answer)
        more = 'rel="next"' in answer.headers.get("Link", "") or len(rows) >= page_size
        return Page(rows=tuple(rows), more=more, answered_at=answer.answered_at)

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        """How these orders stand now. `Gone` is said only by a shop that is seen to have orders at all."""
        wanted = list(dict.fromkeys(platform_order_ids))
        numeric = _numeric(wanted)
        found: dict[str, Seen | Gone] = {each: Gone() for each in wanted}
        if not numeric:
            return found
        found |= self._listed(numeric, status="any")
        missing = [each for each in numeric if isinstance(found[each], Gone)]
        if len(missing) == len(numeric):
            self._check_table()
        if missing:
            # `any` has neither the trash nor checkout drafts, so an order that is not shown may still be there.
            found |= self._listed(missing, status="trash")
            found |= self._one_by_one([each for each in missing if isinstance(found[each], Gone)])
        return found

    def acknowledge(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        """Set our mark, and the status where one is set. Marking again what is marked changes nothing but its modified date."""
        wanted = list(dict.fromkeys(platform_order_ids))
        if not wanted:
            return {}
        self._check_ack_status()
        body = {"update": [self._update(each) for each in _numeric(wanted)]}
        try:
            items = updated(self._calls.post("/orders/batch", body))
        except ValueError as error:
            raise Unknown(str(error)) from None
        outcomes = {each: self._outcome(each, items) for each in wanted}
        invalid = [each for each, outcome in outcomes.items() if isinstance(outcome, Gone)]
        settled = {each: outcome for each, outcome in outcomes.items() if not isinstance(outcome, Gone)}
        return settled | (self._looked_up(invalid) if invalid else {})

    def complete(self, bodies: Sequence[str]) -> Sequence[str | OrderSyncError]:
        """As they are: an order's body is whole, however many lines it has (contract, section 8)."""
        return bodies

    def normalize(self, body: str, *, prefix: str) -> Order:
        """The order in `body` in our own words. Pure. Raises `Reject` with every fault named."""
        return normalize(body, prefix=prefix, settings=self._settings)

    def worth(self, body: str) -> tuple[Decimal, str] | None:
        """The platform's own total and currency, None where they cannot be read."""
        return worth(body)

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        """Where the amounts of `normalize(body)` come from. Pure. Raises `Reject` like that."""
        return figures(body, prefix=prefix, settings=self._settings)

    def probe(self) -> Probe:
        """One order's id is asked for, whatever its status; the shop's own count comes along."""
        return counted(self._calls.get("/orders", ANY_ORDER))

    def examine(self) -> Examination:
        """What can be proved without changing anything, that the key may write among it."""
        return examine(self._calls, settings=self._settings, is_near=self._is_near)

    def census(self, *, since: datetime | None, until: datetime) -> Iterator[tuple[Listed, ...]]:
        """Orders in the statuses that the site reads, or that our acknowledgement gave them; see the port."""
        return census(self._calls, settings=self._settings, since=since, until=until)

    def survey(self, *, orders: int) -> Survey:
        """What this very shop does, measured by reading alone."""
        return survey(self._calls, settings=self._settings, orders=orders, now=datetime.now(UTC))

    def _rows(self, answer: Answer) -> list[Seen]:
        rows = []
        for body, given in readable(listed, answer):
            found = identifier(given)
            if found is None:
                raise Retry("The shop's list holds something that is no order with an id.")
            rows.append(self._seen(found, body, given))
        return rows

    def _listed(self, order_ids: Sequence[str], *, status: str) -> dict[str, Seen]:
        """Those of these orders that a list of this status shows."""
        parameters = {
            "include": ",".join(order_ids),
            "status": status,
            "per_page": str(_MOST),
            "orderby": "id",
            "order": "asc",
        }
        rows = self._rows(self._calls.get("/orders", parameters))
        return {row.platform_order_id: row for row in rows if row.platform_order_id in order_ids}

    def _one_by_one(self, order_ids: Sequence[str]) -> dict[str, Seen | Gone]:
        """These orders, each asked for by its id, in the time that one call may last. Raises `Retry` where it is not enough."""
        until = self._clock() + self._timeout
        found: dict[str, Seen | Gone] = {}
        for each in order_ids:
            left = until - self._clock()
            if left <= 0:
                raise Retry(
                    f"The shop is too slow to tell of {len(order_ids)} missing orders one by one; they are asked for again."
                )
            found[each] = self._one(each, timeout=left)
        if any(isinstance(each, Gone) for each in found.values()):
            # The table may have become unreadable after the list was read, and then every order is called gone.
            self._check_table()
        return found

    def _check_table(self) -> None:
        if self.probe().orders == 0:
            raise Retry("The shop says that it has no orders at all; its order table may be unreadable.")

    def _one(self, order_id: str, *, timeout: float) -> Seen | Gone:
        answer = self._calls.answer(f"/orders/{order_id}", {}, timeout=timeout)
        if answer.status == HTTPStatus.NOT_FOUND and problem_of(answer).code == INVALID_ID:
            return Gone()
        if answer.status != HTTPStatus.OK:
            raise read_failure(answer, encrypted=self._calls.encrypted)
        given = readable(single, answer)
        if identifier(given) != order_id:
            raise Retry(f"The shop answered something else where order {order_id} was asked for.")
        return self._seen(order_id, answer.text, given)

    def _seen(self, order_id: str, body: str, given: dict[str, Any]) -> Seen:
        return seen(platform_order_id=order_id, body=body, given=given, settings=self._settings)

    def _check_ack_status(self) -> None:
        # A batch takes any word for a status and sets `pending` instead.
        if not self._ack_status_is_known:
            self._calls.check_status(self._settings.ack_status, setting="ack_status")
            self._ack_status_is_known = True

    def _update(self, order_id: str) -> dict[str, Any]:
        update: dict[str, Any] = {
            "id": int(order_id),
            "meta_data": [{"key": self._settings.mark_key, "value": "1"}],
        }
        if self._settings.ack_status:
            update["status"] = self._settings.ack_status
        # Each item is a request of its own to WooCommerce, so that the query's decimals would not count for it.
        return update | {"dp": self._settings.decimals}

    def _outcome(self, order_id: str, items: Mapping[str, tuple[str, Any]]) -> Seen | OrderSyncError | Gone:
        """What became of one order; `Gone` where the write said so, which is not to be believed before it is looked up."""
        if order_id not in items:
            return Unknown(f"The shop's answer does not mention order {order_id}.")
        body, given = items[order_id]
        if "error" in given:
            return refusal(order_id, given["error"]) or Gone()
        stands = self._seen(order_id, body, given)
        mark, wanted = self._settings.mark_key, self._settings.ack_status
        if not stands.marked:
            reason = f"The shop took the mark {mark} for order {order_id}, but does not show it."
            return Reject(reason, kind="settings")
        if wanted and stands.status != wanted:
            reason = f"The shop set order {order_id} to {stands.status} instead of the ack_status {wanted}."
            return Reject(reason, kind="settings")
        return stands

    def _looked_up(self, order_ids: list[str]) -> dict[str, Seen | OrderSyncError]:
        """What became of orders that the write called invalid; a shop that cannot read its tables says so of every order."""
        try:
            found = self.read(order_ids)
        except OrderSyncError as error:
            reason = f"The shop called the order invalid and could not be asked about it: {error.reason}"
            return {each: Unknown(reason) for each in order_ids}
        return {
            each: Reject(f"The shop has no order {each} any more.", kind="gone")
            if isinstance(now, Gone)
            else Unknown(f"The shop called order {each} invalid, but has it.")
            for each, now in found.items()
        }


def _numeric(order_ids: Sequence[str]) -> list[str]:
    """Those that can be ids of theirs: nothing else is put into a URL."""
    return [each for each in order_ids if each.isascii() and each.isdigit()]
