"""The error table: what an outcome that is no success means for a read and for a write (contract section 4, "Errors")."""

import re
from dataclasses import dataclass
from typing import Any

from app.connectors.business_central.client import Answered, Lost, NotSent, Outcome
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown

_CORRELATION = re.compile(r"\s*CorrelationId:\s*([0-9A-Fa-f-]{1,64})\.?\s*$")
_BAD_SKU = re.compile(
    r"\bitem\b.*(blocked|does not exist|not exist|not found|does not match)"
    r"|(blocked must be|cannot sell|can't sell|cannot be sold)\b.*\bitem\b"
    r"|cannot be found in the related table \(item\)",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_MESSAGE = 500
_LONGEST_CODE = 100
_NODE_LIMIT = re.compile(r"node count limit", re.IGNORECASE)
_PASSING = frozenset({409, 412, 423, 424})
"""Refused because of somebody else's change or a stopped batch: nothing was done, and the same call may pass later."""
_OURS = frozenset({401, 403, 405, 406, 415})
"""Refused whatever the order: sign-in, permission, or an address that takes no such call."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Business Central's own words. The correlation id is what Microsoft's support asks for."""

    status: int
    code: str
    message: str
    correlation: str

    @property
    def text(self) -> str:
        """Message first, cut to what a sentence can hold, then what only a support engineer reads."""
        marks = ", ".join(filter(None, (self.code, self.correlation and f"CorrelationId {self.correlation}")))
        message = self.message[:_LONGEST_MESSAGE] or f"HTTP {self.status}"
        return f"{message} ({marks})" if marks else message


def problem(answered: Answered) -> Problem:
    """The error an answer carries; empty words where its body is no error of Business Central's."""
    body: Any = answered.body
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message", ""))
    found = _CORRELATION.search(message)
    return Problem(
        status=answered.status,
        code=str(error.get("code", ""))[:_LONGEST_CODE],
        message=_CORRELATION.sub("", message).strip(),
        correlation=found.group(1) if found else "",
    )


def is_node_limit(answered: Answered) -> bool:
    """Whether a `$filter` had too many terms (contract section 3)."""
    return answered.status == 400 and bool(_NODE_LIMIT.search(problem(answered).message))  # noqa: PLR2004


def read_failure(outcome: Outcome, *, company: str) -> OrderSyncError:
    """What a read that did not succeed means; nothing was changed by it."""
    match outcome:
        case NotSent(error=error):
            return error
        case Lost(reason=reason):
            return Retry(f"Business Central gave no answer ({reason}).")
        case Answered():
            return _access_failure(outcome, company=company) or _other_read_failure(outcome)


def write_failure(outcome: Outcome, *, subject: str, company: str) -> OrderSyncError:
    """What a write that did not succeed means. `subject` is what was to be written, as in "the order"."""
    match outcome:
        case NotSent(error=error):
            return error
        case Lost(reason=reason):
            return Unknown(f"Business Central gave no answer when {subject} was written ({reason}).")
        case Answered():
            return _access_failure(outcome, company=company) or _other_write_failure(outcome, subject)


def _access_failure(answered: Answered, *, company: str) -> OrderSyncError | None:
    """Failures that would meet every request alike."""
    found = problem(answered)
    if answered.status == 404 and _is_company(found):  # noqa: PLR2004
        return Misconfigured(
            f"Business Central knows no company {company} at this address; check --url and --company. {found.text}",
            mend=("url", "company"),
        )
    if "CompanyNotFound" in found.code:
        return Misconfigured(f"Business Central knows no company {company}. {found.text}", mend=("company",))
    if answered.status in _OURS:
        # An environment that is being updated refuses the sign-in (contract section 5, "Windows").
        if "under maintenance" in found.message.lower():
            return Retry(f"Business Central is under maintenance. {found.text}", after=answered.retry_after)
        return Misconfigured(f"Business Central refuses access ({answered.status}): {found.text}")
    return None


def _is_company(found: Problem) -> bool:
    """A 404 of a collection is about the address; that of a named record is about the data sent."""
    return (
        found.code in {"", "BadRequest_ResourceNotFound", "BadRequest_NotFound"}
        or "company" in found.message.lower()
    )


def _other_read_failure(answered: Answered) -> OrderSyncError:
    found = problem(answered)
    if answered.status in {400, 404}:
        return Misconfigured(f"Business Central does not take this question: {found.text}")
    if 200 <= answered.status < 300:  # noqa: PLR2004 - the 2xx family
        return Retry("Business Central sent an answer that cannot be read.")
    return Retry(f"Business Central answered {answered.status}: {found.text}", after=answered.retry_after)


def _other_write_failure(answered: Answered, subject: str) -> OrderSyncError:
    found = problem(answered)
    if answered.status in _PASSING:
        return Retry(
            f"Business Central was busy with something else when {subject} was written: {found.text}",
            after=answered.retry_after,
        )
    # A throttled write counts as unclear too: the gateway may answer 429 for work that has begun (contract section 4).
    if answered.status in {408, 429} or not 400 <= answered.status < 500:  # noqa: PLR2004
        return Unknown(
            f"Business Central answered {answered.status} when {subject} was written; it may have been done. {found.text}"
        )
    kind = "bad_sku" if _BAD_SKU.search(found.message) else "erp_refusal"
    return Reject(f"Business Central refuses {subject}: {found.text}", kind=kind)
