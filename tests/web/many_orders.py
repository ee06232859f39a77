"""A month of a large shop: a hundred thousand orders, most of them exported, and ten thousand errors that nobody has looked at."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from app.db.tables import (
    addresses,
    error_orders,
    events,
    inbox,
    lineitems,
    metadata,
    orders,
    runs,
    steps,
    threads,
)
from app.domain import document
from tests.contracts.store import order
from tests.db.many_errors import KINDS

Row = dict[str, Any]

_DAYS = 30
_AT_ONCE = 2_000
_FIRST = ("Ada", "Zoë", "Björn", "María", "Wei", "Olu", "Aoife", "Jan", "Priya", "Tom", "Ingrid", "Sam")
_LAST = ("Smith", "O'Neil", "Müller", "García", "Li", "Okafor", "Byrne", "de Vries", "Patel", "Jones", "Berg")
_CITIES = (("Springfield", "IL", "62701"), ("Los Angeles", "CA", "90012"), ("Austin", "TX", "73301"))
_TEMPLATE = json.loads(document.dump_text(order("1")))


def fill(
    engine: Engine, *, site_id: int, erp_id: int, orders: int, errors: int, now: datetime | None = None
) -> None:
    """Store so many orders of this site, spread over the 30 days before `now`; of so many of them an error is open.

    Of every thousand, 5 are held, 3 in motion, 10 were skipped and 2 closed; all others that have no error are exported. The same
    orders come of each call on an empty database. Their numbers are BGM- and their platform's ids, which count on from what is there.
    """
    moment = datetime.now(UTC) if now is None else now
    chance = random.Random(23)
    with engine.begin() as connection:
        first = _last_id(connection) + 1
        run_id = _run(connection, site_id, moment)
    rejected = set(chance.sample(range(first, first + orders), errors))
    step = timedelta(days=_DAYS) / max(orders, 1)
    for start in range(first, first + orders, _AT_ONCE):
        ids = range(start, min(start + _AT_ONCE, first + orders))
        made = [
            _Made(
                each,
                at=moment - step * (first + orders - each - 0.5),
                state="rejected" if each in rejected else _state(each),
                chance=chance,
            )
            for each in ids
        ]
        with engine.begin() as connection:
            _store(connection, made, site_id=site_id, erp_id=erp_id, run_id=run_id)
    with engine.begin() as connection:
        _continue_ids(connection)
        _analyze(connection)


def _state(each: int) -> str:
    match each % 1000:
        case 100 | 300 | 500 | 700 | 900:
            return "held"
        case 200 | 400 | 600:
            return "active"
        case rest if rest % 100 == 50:
            return "skipped"
        case 333 | 666:
            return "closed"
        case _:
            return "done"


class _Made:
    """One order and everything that is stored of it. Thread, body, order and error have the same id."""

    def __init__(self, number: int, *, at: datetime, state: str, chance: random.Random) -> None:
        self.id = number
        self.at = at
        self.state = state
        self.exported = at + timedelta(seconds=chance.uniform(60, 3_000)) if state == "done" else None
        # Some of the errors are the ERP's: those orders are written.
        self.written = state in {"done", "active"} or (state == "rejected" and number % 4 == 0)
        self.stage = (
            "deliver"
            if self.written
            else {"held": "verify_skus", "rejected": "verify_skus"}.get(state, "normalize")
        )
        self.currency = "EUR" if number % 3 == 0 else "USD"
        self.quantity = chance.randint(1, 5)
        self.price = Decimal(chance.randint(500, 20_000)).scaleb(-2)
        self.shipping = Decimal("4.90")
        self.tax = Decimal(chance.randint(0, 900)).scaleb(-2)
        self.total = self.price * self.quantity + self.shipping + self.tax
        self.kind = chance.choice(KINDS)
        self.sku = f"SKU-{chance.randint(1, 2_000):04}"
        self.who = (chance.choice(_FIRST), chance.choice(_LAST))
        self.where = chance.choice(_CITIES)
        self.name = f"BGM-{number}"
        self.reason = {
            "held": f"The SKU {self.sku} is not known yet.",
            "rejected": f"The SKU {self.sku} does not exist in Business Central.",
            "skipped": "It is a test order: its total is below 1.00.",
            "closed": "It was cancelled on the platform.",
        }.get(state, "")

    def thread(self, site_id: int, run_id: int) -> Row:
        later = self.at + timedelta(days=2)
        return {
            "id": self.id, "site_id": site_id, "platform_order_id": str(self.id), "order_number": self.name,
            "version": 1, "content_hash": f"{self.id:064x}", "modified_at": self.at, "read_at": self.at, "run_id": run_id,
            "stage": self.stage, "state": self.state, "reason": self.reason,
            "hold_kind": "sku" if self.state == "held" else "",
            "waiting_since": self.at if self.state == "held" else None,
            "document": None if self.state in {"skipped", "closed"} else self.document(),
            "next_at": later if self.state in {"held", "active"} else None,
            "created_at": self.at, "updated_at": self.exported or self.at,
        }  # fmt: skip

    def document(self) -> str:
        """What the middleware has made of it so far, with one line that makes up the whole total."""
        line = _TEMPLATE["lines"][0] | {"sku": self.sku, "amount": str(self.total), "listed": str(self.total)}
        who = {"first_name": self.who[0], "last_name": self.who[1], "email": self._email()}
        return json.dumps(
            _TEMPLATE
            | {"number": self.name, "platform_order_id": str(self.id), "currency": self.currency}
            | {"total": str(self.total), "lines": [line], "created_at": self.at.isoformat()}
            | {"bill": _TEMPLATE["bill"] | who, "ship": _TEMPLATE["ship"] | who},
            ensure_ascii=False,
        )

    def body(self, site_id: int) -> Row:
        text = json.dumps(
            {"id": self.id, "number": str(self.id), "total": str(self.total), "status": "processing"}
        )
        return {
            "id": self.id, "site_id": site_id, "platform_order_id": str(self.id), "version": 1,
            "content_hash": f"{self.id:064x}", "status": "processing", "modified_raw": self.at.isoformat(),
            "modified_at": self.at, "read_at": self.at, "body": text,
        }  # fmt: skip

    def steps(self) -> Iterator[Row]:
        for kind in ("acknowledge", "export"):
            state, at = "done", self.exported
            if self.state == "active":
                state, at = "owed", None
            elif self.state == "rejected":
                state, at = ("done", self.at) if kind == "acknowledge" else ("failed", None)
            has_document = kind == "export" and at is not None
            yield {
                "thread_id": self.id, "kind": kind, "state": state, "done_at": at,
                "document_id": f"d{self.id}" if has_document else "",
                "document_number": f"S-ORD{self.id}" if has_document else "",
                "next_at": self.at + timedelta(days=2) if state == "owed" else None,
            }  # fmt: skip

    def order(self, site_id: int, erp_id: int) -> Row:
        first, last = self.who
        city, state, postcode = self.where
        done = self.exported is not None
        return {
            "id": self.id, "thread_id": self.id, "site_id": site_id, "erp_id": erp_id, "order_number": self.name,
            "external_number": self.name, "platform_order_id": str(self.id), "version": 1, "order_date": self.at,
            "order_date_raw": self.at.isoformat(), "status": "processing", "currency": self.currency,
            "subtotal": self.price * self.quantity, "shipping_total": self.shipping, "tax_total": self.tax,
            "discount_total": Decimal(0), "store_credit": Decimal(0), "total": self.total,
            "bill_first_name": first, "bill_last_name": last, "bill_email": self._email(),
            "ship_first_name": first, "ship_last_name": last, "ship_address1": f"{self.id} Main Street",
            "ship_city": city, "ship_state": state, "ship_postcode": postcode, "ship_country": "US",
            "payment_method": "stripe", "payment_title": "Card", "trans_id": f"ch_{self.id}", "paid_at": self.at,
            "klarna": False, "stripe": True, "paypal": False, "customer_note": "", "imported": int(done),
            "acknowledged_at": None if self.state == "active" else self.exported or self.at,
            "exported_at": self.exported, "erp_document_id": f"d{self.id}" if done else "",
            "erp_document_number": f"S-ORD{self.id}" if done else "", "erp_total": self.total if done else None,
            "created_at": self.at, "updated_at": self.exported or self.at,
        }  # fmt: skip

    def _email(self) -> str:
        return f"buyer{self.id % 40_000}@example.test"

    def addresses(self) -> Iterator[Row]:
        first, last = self.who
        city, state, postcode = self.where
        for kind in ("bill", "ship"):
            yield {
                "order_id": self.id, "kind": kind, "first_name": first, "last_name": last,
                "company": "", "address1": f"{self.id} Main Street", "address2": "", "city": city, "state": state,
                "postcode": postcode, "country": "US", "email": self._email(), "phone": "+1 555 0100",
            }  # fmt: skip

    def lines(self) -> Iterator[Row]:
        told: list[tuple[int, str | None, str, int, Decimal]] = [
            (1, self.sku, f"A thing called {self.sku}", self.quantity, self.price * self.quantity),
            (3, None, "Parcel", 1, self.shipping),
            (4, None, "Tax", 1, self.tax),
        ]
        for place, (kind, sku, name, quantity, amount) in enumerate(told if self.tax else told[:2]):
            yield {
                "order_id": self.id, "position": place + 1, "line_type": kind, "sku": sku,
                "name": name, "quantity": Decimal(quantity), "amount": amount, "credit": Decimal(0), "nominal": Decimal(0),
                "tax": Decimal(0), "platform_line_id": str(place), "detail": "", "listed": amount if sku else None,
                "verdict": "passed" if sku else None, "verified_at": self.at if sku else None,
                "imported": int(self.exported is not None),
            }  # fmt: skip

    def events(self) -> Iterator[Row]:
        last = {
            "done": ("export", "exported"),
            "rejected": (self.stage, "rejected"),
            "held": (self.stage, "held"),
        }
        told = [
            ("fetch", "fetched", self.at),
            (*last.get(self.state, ("fetch", "passed")), self.exported or self.at),
        ]
        for stage, event, at in told:
            detail = {"document": f"S-ORD{self.id}"} if event == "exported" else {}
            yield {
                "thread_id": self.id, "at": at, "stage": stage, "event": event,
                "by": "worker", "detail": detail,
            }  # fmt: skip

    def error(self, site_id: int) -> Row:
        return {
            "id": self.id, "thread_id": self.id, "site_id": site_id, "order_number": self.name,
            "platform_order_id": str(self.id), "stage": "export" if self.written else self.stage, "kind": self.kind,
            "reason": self.reason, "document": self.document(), "value": self.total,
            "currency": self.currency, "attempts": self.id % 5, "opened_at": self.at,
            "open_key": f"{self.id}:{'export' if self.written else self.stage}",
        }  # fmt: skip


def _store(connection: Connection, made: Sequence[_Made], *, site_id: int, erp_id: int, run_id: int) -> None:
    written = [each for each in made if each.written]
    for table, rows in (
        (threads, [each.thread(site_id, run_id) for each in made]),
        (inbox, [each.body(site_id) for each in made]),
        (orders, [each.order(site_id, erp_id) for each in written]),
        (addresses, [row for each in written for row in each.addresses()]),
        (lineitems, [row for each in written for row in each.lines()]),
        (steps, [row for each in written for row in each.steps()]),
        (events, [row for each in made for row in each.events()]),
        (error_orders, [each.error(site_id) for each in made if each.state == "rejected"]),
    ):
        if rows:
            connection.execute(insert(table), rows)


def _last_id(connection: Connection) -> int:
    """The highest id that any of the tables has whose ids are given here."""
    tables = (threads, inbox, orders, error_orders)
    found = (connection.execute(select(func.max(each.c.id))).scalar_one() for each in tables)
    return max(each or 0 for each in found)


def _run(connection: Connection, site_id: int, now: datetime) -> int:
    """All orders came with one run, which is over."""
    row = {"kind": "orders", "state": "finished", "counts": {}, "started_at": now, "read_at": now}
    made = connection.execute(insert(runs).values(site_id=site_id, finished_at=now, **row))
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def _continue_ids(connection: Connection) -> None:
    """Rows were inserted with their ids: PostgreSQL is to count on from them. The others do so by themselves."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
        last = f"SELECT setval({sequence}, max(id)) FROM {table.name} HAVING max(id) > 0"
        if "id" in table.c and table.c.id.autoincrement:
            connection.exec_driver_sql(last)


def _analyze(connection: Connection) -> None:
    """Servers look at their tables again by themselves, but not at once."""
    names = [
        each.name for each in (threads, inbox, orders, addresses, lineitems, steps, events, error_orders)
    ]
    match connection.dialect.name:
        case "postgresql" | "sqlite":
            for name in names:
                connection.exec_driver_sql(f"ANALYZE {name}")
        case _:
            connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(names)}")
