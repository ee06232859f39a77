"""What is unavoidable: parsing the same JSON, inserting the same rows, and the sandboxes' own time for the same answers."""

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from app.db.tables import metadata
from tests.bench.naive import order_body
from tests.bench.peers import Peer
from tests.bench.processes import CpuMeter
from tests.bench.wire import Wire, condition
from tests.bench.world import World, now

_BATCH = 100
_INSERTS_AT_ONCE = 50
_NUMBERS_AT_ONCE = 15
_TABLES = ("rm_order", "rm_address", "rm_lineitems")


def measure_bounds(world: World, *, orders: int) -> dict[str, dict[str, float]]:
    """Orders per second of each; of the sandboxes also their CPU seconds. Uses orders that were written before."""
    with world.shop(orders=orders, buyers="bounds") as shop:
        wire = Wire(shop=shop, erp=world.erp)
        bodies: list[bytes] = []

        def read() -> None:
            bodies.extend(answer.content for answer in wire.pages(decimals=8))

        found = {"shop: list pages": _at_sandbox(shop, orders, read)}
        read_orders = [order for body in bodies for order in json.loads(body)]
        found |= {
            "shop: marks, 100 in a call": _at_sandbox(shop, orders, lambda: _mark(wire, read_orders)),
            "ERP: document look-ups, 100 in a call": _at_sandbox(
                world.erp, orders, lambda: _look_up(wire, read_orders)
            ),
            "ERP: inserts and reading back, 50 in a call": _at_sandbox(
                world.erp, orders, lambda: _insert(wire, read_orders)
            ),
            "parsing the list's JSON": _timed(orders, lambda: _parse(bodies)),
        }
        wire.close()
    rows, count = _rows(world.program.engine)
    found["inserting the rows"] = _timed(count, lambda: _write(world.program.engine, rows))
    return found


def _timed(orders: int, work: Callable[[], None]) -> dict[str, float]:
    started = now()
    work()
    spent = now() - started
    return {"orders_per_s": round(orders / spent, 1), "wall_seconds": round(spent, 4)}


def _at_sandbox(peer: Peer, orders: int, work: Callable[[], None]) -> dict[str, float]:
    meter = CpuMeter({"sandbox": peer.pid})
    found = _timed(orders, work)
    return found | {"sandbox_cpu_seconds": meter.seconds()["sandbox"]}


def _parse(bodies: Sequence[bytes]) -> None:
    for body in bodies:
        json.loads(body, parse_float=Decimal)


def _slices(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _mark(wire: Wire, orders: Sequence[dict[str, Any]]) -> None:
    for some in _slices(orders, _BATCH):
        mark = {"meta_data": [{"key": "_mw_exported", "value": "1"}]}
        body = {"update": [{"id": order["id"], **mark} for order in some]}
        wire.call(wire.shop, "POST", f"{wire.orders}/batch", json=body)


def _look_up(wire: Wire, orders: Sequence[dict[str, Any]]) -> None:
    for some in _slices([f"BOUND-{order['number']}" for order in orders], _BATCH):
        wire.batch(
            [
                ("GET", _documents(entity, numbers), None)
                for entity in ("salesOrders", "salesInvoices")
                for numbers in _slices(some, _NUMBERS_AT_ONCE)
            ]
        )


def _insert(wire: Wire, orders: Sequence[dict[str, Any]]) -> None:
    for some in _slices(orders, _INSERTS_AT_ONCE):
        operations: list[tuple[str, str, Any]] = []
        for order in some:
            number = f"BOUND-{order['number']}"
            body = order_body(order, number=number, customer="WEB-CASH")
            operations += [("POST", "salesOrders", body), ("GET", _documents("salesOrders", [number]), None)]
        wire.batch(operations)


def _documents(entity: str, numbers: Sequence[str]) -> str:
    any_of_them = " or ".join(f"externalDocumentNumber eq '{number}'" for number in numbers)
    return f"{entity}?{condition(any_of_them)}&$select=id,number,externalDocumentNumber"


def _rows(engine: Engine) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """The rows of all orders there are, taken out of the database, and how many orders that are."""
    with engine.begin() as connection:
        rows = {
            name: [dict(row) for row in connection.execute(select(metadata.tables[name])).mappings()]
            for name in _TABLES
        }
        for name in reversed(_TABLES):
            connection.execute(delete(metadata.tables[name]))
    return rows, len(rows["rm_order"])


def _write(engine: Engine, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Put them back as a batch of the road does: a hundred orders in one transaction."""
    below: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in _TABLES[1:]}
    for name, by_order in below.items():
        for row in rows[name]:
            by_order.setdefault(row["order_id"], []).append(row)
    for some in _slices(rows["rm_order"], _BATCH):
        with engine.begin() as connection:
            connection.execute(insert(metadata.tables["rm_order"]), list(some))
            for name, by_order in below.items():
                theirs = [row for order in some for row in by_order.get(order["id"], ())]
                connection.execute(insert(metadata.tables[name]), theirs)
