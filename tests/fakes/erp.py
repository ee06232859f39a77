"""An ERP in memory, under the same contract as the real one: it can lose replies, commit late, refuse, and lock out."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from app.domain.order import LineType, Order, sku_key
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.erp import (
    Draft,
    ErpCustomer,
    ErpDocument,
    ErpItem,
    Exchange,
    ItemKind,
    Plan,
    PlannedLine,
    Told,
)
from app.ports.examination import Examination
from app.ports.examination import Trouble as Fault
from tests.contracts.erp import Trouble

_TOGETHER = 5
_GOODS = (LineType.PRODUCT, LineType.COMPONENT)
_WORDS = ("kind", "number", "description")
_NUMBERS = ("quantity", "unit_price", "discount", "net")
_WRITTEN = (*_WORDS, *_NUMBERS)


def _sent(row: Mapping[str, str]) -> PlannedLine:
    quantity, unit_price, discount, net = (Decimal(row[name]) for name in _NUMBERS)
    kind, number, description = (row[name] for name in _WORDS)
    return PlannedLine(
        positions=(),
        kind=kind,
        number=number,
        description=description,
        quantity=quantity,
        unit_price=unit_price,
        discount=discount,
        net=net,
    )


class FakeErp:
    """`items`, `customers`, `documents` and `lines` (by document id) are its books; tests may look at and change them.

    `write_troubles` and `read_troubles` meet the next calls, one each. `refusals` gives the reason for which an order
    number is refused. `total_error` is added to every total the ERP computes. `calls` counts calls by method name.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.items: dict[str, ErpItem] = {}
        self.customers: list[ErpCustomer] = []
        self.documents: list[ErpDocument] = []
        self.lines: dict[str, int] = {}
        self.write_troubles: list[Trouble] = []
        self.read_troubles: list[Trouble] = []
        self.refusals: dict[str, Reject] = {}
        self.total_error = Decimal("0.00")
        self.locked_out = False
        self.calls: dict[str, int] = {}
        self._clock = clock
        self._late: list[Callable[[], object]] = []

    def add_item(
        self, number: str, *, name: str = "", blocked: bool = False, kind: ItemKind = ItemKind.INVENTORY
    ) -> None:
        key = sku_key(number)
        self.items[key] = ErpItem(
            number=key, name=name, blocked=blocked, kind=kind, modified_at=self._clock()
        )

    def add_customer(self, *, email: str, name: str = "Somebody", blocked: str = "") -> str:
        number = f"C{len(self.customers) + 1:05}"
        self.customers.append(ErpCustomer(number=number, name=name, email=email, blocked=blocked))
        return number

    def commit_late_writes(self) -> None:
        """What was answered with a timeout is now carried out."""
        late, self._late = self._late, []
        for write in late:
            write()

    @property
    def slice_size(self) -> int:
        return _TOGETHER

    def find_items(self, numbers: Sequence[str]) -> Mapping[str, ErpItem]:
        self._reading("find_items")
        return {key: self.items[key] for key in map(sku_key, numbers) if key in self.items}

    def changed_items(self, since: datetime | None) -> Iterator[tuple[ErpItem, ...]]:
        self._reading("changed_items")
        changed = tuple(
            each for each in self.items.values() if since is None or (each.modified_at or since) > since
        )
        if changed:
            yield changed

    def find_customers(self, emails: Sequence[str]) -> Mapping[str, tuple[ErpCustomer, ...]]:
        self._reading("find_customers")
        keys = [email.strip().lower() for email in emails]
        return {key: tuple(each for each in self.customers if each.email.lower() == key) for key in keys}

    def create_customer(self, order: Order, *, in_time: Callable[[], bool], told: Told) -> ErpCustomer:
        if not in_time():
            raise Retry("There was no time left to write this; it was not tried.")
        name = order.bill.company or order.bill.name
        request = json.dumps({"name": name, "email": order.bill.email})

        def write() -> ErpCustomer:
            self.add_customer(email=order.bill.email, name=name)
            return self.customers[-1]

        failure = self._writing("create_customer", write)
        if failure is not None:
            if isinstance(failure, Unknown):
                told(order.number.upper(), Exchange("customer", request, ""))
            raise failure
        made = write()
        told(order.number.upper(), Exchange("customer", request, json.dumps({"number": made.number})))
        return made

    def find_documents(self, external_numbers: Sequence[str]) -> Mapping[str, tuple[ErpDocument, ...]]:
        self._reading("find_documents")
        return {number: self._with_number(number) for number in external_numbers}

    def plan(self, draft: Draft) -> Plan:
        """Each line of the order that has an amount or is goods as one line."""
        lines = tuple(
            PlannedLine(
                positions=(line.position,),
                kind="item" if line.sku else "account",
                number=sku_key(line.sku or line.type.name),
                description=line.name,
                quantity=line.quantity,
                unit_price=line.amount / line.quantity,
                discount=line.credit,
                net=line.amount - line.credit,
            )
            for line in draft.order.lines
            if line.type in _GOODS or line.amount != line.credit
        )
        for line in draft.order.of_type(*_GOODS):
            if not line.sku:
                raise Reject(f"The line {line.name!r} has no SKU.", kind="bad_sku")
        written = [{name: str(getattr(line, name)) for name in _WRITTEN} for line in lines]
        request = {"number": draft.external_number, "customer": draft.customer_number, "lines": written}
        return Plan(lines=lines, request=json.dumps(request))

    def sent_lines(self, request: str, *, currency: str) -> tuple[PlannedLine, ...]:
        try:
            return tuple(_sent(each) for each in json.loads(request)["lines"])
        except (LookupError, TypeError, ValueError):
            raise Reject("The stored request cannot be read.") from None

    def create_documents(
        self, drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told
    ) -> Mapping[str, ErpDocument | OrderSyncError]:
        """Five drafts share a request. Trouble meets the first; where that is lost, the drafts behind it are not tried."""
        results: dict[str, ErpDocument | OrderSyncError] = {}
        sendable = [each for each in drafts if self._is_planned(each, results)]
        first, waiting = sendable[:_TOGETHER], list(sendable)
        is_first = True
        while waiting and in_time():
            group, waiting = waiting[:_TOGETHER], waiting[_TOGETHER:]
            if is_first:
                is_first = False
                failure = self._writing("create_documents", lambda: [self._write(each) for each in first])
                if isinstance(failure, Misconfigured):
                    raise failure
                if failure is not None:
                    for each in group:
                        results[each.external_number] = type(failure)(failure.reason)
                        if isinstance(failure, Unknown):
                            told(each.external_number, Exchange("order", self.plan(each).request, ""))
                    break
            for each in group:
                results[each.external_number] = made = self._write(each)
                answer = made.reason if isinstance(made, OrderSyncError) else made.number
                told(each.external_number, Exchange("order", self.plan(each).request, json.dumps(answer)))
        return results | {each.external_number: Retry("It was not tried.") for each in waiting}

    def _is_planned(self, draft: Draft, results: dict[str, ErpDocument | OrderSyncError]) -> bool:
        try:
            self.plan(draft)
        except Reject as refused:
            results[draft.external_number] = refused
            return False
        return True

    def examine(self, *, customer: str) -> Examination:
        self._reading("examine")
        found = [each for each in self.customers if each.number == customer]
        fault = Fault(f"The default customer {customer} is missing or blocked.", ("set default_customer",))
        is_right = not customer or any(not each.blocked for each in found)
        return Examination("The fake answers.", self._clock(), () if is_right else (fault,))

    def _write(self, draft: Draft) -> ErpDocument | OrderSyncError:
        number = draft.external_number.upper()
        for line in draft.order.of_type(LineType.PRODUCT, LineType.COMPONENT):
            item = self.items.get(sku_key(line.sku or ""))
            if item is None or item.blocked:
                return Reject(f"The item {line.sku} cannot be sold.", kind="bad_sku")
        if number in self.refusals:
            return self.refusals[number]
        self.add_document(
            number, customer=draft.customer_number, total=draft.order.total, currency=draft.order.currency
        )
        self.lines[self.documents[-1].id] = len(draft.order.lines)
        if len(self._with_number(number)) > 1:
            return Unknown("There is more than one document with this number.")
        return self.documents[-1]

    def add_document(
        self,
        external_number: str,
        *,
        customer: str = "C00001",
        total: Decimal = Decimal("30.00"),
        currency: str = "USD",
    ) -> None:
        """One more document, whoever wrote it."""
        serial = len(self.documents) + 1
        self.documents.append(
            ErpDocument(
                id=f"id-{serial}",
                number=f"S-ORD{serial}",
                external_number=external_number.upper(),
                customer_number=customer,
                total=total + self.total_error,
                currency=currency,
            )
        )

    def post_document(self, external_number: str) -> None:
        """The document becomes an invoice."""
        key = external_number.upper()
        self.documents = [
            replace(each, posted=True) if each.external_number == key else each for each in self.documents
        ]

    def _with_number(self, number: str) -> tuple[ErpDocument, ...]:
        return tuple(each for each in self.documents if each.external_number == number.upper())

    def _reading(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        if self.locked_out:
            raise Misconfigured("The ERP refuses the client.")
        if self.read_troubles:
            raise Retry(f"The read failed: {self.read_troubles.pop(0)}.")

    def _writing(self, method: str, write: Callable[[], object]) -> OrderSyncError | None:
        """What becomes of a write that meets trouble; None where it goes through."""
        self.calls[method] = self.calls.get(method, 0) + 1
        if self.locked_out:
            return Misconfigured("The ERP refuses the client.")
        if not self.write_troubles:
            return None
        trouble = self.write_troubles.pop(0)
        if trouble is Trouble.REFUSED_CONNECTION:
            return Retry("No connection to the ERP.")
        if trouble is Trouble.LOST_REPLY:
            write()
        elif trouble is Trouble.LATE:
            self._late.append(write)
        return Unknown(f"The write failed: {trouble}.")
