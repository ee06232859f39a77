"""A sales channel in memory, with a small order format of its own. It keeps the promises of the port's contract suite."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.balance import Unbalanced, balanced
from app.domain.codes import COUNTRIES, CURRENCY_EXPONENTS
from app.domain.money import amount, smallest_unit
from app.domain.order import Address, Line, LineType, Order, Payment, numbered
from app.domain.reading import Position
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.examination import Examination
from app.ports.figures import told_worth
from app.ports.sales_channel import Figure, Gone, Listed, Makes, Page, Probe, Seen
from app.ports.survey import Finding, Survey

START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
_ADDRESS = {
    "first_name": "John",
    "last_name": "Doe",
    "address1": "123 Main St",
    "city": "Los Angeles",
    "state": "CA",
    "postcode": "90012",
    "country": "US",
    "email": "john@example.test",
}


def fake_body(
    *,
    order_id: str = "12345",
    status: str = "processing",
    lines: Sequence[tuple[str | None, int, str]] = (("COMP-A", 1, "12.00"),),
    shipping: str = "0.00",
    tax: str = "0.00",
    store_credit: str = "0.00",
    total: str | None = None,
    currency: str = "USD",
    country: str = "US",
    email: str = "john@example.test",
    note: str = "",
    at: datetime = START,
) -> dict[str, Any]:
    """An order as the fake shows it; `lines` are SKU, quantity and amount of the line. The total is right unless given."""
    due = (
        sum(Decimal(each) for _, _, each in lines) + Decimal(shipping) + Decimal(tax) - Decimal(store_credit)
    )
    return {
        "id": order_id,
        "status": status,
        "created": at.isoformat(),
        "modified": at.isoformat(),
        "currency": currency,
        "address": {**_ADDRESS, "country": country, "email": email},
        "lines": [{"sku": sku, "quantity": quantity, "amount": each} for sku, quantity, each in lines],
        "shipping": shipping,
        "tax": tax,
        "store_credit": store_credit,
        "total": str(due) if total is None else total,
        "note": note,
        "marked": False,
    }


class FakeSalesChannel:
    """Implements `SalesChannel` over a dict. `failures` are met by the calls to come, first come first served."""

    def __init__(self, *, statuses: Sequence[str] = ("processing",)) -> None:
        self.now = START
        self.statuses = tuple(statuses)
        self.orders: dict[str, dict[str, Any]] = {}
        self.failures: list[str] = []
        self.acknowledged: list[str] = []

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def put(self, body: Mapping[str, Any]) -> str:
        """Put an order in, or in place of the one with its id, as it is."""
        self.orders[body["id"]] = dict(body)
        return str(body["id"])

    def add_order(self) -> str:
        """A valid order of now."""
        return self.put(fake_body(order_id=str(1 + max(map(int, self.orders), default=100)), at=self.now))

    def change(self, order_id: str, **values: object) -> None:
        """Change parts of an order; its modified time is now."""
        self.orders[order_id] |= {**values, "modified": self.now.isoformat()}

    def edit(self, order_id: str) -> None:
        """Change what the order says."""
        self.change(order_id, note=f"{self.orders[order_id]['note']} edited")

    def mark_elsewhere(self, order_id: str) -> None:
        """Put the mark on by other hands."""
        self.change(order_id, marked=True)

    def cancel(self, order_id: str) -> None:
        """Move it to a status that is not read."""
        self.change(order_id, status="cancelled")

    def trash(self, order_id: str) -> None:
        """Take it away so that it could be brought back."""
        self.change(order_id, status="trash")

    def delete(self, order_id: str) -> None:
        """Take it away for good."""
        del self.orders[order_id]

    def fail_next(self, failure: str, *, writing: bool = False) -> None:
        """Let the next call meet a failure; a call of the fake's never is more than one."""
        del writing
        self.failures.append(failure)

    def body_with(self, fault: str) -> str:
        """A body that is right but for one thing."""
        faults: dict[str, dict[str, Any]] = {
            "no_lines": {"lines": [], "total": "0.00"},
            "unknown_currency": {"currency": "ZZZ"},
            "no_address": {"address": {}},
            "unbalanced": {"total": "99.00"},
        }
        return json.dumps({**fake_body(), **faults[fault]})

    def changed(self, position: Position, *, page_size: int) -> Page:
        """See the port."""
        self._meet()
        since = None if position.since is None else position.since.replace(microsecond=0)
        listed = sorted(
            (
                row
                for row in map(self._seen, self.orders)
                if row.eligible and (since is None or _time_of(row) >= since)
            ),
            key=lambda row: (_time_of(row), int(row.platform_order_id)),
        )
        begin = (position.page - 1) * page_size
        rows = tuple(listed[begin : begin + page_size])
        return Page(rows=rows, more=len(listed) > begin + page_size, answered_at=self.now)

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        """See the port."""
        if platform_order_ids:
            self._meet()
        return {each: self._seen(each) if each in self.orders else Gone() for each in platform_order_ids}

    def acknowledge(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        """See the port."""
        if not platform_order_ids:
            return {}
        lost = self._meet(writing=True)
        for each in platform_order_ids:
            if each in self.orders:
                self.change(each, marked=True)
                self.acknowledged.append(each)
        if lost:
            raise Unknown("The fake did not answer.")
        return {
            each: self._seen(each) if each in self.orders else Reject("There is no such order.", kind="gone")
            for each in platform_order_ids
        }

    def complete(self, bodies: Sequence[str]) -> Sequence[str | OrderSyncError]:
        """See the port."""
        return bodies

    def normalize(self, body: str, *, prefix: str) -> Order:
        """See the port."""
        try:
            given = json.loads(body)
            return _order(given, prefix=prefix)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise Reject(f"The body is no order of the fake's ({type(error).__name__}).", field="/") from None

    def worth(self, body: str) -> tuple[Decimal, str] | None:
        """See the port."""
        try:
            return told_worth(json.loads(body), total="total", currency="currency")
        except ValueError:
            return None

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        """See the port."""
        order, given = self.normalize(body, prefix=prefix), json.loads(body)
        pointers = {
            LineType.SHIPPING: "/shipping",
            LineType.TAX: "/tax",
            LineType.STORE_CREDIT: "/store_credit",
        }
        found = [Figure(None, Makes.TOTAL, "total", "/total", given["total"], order.total)]
        for line in order.lines:
            if line.type is LineType.ROUNDING:
                found.append(Figure(line.position, Makes.AMOUNT, "rounding", "", "", line.amount))
                continue
            at = line.position - 1
            is_product = line.type is LineType.PRODUCT
            pointer = f"/lines/{at}/amount" if is_product else pointers[line.type]
            text = given["lines"][at]["amount"] if is_product else given[pointer[1:]]
            makes = Makes.NOMINAL if line.type is LineType.STORE_CREDIT else Makes.AMOUNT
            found.append(Figure(line.position, makes, line.name, pointer, text, getattr(line, makes)))
        return tuple(found)

    def probe(self) -> Probe:
        """See the port."""
        self._meet()
        return Probe(orders=len(self.orders), answered_at=self.now)

    def examine(self) -> Examination:
        """See the port."""
        self._meet()
        return Examination(f"The fake has {len(self.orders)} orders.", self.now)

    def census(self, *, since: datetime | None, until: datetime) -> Iterator[tuple[Listed, ...]]:
        """See the port."""
        self._meet()
        rows = [self._seen(each) for each in sorted(self.orders, key=int)]
        listed = [
            Listed(
                platform_order_id=row.platform_order_id,
                number=row.platform_order_id,
                status=row.status,
                eligible=row.eligible,
                total=Decimal(self.orders[row.platform_order_id]["total"]),
                created_at=row.created_at,
                modified_at=row.modified_at,
            )
            for row in rows
            if row.created_at is not None
            and row.created_at <= until
            and (since is None or row.created_at >= since)
        ]
        for begin in range(0, len(listed), 100):
            yield tuple(listed[begin : begin + 100])

    def survey(self, *, orders: int) -> Survey:
        """See the port."""
        self._meet()
        return Survey(
            (Finding("Orders", f"The fake has {min(orders, len(self.orders))} orders to look at."),)
        )

    def _meet(self, *, writing: bool = False) -> bool:
        """Meet the next failure; whether the answer to a write is to be lost."""
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "unavailable":
            raise Retry("The fake is not available.", after=1.0)
        if failure == "unauthorized":
            raise Misconfigured("The fake does not know the credentials.")
        if failure and not writing:
            raise Retry("The fake did not answer readably.")
        if failure == "garbage":
            raise Unknown("The fake did not answer readably.")
        return failure == "lost"

    def _seen(self, order_id: str) -> Seen:
        given = self.orders[order_id]
        content = {key: value for key, value in given.items() if key not in ("modified", "marked")}
        return Seen(
            platform_order_id=order_id,
            body=json.dumps(given),
            content_hash=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
            status=given["status"],
            modified_raw=given["modified"],
            modified_at=datetime.fromisoformat(given["modified"]),
            created_at=datetime.fromisoformat(given["created"]),
            gross=sum(
                (Decimal(line["amount"]) for line in given["lines"]),
                Decimal(given["shipping"]) + Decimal(given["tax"]),
            ),
            eligible=given["status"] in self.statuses,
            marked=given["marked"],
        )


def _time_of(row: Seen) -> datetime:
    assert row.modified_at is not None
    return row.modified_at


def _order(given: dict[str, Any], *, prefix: str) -> Order:
    currency = given["currency"]
    if currency not in CURRENCY_EXPONENTS:
        raise Reject(f"The currency {currency!r} is unknown.", field="/currency")
    if not given["lines"]:
        raise Reject("The order has no line items.", field="/lines")
    if given["address"].get("country") not in COUNTRIES:
        raise Reject("The billing address has no known country.", kind="address", field="/address/country")
    address = Address(**given["address"])
    order = Order(
        number=f"{prefix}-{given['id']}",
        platform_order_id=given["id"],
        currency=currency,
        total=amount(given["total"], currency=currency),
        created_at=datetime.fromisoformat(given["created"]),
        created_raw=given["created"],
        bill=address,
        ship=address,
        payment=Payment(
            method="stripe", title="Card", paid_at=datetime.fromisoformat(given["created"]), stripe=True
        ),
        lines=numbered(_lines(given, currency)),
        status=given["status"],
        customer_note=given["note"],
    )
    try:
        return balanced(order, unit=smallest_unit(currency))
    except Unbalanced as unbalanced:
        reason = f"The order does not add up: {unbalanced.sum_text}."
        raise Reject(reason, kind="balance", field="/total") from None


def _lines(given: dict[str, Any], currency: str) -> list[Line]:
    nothing = amount(0, currency=currency)
    lines = [
        Line(
            position=0,
            type=LineType.PRODUCT,
            name=f"Item {line['sku']}",
            sku=line["sku"],
            quantity=Decimal(line["quantity"]),
            amount=amount(line["amount"], currency=currency),
            listed=amount(line["amount"], currency=currency),
            platform_line_id=str(place),
        )
        for place, line in enumerate(given["lines"], start=1)
    ]
    for line_type, name in ((LineType.SHIPPING, "shipping"), (LineType.TAX, "tax")):
        value = amount(given[name], currency=currency)
        if value:
            lines.append(Line(position=0, type=line_type, name=name.title(), amount=value))
    credit = amount(given["store_credit"], currency=currency)
    if credit:
        lines.append(
            Line(position=0, type=LineType.STORE_CREDIT, name="Store credit", amount=nothing, nominal=credit)
        )
    return lines
