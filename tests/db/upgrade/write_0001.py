"""Wrote `0001.sql` once: a database of revision 0001 with orders in every state, as the program of that revision left it.

It was run at that revision, by `python -m tests.db.upgrade.write_0001`, with the sandbox shop and ERP, on a Sunday evening at
the moment at which every process died. A later program has another schema, so it is not run again: its tables are what it
knows, and what it wrote is what a customer's database holds. It stands here to show how each row came to be.
"""

import base64
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean

from app.bootstrap import pipeline
from app.db.tables import metadata
from app.domain.road import Link, Owed, Stage
from app.ports.store import Bell
from app.sandbox.erp.records import put
from app.sandbox.shop import MARK_KEY
from app.sync.configure import Asked, add_site
from app.sync.sweep import close_runs
from tests.fixtures.databases import SqliteDatabases
from tests.pipeline.world import TIGHT, Json, World, kit_order, opened_world, plain_order

WINDOW = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
KEY = base64.urlsafe_b64encode(b"the key of a database of old____").decode()
DEAD = "00000000-dead-4000-8000-000000000000"
"""The token of a process that died with its lease."""


def _named(order_id: int, sku: str) -> Json:
    body = plain_order(order_id)
    body["line_items"][0]["sku"] = sku
    return body


def _of_two(world: World, order_id: int) -> Json:
    body = world.shop.order(order_id)
    body["line_items"][0] |= {"quantity": 2, "subtotal": "39.98", "total": "39.98"}
    return body | {"total": "39.98"}


class Writer:
    """A world that is brought into every state there is, one order at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bells: dict[int, Bell] = {}

    def read(self, body: Json) -> None:
        """Place an order and read it, in a batch of its own."""
        self.world.place(body)
        self.bells[body["id"]] = self.world.fetch()[-1]

    def walk(self, order_id: int, *, first: Link = Stage.NORMALIZE, last: Link = Owed.EXPORT) -> None:
        self.world.walk([self.bells[order_id]], first=first, last=last)

    def at(self, body: Json, last: Link) -> None:
        self.read(body)
        self.walk(body["id"], last=last)

    def lease_step(self, kind: Owed, order_id: int, *, intend: bool = False) -> None:
        store, batch_id = self.world.parts.store, self.bells[order_id].batch_id
        (step,) = store.claim_steps(kind, batch_id=batch_id, token=DEAD, lease_seconds=4.0, limit=10)
        if intend:
            assert store.intend([step.step_id], token=DEAD) == (step.step_id,)

    def refuse_the_client(self, order_id: int, *, first: Link = Stage.VERIFY_SKUS) -> None:
        erp = self.world.erp
        right, erp._client = erp._client, (erp._client[0], "another secret")
        erp.revoke_tokens()
        self.walk(order_id, first=first)
        erp._client = right

    def ended(self) -> None:
        self.at(plain_order(100), Owed.EXPORT)
        self.at(kit_order(101), Owed.EXPORT)
        self.at(plain_order(102), Owed.EXPORT)
        self.world.place(_of_two(self.world, 102))
        marked = plain_order(103)
        marked["meta_data"] = [{"id": 1, "key": MARK_KEY, "value": "1"}]
        self.world.place(marked)
        self.world.fetch()
        self.at(plain_order(104, currency="ZZZ"), Owed.EXPORT)
        self.at(_named(105, "NO-SUCH-SKU"), Owed.EXPORT)
        self.at(_named(106, "SALESBLK-1"), Owed.EXPORT)
        self.at(plain_order(107), Stage.WRITE)
        self.world.shop.update(107, {"status": "cancelled"})
        self.walk(107, first=Owed.ACKNOWLEDGE)

    def active(self) -> None:
        self.read(plain_order(110))
        self.at(plain_order(111), Stage.NORMALIZE)
        self.at(kit_order(112), Stage.VERIFY_SKUS)
        self.at(plain_order(113), Stage.EXPAND_KITS)
        self.at(plain_order(114), Stage.APPLY_STORE_CREDIT)
        self.at(kit_order(115), Stage.WRITE)
        self.at(plain_order(116), Owed.ACKNOWLEDGE)

    def leased(self) -> None:
        self.at(plain_order(117), Stage.NORMALIZE)
        store = self.world.parts.store
        batch_id = self.bells[117].batch_id
        assert store.claim(Stage.VERIFY_SKUS, batch_id=batch_id, token=DEAD, lease_seconds=4.0)
        self.at(plain_order(118), Stage.WRITE)
        self.lease_step(Owed.ACKNOWLEDGE, 118)
        self.at(plain_order(119), Owed.ACKNOWLEDGE)
        self.lease_step(Owed.EXPORT, 119)

    def sent(self) -> None:
        for order_id in (120, 121):
            self.at(plain_order(order_id), Owed.ACKNOWLEDGE)
            self.lease_step(Owed.EXPORT, order_id, intend=True)
        for order_id, fault in ((122, "reset"), (123, "reset_after"), (124, "reset")):
            self.at(plain_order(order_id), Owed.ACKNOWLEDGE)
            self.world.erp.faults.order({"kind": fault, "match": {"operation": r"salesOrders$"}})
            self.walk(order_id, first=Owed.EXPORT)
        self.world.place(_of_two(self.world, 124))
        self.world.fetch()

    def waiting(self) -> None:
        self.at(plain_order(125), Stage.WRITE)
        self.world.shop_fault("502_php_down", method="POST", path=r"/orders/batch", times=1)
        self.walk(125, first=Owed.ACKNOWLEDGE)
        self.at(plain_order(126), Owed.ACKNOWLEDGE)
        self.world.erp.faults.order({"kind": "503"})
        self.walk(126, first=Owed.EXPORT)
        self.world.clear_faults()

    def held(self) -> None:
        """The reading of a site makes its waiting orders due, so each of these is made to wait again after the last one."""
        self.at(plain_order(130), Owed.ACKNOWLEDGE)
        self.refuse_the_client(130, first=Owed.EXPORT)
        self.read(plain_order(131))
        self.at(plain_order(132), Owed.ACKNOWLEDGE)
        with self.world.erp.lock:
            put(self.world.erp.books, "items", {"number": "BIG-1"})
        self.world.clock.move_to(WINDOW - timedelta(seconds=10))
        self.at(_named(128, "BIG-1"), Owed.EXPORT)
        self.at(plain_order(129), Stage.NORMALIZE)
        self.at(plain_order(127), Stage.NORMALIZE)
        self.world.erp.faults.order({"kind": "503"})
        self.walk(127, first=Stage.VERIFY_SKUS)
        self.world.clear_faults()
        self.walk(128, first=Stage.VERIFY_SKUS)
        self.refuse_the_client(129)
        self.world.clock.move_to(WINDOW + timedelta(seconds=10))
        self.walk(131)
        self.walk(132, first=Owed.EXPORT)

    def paused_site(self) -> None:
        add_site(
            self.world.parts,
            Asked(
                name="eur",
                platform="woocommerce",
                url=self.world.shop_url.replace("127.0.0.1", "localhost"),
                allow_private=True,
                credentials={"key": "ck_sandbox", "secret": "cs_that_is_wrong"},
                settings={"schedule": "30 * * * *", "min_order_date": "2026-01-01"},
            ),
            prefix="EUR",
            erp=None,
        )
        (site,) = (each for each in self.world.parts.store.sites() if each.name == "eur")
        run_id = self.world.parts.store.open_run(kind="orders", site_id=site.id)
        result = pipeline.fetch(self.world.parts, site_id=site.id, run_id=run_id, ring=lambda _bell: None)
        assert result.state == "failed", result

    def write(self) -> None:
        self.paused_site()
        self.ended()
        self.active()
        self.leased()
        self.sent()
        self.waiting()
        self.held()
        close_runs(self.world.parts)
        self.world.parts.store.open_run(kind="orders", site_id=self.world.site_id)


def _literal(value: Any, *, boolean: bool) -> str:
    if value is None:
        return "NULL"
    if boolean:
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    assert ";\n" not in value, "that is where a statement ends"
    return f"'{str(value).replace(chr(39), chr(39) * 2)}'"


def dumped(database: Path) -> list[str]:
    """Plain SQL that every database takes; MariaDB with ANSI_QUOTES and NO_BACKSLASH_ESCAPES."""
    lines = [f"-- {KEY}"]
    with sqlite3.connect(database) as connection:
        for table in metadata.sorted_tables:
            names = [column.name for column in table.columns]
            columns = ", ".join(f'"{name}"' for name in names)
            for row in connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY id"):
                values = ", ".join(
                    _literal(value, boolean=type(table.columns[name].type) is Boolean)
                    for name, value in zip(names, row, strict=True)
                )
                lines.append(f"INSERT INTO {table.name} ({columns}) VALUES ({values});")
    connection.close()
    return lines


def main() -> None:
    """Make the world, bring it into every state, and write what its database holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        databases = SqliteDatabases(folder / "template")
        var = folder / "world"
        var.mkdir()
        (var / "secret.key").write_text(KEY, encoding="ascii")
        with opened_world(
            databases, var, limits=TIGHT, at=WINDOW - timedelta(minutes=10), frozen=True
        ) as world:
            Writer(world).write()
        lines = dumped(var / "ordersync.db")
    Path(__file__).with_name("0001.sql").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
