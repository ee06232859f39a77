"""Questions: many keys in few requests, paged to the end, read again in halves where a filter is too long."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from app.connectors.business_central.client import Answered, Lost, NotSent, Outcome
from app.connectors.business_central.failures import is_node_limit, read_failure
from app.connectors.business_central.operations import MAX_OPERATIONS, Operation, Operations
from app.errors import Retry

CHUNK = 15
"""Terms joined by `or` in one filter. 20 reach the limit of 100 nodes, older services count more (contract section 3)."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Question:
    """The rows of `entity` in which `field` (a property, perhaps folded) equals one of `values`."""

    entity: str
    field: str
    values: tuple[str, ...]
    select: tuple[str, ...]
    replica: bool = False

    @property
    def operation(self) -> Operation:
        """The GET that asks it: quotes doubled, everything percent-encoded, blanks as %20."""
        terms = " or ".join(f"{self.field} eq {literal(value)}" for value in self.values)
        return Operation(
            "GET",
            f"{self.entity}?$filter={encoded(terms)}&$select={','.join(self.select)}",
            replica=self.replica,
        )


def literal(text: str) -> str:
    """A text as an OData literal."""
    return "'" + text.replace("'", "''") + "'"


def encoded(text: str) -> str:
    """A query option's value as a strict server takes it."""
    return quote(text, safe="")


class Reader:
    """Asks questions. Raises `Retry` or `Misconfigured`."""

    def __init__(self, *, operations: Operations) -> None:
        self._operations = operations
        self._chunk = CHUNK

    def rows(self, questions: Sequence[Question]) -> Iterator[tuple[str, Any]]:
        """Every row that answers, with the entity it came from; all questions of up to 100 chunks in one call."""
        pending = [part for question in questions for part in self._parts(question)]
        while pending:
            asked, pending = pending[:MAX_OPERATIONS], pending[MAX_OPERATIONS:]
            again: list[Question] = []
            outcomes = self._operations.run([question.operation for question in asked])
            for question, outcome in zip(asked, outcomes, strict=True):
                if isinstance(outcome, Answered) and is_node_limit(outcome) and len(question.values) > 1:
                    again.extend(self._halves(question))
                elif again and _may_be_asked_again(outcome):
                    # A service that stops at the first failure never looked at the questions behind the long one.
                    again.append(question)
                else:
                    for page in self.pages(outcome, replica=question.replica):
                        yield from ((question.entity, row) for row in page)
            pending = again + pending

    def pages(
        self, first: Outcome, *, replica: bool, headers: Mapping[str, str] | None = None
    ) -> Iterator[list[Any]]:
        """The page in `first` and all that follow it."""
        outcome = first
        followed: set[str] = set()
        while True:
            if not isinstance(outcome, Answered) or outcome.status != _OK:
                raise read_failure(outcome, company=self._operations.company)
            page, link = _page(outcome.body)
            yield page
            if not link:
                return
            if link in followed:
                raise Retry("Business Central's next page is one that it gave before.")
            followed.add(link)
            outcome = self._operations.follow(link, replica=replica, headers=headers)

    def _parts(self, question: Question) -> Iterator[Question]:
        for at in range(0, len(question.values), self._chunk):
            yield replace(question, values=question.values[at : at + self._chunk])

    def _halves(self, question: Question) -> Iterable[Question]:
        middle = (len(question.values) + 1) // 2
        self._chunk = min(self._chunk, middle)
        return (
            replace(question, values=question.values[:middle]),
            replace(question, values=question.values[middle:]),
        )


def _may_be_asked_again(outcome: Outcome) -> bool:
    return isinstance(outcome, Lost) or (isinstance(outcome, NotSent) and isinstance(outcome.error, Retry))


def _page(body: Any) -> tuple[list[Any], str]:
    rows = body.get("value") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise Retry("Business Central sent a page that cannot be read.")
    return rows, str(body.get("@odata.nextLink") or "")
