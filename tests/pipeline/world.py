"""A whole middleware in one process: its database, the sandbox shop and ERP on loopback, and a clock that can be moved."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import requests

from app.bootstrap import (
    OpenPeers,
    Parts,
    Program,
    inline,
    open_program,
    pipeline,
    sync_items,
)
from app.db.store import SqlStore
from app.domain.reading import Cursor
from app.domain.road import LINKS, Link
from app.ports.limiters import Limiters
from app.ports.store import Bell, Run
from app.sandbox.erp import CLIENT_ID, CLIENT_SECRET, COMPANY_ID, SCOPE, TENANT, Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.server import serve
from app.sandbox.shop import Shop, recorded_orders
from app.sandbox.shop import create_app as shop_app
from app.settings import Settings, load_settings
from app.sync.configure import Asked, add_erp, add_site
from app.sync.fetch import FetchResult
from app.sync.items import ItemsResult, import_kits
from app.sync.sweep import close_runs, sweep
from tests.fakes.limiters import an_hour_between_calls
from tests.fixtures.databases import Databases, seen

Json = dict[str, Any]

WEDNESDAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""Far from every maintenance window, so that the tests pass at every hour of the week."""

ROOMY = {"http": "10", "soft": "30", "hard": "31", "lease": "32"}
"""Limits that no task reaches unless a test makes it, also on a slow machine: they are counted in real time."""
TIGHT = {"http": "1", "soft": "3", "hard": "4", "lease": "4.5"}
HANGS = 1.4
"""Limits for tests that let calls run into their timeout, and for how long (s) a peer is silent in them."""

ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}
KIT = ("parent_sku,component_sku,quantity", "KIT-PARENT-123,COMP-A,3", "KIT-PARENT-123,COMP-B,1")
ORDERS_PATH = r"/wp-json/wc/v3/orders"


def limits_for(fault: str) -> Mapping[str, str]:
    """Little time for a call only where a call is to run out of it: elsewhere a busy machine would decide the test."""
    return TIGHT if fault.startswith("timeout") else ROOMY


def audit_key_of(program: Program) -> Callable[[], bytes]:
    """What gives the key of the seals in the program's audit trail."""
    store = program.parts.store
    assert isinstance(store, SqlStore)
    return store.audit_key


def use_limiters(parts: Parts, limiters: Limiters) -> None:
    """Site and ERP are called with these from now on."""
    assert isinstance(parts.peers, OpenPeers)
    parts.peers.limiters = lambda: limiters
    parts.peers._opened.clear()


class Clock:
    """The database's clock of one test. It runs, unless it is frozen, and can be moved forwards."""

    def __init__(self, at: datetime, *, frozen: bool = False) -> None:
        self._at = at
        self._since = None if frozen else time.monotonic()
        self._leapt = 0.0

    def now(self) -> datetime:
        ran = 0.0 if self._since is None else time.monotonic() - self._since
        return self._at + timedelta(seconds=ran)

    def ticks(self) -> float:
        return time.monotonic() + self._leapt

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._leapt += seconds

    def move_to(self, moment: datetime) -> None:
        self.advance((moment - self.now()).total_seconds())


@cache
def _recorded() -> dict[int, Json]:
    return {body["id"]: body for body in recorded_orders()}


def recorded(order_id: int) -> Json:
    """One recorded body, unmarked."""
    return deepcopy(_recorded()[order_id])


def plain_order(order_id: int, *, email: str = "", **changes: Any) -> Json:
    """A paid order of one widget at 19.99, without tax and shipping, that nothing speaks against."""
    body = recorded(159)
    body["meta_data"] = []
    body["line_items"][0] |= {"id": 10_000 + order_id, "meta_data": []}
    body["billing"]["email"] = email or f"buyer{order_id}@example.test"
    return body | {"id": order_id, "number": str(order_id), "order_key": f"wc_order_{order_id}", **changes}


def kit_order(order_id: int, *, email: str = "") -> Json:
    """The recorded order of two kits, with shipping and tax, under another id."""
    body = recorded(152)
    body["billing"]["email"] = email or f"buyer{order_id}@example.test"
    return body | {"id": order_id, "number": str(order_id), "order_key": f"wc_order_{order_id}"}


def _settings(var: Path, limits: Mapping[str, str], database: Mapping[str, str]) -> Settings:
    return load_settings(
        {
            **database,
            "ORDERSYNC_VAR": str(var),
            "ORDERSYNC_ENV_FILE": "/dev/null",
            "ORDERSYNC_HTTP_TIMEOUT": limits["http"],
            "ORDERSYNC_SOFT_TIME_LIMIT": limits["soft"],
            "ORDERSYNC_TIME_LIMIT": limits["hard"],
            "ORDERSYNC_LEASE": limits["lease"],
        }
    )


class World:
    """One middleware with its peers, and what a test does with them."""

    def __init__(
        self, program: Program, clock: Clock, *, shop: Shop, erp: Erp, urls: tuple[str, str]
    ) -> None:
        self.clock = clock
        self.shop = shop
        self.erp = erp
        self.shop_url, self.erp_url = urls
        self.engine = program.engine
        # A peer that failed or asked for a pause in one step of a test is called again in the next.
        use_limiters(program.parts, an_hour_between_calls())
        self.settings = program.settings
        self.parts = replace(
            program.parts,
            store=SqlStore(program.engine, clock=clock.now, audit_key=audit_key_of(program)),
            spread=lambda seconds: seconds / 2,
            ticks=clock.ticks,
        )
        self.road = inline.InlineRoad(self.parts)
        self.site_id = self.erp_id = 0
        self.fetched = FetchResult(run_id=None, state="")
        self.shop_requests_before = 0

    # What is done.

    def configure(self, *, erp_settings: Mapping[str, str], site_settings: Mapping[str, str]) -> None:
        self.erp_id = add_erp(
            self.parts,
            Asked(
                name="bc",
                platform="business_central",
                url=f"{self.erp_url}/api/v2.0",
                allow_private=True,
                credentials={
                    "token_url": f"{self.erp_url}/{TENANT}/oauth2/v2.0/token",
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                },
                settings={
                    "default_customer": "WEB-CASH",
                    "company_currency": "USD",
                    **{f"account.{name}": number for name, number in ACCOUNTS.items()},
                    **erp_settings,
                },
            ),
            company=COMPANY_ID,
        )
        self.site_id = add_site(
            self.parts,
            Asked(
                name="bgm",
                platform="woocommerce",
                url=self.shop_url,
                allow_private=True,
                credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
                settings=site_settings,
            ),
            prefix="BGM",
            erp="bc",
        )
        import_kits(self.parts, lines=KIT)

    def sync_items(self) -> ItemsResult:
        return sync_items(self.parts, erp_id=self.erp_id)

    def fetch(self) -> list[Bell]:
        """Read the site once; what is to be rung is returned instead of run."""
        bells: list[Bell] = []
        run_id = self.parts.store.open_run(kind="orders", site_id=self.site_id)
        self.fetched = pipeline.fetch(self.parts, site_id=self.site_id, run_id=run_id, ring=bells.append)
        return bells

    def walk(self, bells: Sequence[Bell], *, first: Link = LINKS[0], last: Link = LINKS[-1]) -> None:
        """Take these batches over the links from `first` to `last`, once."""
        for link in LINKS[LINKS.index(first) : LINKS.index(last) + 1]:
            for bell in bells:
                inline.STEPS[link](self.parts, batch_id=bell.batch_id)

    def run(self, *, through_holds: bool = False) -> Run:
        """Read the site and go on, leaping over every wait, until nothing is in motion."""
        run_id = self.parts.store.open_run(kind="orders", site_id=self.site_id)
        self.fetched = pipeline.fetch(self.parts, site_id=self.site_id, run_id=run_id, ring=self.road.ring)
        self.settle(through_holds=through_holds)
        return self.parts.store.run(run_id)

    def settle(
        self, *, through_holds: bool = False, leap: bool = True, patience: float = 20.0, until: str = ""
    ) -> None:
        """Go on until nothing is in motion: the sweeper rings, and waits are leapt over (or, without `leap`, waited out).

        `until` stops where an order's reason holds these words.
        """
        deadline = time.monotonic() + patience
        while True:
            while self.road.run_due():
                assert time.monotonic() < deadline, self.states()
            assert time.monotonic() < deadline, self.states()
            if until and any(until in reason for _, _, reason in self.states().values()):
                return
            if sweep(self.parts, ring=self.road.ring, interval=0.0):
                continue
            due = self._next_at(through_holds=through_holds)
            if due is None:
                break
            wait = max(0.0, (due - self.clock.now()).total_seconds()) + 0.01
            if leap:
                _wait_for_late_commits()
                self.clock.advance(wait)
            else:
                time.sleep(wait)
        close_runs(self.parts)

    def _next_at(self, *, through_holds: bool) -> datetime | None:
        states = "('active', 'held')" if through_holds else "('active')"
        free = "CASE WHEN {0}.lease_until > {0}.next_at THEN {0}.lease_until ELSE {0}.next_at END"
        found = self.rows(
            f"SELECT {free.format('t')} AS at FROM rm_thread t WHERE t.state IN {states} AND t.stage != 'deliver'"
            f" UNION ALL SELECT {free.format('s')} FROM rm_step s JOIN rm_thread t ON t.id = s.thread_id"
            f" WHERE t.state IN {states} AND s.state IN ('owed', 'sending', 'in_doubt')"
        )
        times = [datetime.fromisoformat(row["at"]).replace(tzinfo=UTC) for row in found if row["at"]]
        return min(times, default=None)

    def place(self, *bodies: Json) -> None:
        """Put orders into the shop as if they had been placed, or edited, at this moment."""
        now = self.shop.now()
        self.shop.add_orders([body | {"date_modified_gmt": now} for body in bodies])

    def shop_fault(self, kind: str, *, method: str = "*", path: str = ORDERS_PATH, **more: Any) -> None:
        """Let the shop's next answers of this kind of request be a fault; `times` -1 for ever."""
        order = {"kind": kind, "match": {"method": method, "path": path}, **more}
        requests.post(f"{self.shop_url}/_sandbox/faults", json=order, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.shop_url}/_sandbox/faults", timeout=5).raise_for_status()
        self.erp.faults.clear()

    def put_document(self, external: str, *, customer: str = "WEB-CASH", price: str = "19.99") -> str:
        """Write a sales order as somebody else would, and return its number."""
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": SCOPE,
        }
        token = requests.post(f"{self.erp_url}/{TENANT}/oauth2/v2.0/token", data=form, timeout=5).json()
        line = {
            "lineType": "Item",
            "lineObjectNumber": "WID-001",
            "quantity": 1,
            "unitPrice": float(price),
            "taxCode": "NONTAXABLE",
        }
        answer = requests.post(
            f"{self.erp_url}/api/v2.0/companies({COMPANY_ID})/salesOrders",
            json={
                "externalDocumentNumber": external,
                "customerNumber": customer,
                "salesOrderLines": [line],
            },
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=5,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["number"])

    # What is seen.

    def rows(self, sql: str, **values: Any) -> list[Json]:
        """What a query of the database's owner shows."""
        return seen(self.engine, sql, **values)

    def states(self) -> dict[int, tuple[str, str, str]]:
        """Each order's state, stage and reason, by the platform's id."""
        found = self.parts.store.order_summaries(site=None, state=None, limit=10_000)
        return {int(o.platform_order_id): (str(o.state), str(o.stage), o.reason) for o in found}

    def ends(self) -> dict[int, str]:
        """Each order's state alone."""
        return {order_id: state for order_id, (state, _, _) in self.states().items()}

    def errors(self) -> dict[int, Json]:
        """The open error of each order that has one."""
        found = self.rows("SELECT * FROM rm_error_orders WHERE open_key IS NOT NULL ORDER BY id")
        return {int(row["platform_order_id"]): row for row in found}

    def counts(self) -> dict[str, int]:
        """How all orders stand, whatever run they came with."""
        found = self.rows(
            "SELECT t.state, o.imported, o.acknowledged_at FROM rm_thread t"
            " LEFT JOIN rm_order o ON o.thread_id = t.id"
        )
        counts = {
            "fetched": len(found),
            "written": sum(row["imported"] is not None for row in found),
            "acknowledged": sum(row["acknowledged_at"] is not None for row in found),
            "exported": sum(row["imported"] == 1 for row in found),
        }
        for state in ("held", "rejected", "skipped", "closed", "active"):
            counts[state] = sum(row["state"] == state for row in found)
        return counts

    def cursor(self) -> Cursor | None:
        return next(site for site in self.parts.store.sites() if site.id == self.site_id).cursor

    def paused(self) -> str | None:
        """Why the site is paused."""
        return next(site for site in self.parts.store.sites() if site.id == self.site_id).paused_reason

    def erp_paused(self) -> str | None:
        """Why the ERP is paused."""
        return next(row for row in self.parts.store.erps() if row.id == self.erp_id).paused_reason

    def documents(self) -> list[Json]:
        """What the ERP holds: orders and invoices with their lines."""
        answer = requests.get(f"{self.erp_url}/_sandbox/documents", timeout=5)
        found: list[Json] = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)["documents"]
        return found

    def document_numbers(self) -> list[str]:
        """The order number on each of the ERP's documents, sorted; a duplicate shows twice."""
        return sorted(each["externalDocumentNumber"] for each in self.documents())

    def customers(self) -> list[Json]:
        answer = requests.get(f"{self.erp_url}/_sandbox/customers", timeout=5)
        found: list[Json] = answer.json()["value"]
        return found

    def marked(self) -> set[int]:
        """The orders that carry our mark on the platform."""
        return {each["id"] for each in self.shop.overview() if each["mark"] is not None}

    def shop_requests(self) -> list[Json]:
        found: list[Json] = requests.get(f"{self.shop_url}/_sandbox/requests", timeout=5).json()
        return found


def _wait_for_late_commits() -> None:
    """A leap of the clock must not overtake work that the sandbox still does in real time."""
    while any(isinstance(each, threading.Timer) and each.is_alive() for each in threading.enumerate()):
        time.sleep(0.01)


@contextmanager
def opened_world(
    databases: Databases,
    folder: Path,
    *,
    orders: Sequence[Json] = (),
    limits: Mapping[str, str] = ROOMY,
    erp_settings: Mapping[str, str] | None = None,
    site_settings: Mapping[str, str] | None = None,
    at: datetime = WEDNESDAY,
    frozen: bool = False,
    items: bool = True,
) -> Iterator[World]:
    """A fresh world whose shop has these orders. With `items` the ERP's items are known already."""
    clock = Clock(at, frozen=frozen)
    shop, erp = Shop(orders), Erp()
    demo_fill(erp)
    with ExitStack() as stack:
        database = stack.enter_context(databases.migrated(folder))
        program = open_program(_settings(folder, limits, database.environment))
        stack.callback(program.engine.dispose)
        shop_server, erp_server = (
            stack.enter_context(serve(made)) for made in (shop_app(shop), erp_app(erp))
        )
        world = World(program, clock, shop=shop, erp=erp, urls=(shop_server.url, erp_server.url))
        world.configure(
            erp_settings={"t_late": str(float(limits["lease"]) + 0.5), **(erp_settings or {})},
            site_settings={"max_orders_per_run": "500", **(site_settings or {})},
        )
        if items:
            # On a busy machine the first call may take longer than the little time that these limits leave for it.
            assert any(world.sync_items().state == "done" for _ in range(3))
        yield world
        shop.close()
        _wait_for_late_commits()


MakeWorld = Callable[..., World]
"""Opens a world that ends with its test; takes the keywords of `opened_world`."""
