"""Many requests in one `$batch` call, or one by one where a service has no `$batch` (contract section 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.connectors.business_central.client import Answered, Lost, NotSent, Outcome, Service, always
from app.connectors.business_central.failures import read_failure
from app.errors import Retry
from app.ports.limiters import Report, Verdict
from app.transport import Answer, named_wait, parse_json, report_of

MAX_OPERATIONS = 100
_HAS_NO_BATCH = frozenset({404, 405, 501})
_EVERYONES_TROUBLE = frozenset({401, 403, 404, 408, 429})
_STOPPED = "Business Central stopped before this request."
_LONGEST_WAIT = 3600.0
_NOT_TRIED, _TOO_MANY, _SERVER_ERROR = 424, 429, 500
_BEGINNING = 1000
"""A `$batch` answer has its name for the operations' answers within so many bytes; other answers are not read twice."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. `path` is relative to the company. `replica`: a copy that may lag is good enough for this read."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    replica: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """An operation's own headers: those of the batch do not reach it."""
        headers = {"Accept": "application/json", "Accept-Language": "en-US"}
        return headers if self.body is None else {**headers, "Content-Type": "application/json"}


class Operations:
    """Runs operations of one company in their order, each whatever became of the ones before."""

    def __init__(self, *, service: Service, company: str, batch: bool) -> None:
        self.company = company
        self._service = service
        self._batch = batch

    def run(self, operations: Sequence[Operation], *, in_time: Callable[[], bool] = always) -> list[Outcome]:
        """What became of each operation, in their order; at most `MAX_OPERATIONS`. Never raises.

        `in_time` is asked before each request that writes; the read behind a write that was sent is made in any case.
        """
        if self._batch:
            outcomes = self._together(operations, in_time)
            if outcomes is not None:
                return outcomes
            # Kept for the life of the client: asking every time would double the calls.
            self._batch = False
        return self._one_by_one(operations, in_time)

    def send(
        self,
        operation: Operation,
        *,
        headers: Mapping[str, str] | None = None,
        in_time: Callable[[], bool] = always,
    ) -> Outcome:
        """One operation in a request of its own."""
        path = f"/companies({self.company})/{operation.path}"
        sent = {**operation.headers, **(headers or {})}
        if operation.replica:
            sent["Data-Access-Intent"] = "ReadOnly"
        return self._service.send(operation.method, path, json=operation.body, headers=sent, in_time=in_time)

    def companies(self) -> Outcome:
        """The companies of this service."""
        return self._service.send("GET", "/companies", headers={"Accept": "application/json"})

    def follow(self, link: str, *, replica: bool, headers: Mapping[str, str] | None = None) -> Outcome:
        """The next page, by the link exactly as it was given."""
        intent = {"Data-Access-Intent": "ReadOnly"} if replica else {}
        return self._service.send(
            "GET", link, headers={"Accept": "application/json", **intent, **(headers or {})}
        )

    def _together(self, operations: Sequence[Operation], in_time: Callable[[], bool]) -> list[Outcome] | None:
        requests = [
            {
                "id": str(number),
                "method": operation.method,
                "url": f"companies({self.company})/{operation.path}",
                "headers": operation.headers,
                **({} if operation.body is None else {"body": operation.body}),
            }
            for number, operation in enumerate(operations, start=1)
        ]
        # Without Accept the answer is multipart; without the preference the first failure stops the rest.
        headers = {"Accept": "application/json", "Prefer": "odata.continue-on-error"}
        outcome = self._service.send(
            "POST", "/$batch", json={"requests": requests}, headers=headers, in_time=in_time
        )
        if isinstance(outcome, Answered):
            if outcome.status in _HAS_NO_BATCH:
                return None
            if outcome.status == 200:  # noqa: PLR2004 - HTTP's OK
                return _answers(outcome.body, count=len(operations))
            if outcome.status < 500 and outcome.status not in _EVERYONES_TROUBLE:  # noqa: PLR2004
                # The batch as such was refused, so no operation of it was looked at.
                return [NotSent(read_failure(outcome, company=self.company), outcome)] * len(operations)
        return [outcome] * len(operations)

    def _one_by_one(self, operations: Sequence[Operation], in_time: Callable[[], bool]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for operation in operations:
            outcome = self.send(operation, in_time=always if operation.body is None else in_time)
            outcomes.append(outcome)
            if _is_everyones_trouble(outcome):
                # Each further request would meet the same, after the same timeout.
                stopped = (
                    outcome
                    if isinstance(outcome, NotSent)
                    else NotSent(Retry(_STOPPED, after=getattr(outcome, "retry_after", None)))
                )
                return outcomes + [stopped] * (len(operations) - len(outcomes))
        return outcomes


def report(answer: Answer) -> Report:
    """What an answer says about the account, also where a `$batch` that is answered with 200 holds the refusals (section 5).

    One operation that is refused for asking too often is enough. A 5xx of one may be its order's fault: it says something about
    the service only where every operation that was tried has one.
    """
    found = report_of(answer)
    if found.verdict is not Verdict.GOOD or b'"responses"' not in answer.body[:_BEGINNING]:
        return found
    tried = [each for each in _inner(answer) if each.status != _NOT_TRIED]
    refused = [each for each in tried if each.status == _TOO_MANY]
    if refused:
        return Report(Verdict.REFUSED, wait=_longest_wait(refused))
    if tried and all(each.status >= _SERVER_ERROR for each in tried):
        fault = f"it answered {tried[0].status} within a batch"
        return Report(Verdict.FAILED, wait=_longest_wait(tried), fault=fault)
    return found


def _inner(answer: Answer) -> list[Answered]:
    try:
        body = parse_json(answer.text)
    except ValueError:
        return []
    responses = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(responses, list):
        return []
    return [_answered(each) for each in responses if isinstance(each, dict)]


def _longest_wait(answers: Sequence[Answered]) -> float | None:
    waits = [each.retry_after for each in answers if each.retry_after is not None]
    return named_wait(max(waits, default=None))


def _is_everyones_trouble(outcome: Outcome) -> bool:
    if isinstance(outcome, Answered):
        return outcome.status in _EVERYONES_TROUBLE or outcome.status >= 500  # noqa: PLR2004 - the 5xx family
    return True


def _answers(body: Any, *, count: int) -> list[Outcome]:
    """The answers by operation.

    The batch was told to go on after errors, so one whose answer is missing may have been carried out all the same.
    """
    responses = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(responses, list):
        return [Lost("a batch answer that cannot be read")] * count
    by_id = {str(each.get("id")): each for each in responses if isinstance(each, dict)}
    return [
        _tried(_answered(by_id[str(number)]))
        if str(number) in by_id
        else Lost("a batch answer without this operation")
        for number in range(1, count + 1)
    ]


def _tried(answered: Answered) -> Outcome:
    # 424 Failed Dependency is how some services say that they stopped.
    return NotSent(Retry(_STOPPED), answered) if answered.status == _NOT_TRIED else answered


def _answered(response: Mapping[str, Any]) -> Answered:
    try:
        status = int(response["status"])
    except (KeyError, TypeError, ValueError):
        status = 0
    body = response.get("body")
    if isinstance(body, str):
        try:
            body = parse_json(body.removeprefix("\ufeff"))
        except ValueError:
            body = None
    headers = response.get("headers")
    waits = (
        {str(name).lower(): str(value) for name, value in headers.items()}
        if isinstance(headers, dict)
        else {}
    )
    return Answered(status, body, _seconds(waits.get("retry-after", "").strip()))


def _seconds(text: str) -> float | None:
    """The seconds that a Retry-After of digits names, an hour at most."""
    return min(float(text), _LONGEST_WAIT) if text.isascii() and text.isdigit() else None
