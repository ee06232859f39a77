"""Writing sales orders: each in one deep insert, read back in the same call (contract section 4)."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.connectors.business_central import schema
from app.connectors.business_central.client import TOO_LATE, Answered, Lost, NotSent, Outcome
from app.connectors.business_central.exchanges import exchange, unanswered
from app.connectors.business_central.failures import write_failure
from app.connectors.business_central.mapping import document, external_number, order_body
from app.connectors.business_central.operations import Operation, Operations
from app.connectors.business_central.reading import Question
from app.connectors.business_central.settings import Settings
from app.domain.order import sku_key
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.erp import Draft, ErpDocument, Told

FIRST_SIZE = 5
MAX_SIZE = 50
TARGET_SECONDS = 10.0
"""How long one call should take: a lost reply then leaves few orders unknown, and no call comes near the ERP's limits."""

_WHAT = "sales order"
_TROUBLE = "Business Central had trouble with the orders before this one; it was not tried."

Result = ErpDocument | OrderSyncError
_Ready = tuple[Draft, Mapping[str, Any]]


class _StillInTime:
    """Asks whether there is time for one more request; once there was none, there is none any more."""

    def __init__(self, in_time: Callable[[], bool]) -> None:
        self._in_time = in_time
        self._is_over = False

    def __call__(self) -> bool:
        self._is_over = self._is_over or not self._in_time()
        return not self._is_over


class Writer:
    """Writes drafts in groups whose size follows how fast the ERP is."""

    def __init__(
        self, *, operations: Operations, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.size = FIRST_SIZE
        self._operations = operations
        self._settings = settings
        self._clock = clock

    def write(self, drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told) -> dict[str, Result]:
        """What became of each draft; `told` is given what was sent of it, and what came back.

        Raises `Misconfigured`, and that only before anything was sent.
        """
        results: dict[str, Result] = {}
        ready = self._mapped(drafts, results)
        still = _StillInTime(in_time)
        first = True
        while ready:
            if not still():
                results |= _untried(ready, TOO_LATE)
                break
            group, ready = ready[: self.size], ready[self.size :]
            outcomes = self._send(group, still, told)
            written = self._judged(group, outcomes)
            if first:
                _raise_if_no_order_can_pass(written)
            results |= {number: _for_one_order(result) for number, result in written.items()}
            first = False
            if _must_stop(outcomes):
                results |= _untried(ready, _TROUBLE if still() else TOO_LATE)
                break
        return results

    def _mapped(self, drafts: Sequence[Draft], results: dict[str, Result]) -> list[_Ready]:
        """All are mapped before the first is written (contract, rule 2); refused ones are answered at once."""
        ready: list[_Ready] = []
        numbers: set[str] = set()
        for draft in drafts:
            key = sku_key(draft.external_number)
            if key in numbers:
                # The ERP would take both; a second document is what must never happen.
                results.setdefault(
                    draft.external_number, Retry("Another order of this call has the same number.")
                )
                continue
            numbers.add(key)
            try:
                ready.append((draft, order_body(draft, settings=self._settings)))
            except Reject as error:
                results[draft.external_number] = error
        return ready

    def _send(
        self, group: Sequence[_Ready], in_time: Callable[[], bool], told: Told
    ) -> list[tuple[Outcome, Outcome]]:
        pairs = [
            operation
            for draft, body in group
            for operation in (Operation("POST", "salesOrders", body), _read_back(draft))
        ]
        started = self._clock()
        try:
            outcomes = self._operations.run(pairs, in_time=in_time)
        except BaseException:
            # The time limit's signal, or the end of the process: what may be on its way is told before it is looked up.
            for draft, body in group:
                told(draft.external_number, unanswered(_WHAT, body))
            raise
        if not all(isinstance(outcome, NotSent) for outcome in outcomes):
            self._adapt(seconds=self._clock() - started, full=len(group) == self.size)
        both = list(zip(outcomes[::2], outcomes[1::2], strict=True))
        for (draft, body), (posted, read) in zip(group, both, strict=True):
            found = exchange(_WHAT, body, posted=posted, read=read)
            if found is not None:
                told(draft.external_number, found)
        return both

    def _adapt(self, *, seconds: float, full: bool) -> None:
        if seconds > TARGET_SECONDS:
            self.size = max(1, self.size // 2)
        elif full and seconds < TARGET_SECONDS / 4:
            self.size = min(MAX_SIZE, self.size * 2)

    def _judged(
        self, group: Sequence[_Ready], outcomes: Sequence[tuple[Outcome, Outcome]]
    ) -> dict[str, Result]:
        return {
            draft.external_number: _result(draft, posted=posted, read=read, company=self._operations.company)
            for (draft, _), (posted, read) in zip(group, outcomes, strict=True)
        }


def _untried(ready: Sequence[_Ready], reason: str) -> dict[str, Result]:
    return {draft.external_number: Retry(reason) for draft, _ in ready}


def _read_back(draft: Draft) -> Operation:
    number = external_number(draft.external_number)
    return Question("salesOrders", "externalDocumentNumber", (number,), schema.ORDER_FIELDS).operation


def _result(draft: Draft, *, posted: Outcome, read: Outcome, company: str) -> Result:
    """The document as the ERP holds it, and nothing less certain than that."""
    found = _found(draft, read)
    if not isinstance(posted, Answered) or posted.status != 201:  # noqa: PLR2004 - HTTP's Created
        failure = write_failure(posted, subject="the order", company=company)
        if found and not isinstance(failure, Unknown):
            return Unknown(
                "Business Central did not take the order, yet holds one with its number; it has to be looked up."
            )
        return failure
    if found is None:
        return Unknown("Business Central took the order, but reading it back failed.")
    if len(found) != 1:
        return Unknown(
            f"Business Central took the order, and reading it back found {len(found)} with its number."
        )
    if not isinstance(posted.body, dict) or posted.body.get("id", found[0].id) != found[0].id:
        return Unknown("Business Central took the order, but holds another one with its number.")
    return found[0]


def _found(draft: Draft, read: Outcome) -> list[ErpDocument] | None:
    """The documents with the draft's number; None where that could not be read."""
    if not isinstance(read, Answered) or read.status != 200 or not isinstance(read.body, dict):  # noqa: PLR2004
        return None
    rows = read.body.get("value")
    if not isinstance(rows, list):
        return None
    try:
        found = [document(row) for row in rows]
    except Retry:
        return None
    return [each for each in found if sku_key(each.external_number) == sku_key(draft.external_number)]


def _raise_if_no_order_can_pass(written: Mapping[str, Result]) -> None:
    """Where sign-in, permission or company failed for the first group as a whole, the ERP pauses instead of its orders."""
    results = list(written.values())
    if all(isinstance(result, (Misconfigured, Retry)) for result in results):
        for result in results:
            if isinstance(result, Misconfigured):
                raise result


def _for_one_order(result: Result) -> Result:
    """An ERP that stopped taking orders midway is no fault of the order: it is tried again, and the next call says what is wrong."""
    return Retry(result.reason) if isinstance(result, Misconfigured) else result


def _must_stop(outcomes: Sequence[tuple[Outcome, Outcome]]) -> bool:
    """Whether the next group would meet the same trouble. One order's own failure is not such."""
    posted = [outcome for outcome, _ in outcomes]
    if all(isinstance(outcome, NotSent) for outcome in posted):
        return True
    return any(
        isinstance(outcome, Lost)
        or (isinstance(outcome, Answered) and outcome.status in {401, 403, 429, 502, 503, 504})
        for outcome in posted
    )
