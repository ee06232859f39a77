"""What was sent and what came back, as text that can be kept: bodies alone, so that no credentials are among it."""

from collections.abc import Mapping
from typing import Any

from app.connectors.business_central.client import Answered, NotSent, Outcome
from app.ports.erp import Exchange
from app.transport import json_as_read, json_text

LONGEST_BODY = 50_000
"""Characters kept of one body. An order's answer has about three thousand; a page of a proxy in between may have any number."""


def exchange(
    what: str, body: Mapping[str, Any], *, posted: Outcome, read: Outcome | None = None
) -> Exchange | None:
    """The write of `body` and its answer, with that to reading it back; None where it certainly was not even sent."""
    answer, read_back = _answered(posted), None if read is None or read is posted else _answered(read)
    if isinstance(posted, NotSent) and answer is None:
        return None
    return Exchange(what, json_text(body), _answer_text(answer, read_back))


def unanswered(what: str, body: Mapping[str, Any]) -> Exchange:
    """The write of `body`, which may have been sent when the work was stopped from outside."""
    return Exchange(what, json_text(body), "")


def _answered(outcome: Outcome) -> Answered | None:
    return (
        outcome.answered
        if isinstance(outcome, NotSent)
        else outcome
        if isinstance(outcome, Answered)
        else None
    )


def _answer_text(answer: Answered | None, read_back: Answered | None) -> str:
    if answer is None and read_back is None:
        return ""
    parts = {
        "status": "null" if answer is None else str(answer.status),
        "body": "null" if answer is None else _body_text(answer.body),
        "read_back": "null" if read_back is None else _body_text(read_back.body),
    }
    return f"{{{', '.join(f'{json_text(name)}: {text}' for name, text in parts.items())}}}"


def _body_text(body: Any) -> str:
    """The body as JSON; one that is too long, as the text of its beginning."""
    try:
        text = json_as_read(body)
    except RecursionError:
        return json_text("(nested too deeply to be kept)")
    return text if len(text) <= LONGEST_BODY else json_text(f"{text[:LONGEST_BODY]}… (cut)")
