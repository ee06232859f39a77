"""Webhooks end to end: the sandbox shop sends them to a real port, and the orders they name go all the way to the ERP."""

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog

from app.bootstrap import OpenPeers, Parts, Program
from app.celery_door import DeliveryBell
from app.connectors.woocommerce import CONNECTOR
from app.db.engine import open_engine
from app.db.store import SqlStore
from app.errors import Misconfigured, Retry, UsageError
from app.ports.connector import Connector
from app.ports.deliveries import AlertKind, DueSite
from app.ports.hooks import Hooks
from app.ports.store import Site
from app.settings import load_settings
from app.sync import hook_setup
from app.sync.doctor import look_at_site
from app.sync.findings import Level
from app.sync.hooks import read_due
from app.sync.parts import site_named
from app.sync.schedule import tick
from app.sync.showing import site_page
from app.sync.sweep import drop_old_deliveries, sweep
from app.web import Ringer, RunningServer, create_app
from app.web.application import MAX_BODY
from tests.pipeline.world import MakeWorld, World, plain_order

TOPICS = ("order.created", "order.deleted", "order.restored", "order.updated")
HOOKS_PATH = r"/wp-json/wc/v3/webhooks"
DAY = 86_400.0


def parts_with(world: World, store: SqlStore) -> Parts:
    return replace(world.parts, store=store)


def program_of(world: World, parts: Parts | None = None) -> Program:
    settings = load_settings({"ORDERSYNC_REDIS_URL": ""}, dotenv=Path(os.devnull))
    return Program(settings=settings, engine=world.engine, parts=parts or world.parts)


@dataclass
class Hooked:
    """A middleware whose webhooks come to a real port. `rung` are the sites that were rung for."""

    world: World
    base: str
    rung: list[DueSite] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return site_named(self.world.parts, "bgm")

    @property
    def secrets(self) -> list[str]:
        found = self.world.parts.peers.decrypt(self.site.hook_secrets, name="bgm")
        return [found[name] for name in ("newest", "previous") if name in found]

    def install(self, **options: Any) -> hook_setup.Done:
        return hook_setup.install(self.world.parts, "bgm", base_url=self.base, **options)

    def sent(self) -> None:
        """Until the shop has sent all that it had to send."""
        assert self.world.shop.webhooks.wait_idle()

    def place(self, *bodies: dict[str, Any]) -> None:
        """Orders are placed in the shop, and its webhooks tell of them."""
        now = self.world.shop.now()
        self.world.shop.add_orders([body | {"date_modified_gmt": now} for body in bodies], announce=True)
        self.sent()

    def read(self) -> bool:
        """What a worker does that was rung for."""
        return read_due(self.world.parts, site_id=self.world.site_id, ring=self.world.road.ring)

    def deliver(
        self,
        body: bytes,
        *,
        secret: str | None = None,
        site: str = "bgm",
        topic: str = "order.updated",
        delivery_id: str = "d1",
        **headers: str,
    ) -> requests.Response:
        """Send a delivery as the shop does, or as somebody who would like to be the shop."""
        signed = hmac.new(
            (self.secrets[0] if secret is None else secret).encode(), body, hashlib.sha256
        ).digest()
        given = {
            "Content-Type": "application/json",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Signature": base64.b64encode(signed).decode(),
            "X-WC-Webhook-Delivery-ID": delivery_id,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        url = f"{self.base}/hooks/{site}/order-updated"
        return requests.post(url, data=body, headers=given, timeout=10)

    def ping(self, site: str) -> requests.Response:
        url = f"{self.base}/hooks/{site}/order-created"
        return requests.post(url, data={"webhook_id": "5"}, timeout=10)

    def rows(self) -> list[tuple[str, str]]:
        """Each stored delivery: the order that it names, and what came of it."""
        found = self.world.rows("SELECT platform_order_id, outcome FROM rm_delivery ORDER BY id")
        return [(row["platform_order_id"], row["outcome"]) for row in found]

    def alerts(self) -> list[AlertKind]:
        return [each.kind for each in self.world.parts.store.open_alerts()]

    def webhooks(self) -> list[tuple[str, str, str]]:
        """What the shop has: topic, address and status, by topic."""
        found = [(each.topic, each.delivery_url, each.status) for each in self.world.shop.webhooks.all()]
        return sorted(found)


@contextmanager
def web(world: World, *, parts: Parts | None = None, rung: list[DueSite] | None = None) -> Iterator[str]:
    app = create_app(program_of(world, parts), ring=(lambda _: None) if rung is None else rung.append)
    with RunningServer(app, address="127.0.0.1", port=0, threads=4) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def hooked(make_world: MakeWorld) -> Iterator[Hooked]:
    """A middleware with its webhooks not yet installed."""
    world = make_world()
    rung: list[DueSite] = []
    with web(world, rung=rung) as base:
        yield Hooked(world, base, rung)


@pytest.fixture
def installed(hooked: Hooked) -> Hooked:
    hooked.install()
    hooked.sent()
    return hooked


# The way in


def test_an_order_that_is_placed_in_the_shop_is_in_the_erp_seconds_after_its_webhook(
    installed: Hooked,
) -> None:
    world = installed.world
    assert not installed.rung
    began = time.monotonic()
    installed.place(plain_order(501))
    assert installed.rung[0] == DueSite(id=world.site_id, name="bgm")
    assert not installed.read()
    world.settle()
    assert time.monotonic() - began < 5
    assert (world.document_numbers(), world.ends(), world.marked()) == (["BGM-501"], {501: "done"}, {501})
    # Nobody has polled: the cursor stands where it stood.
    assert world.cursor() is None
    assert installed.rows()[:2] == [("501", "Its order was read.")] * 2


def test_our_own_mark_comes_back_as_a_webhook_and_changes_nothing(installed: Hooked) -> None:
    world = installed.world
    installed.place(plain_order(501))
    installed.read()
    world.settle()
    installed.sent()
    before = len(installed.rows())
    assert before == 3
    installed.read()
    world.settle()
    installed.sent()
    assert len(installed.rows()) == before
    assert world.document_numbers() == ["BGM-501"]
    (inbox,) = world.rows("SELECT COUNT(*) AS versions FROM rm_inbox")
    assert inbox["versions"] == 1


def test_polling_and_webhook_of_one_order_make_one_document(installed: Hooked) -> None:
    installed.place(plain_order(501))
    installed.world.run()
    installed.read()
    installed.world.settle()
    assert installed.world.document_numbers() == ["BGM-501"]


def test_many_deliveries_are_one_question_for_each_hundred_orders(installed: Hooked) -> None:
    installed.place(*(plain_order(number) for number in range(501, 551)))
    world = installed.world
    assert len(installed.rows()) == 100
    before = len(world.shop_requests())
    installed.read()
    assert len(world.shop_requests()) == before + 1
    world.settle()
    assert len(world.document_numbers()) == 50


def test_a_change_before_the_export_is_run_again(installed: Hooked) -> None:
    world = installed.world
    installed.place(plain_order(501))
    installed.read()
    world.shop.touch(501, "Please ring twice")
    installed.sent()
    installed.read()
    world.settle()
    (row,) = world.rows("SELECT version, customer_note FROM rm_order")
    assert (row["version"], row["customer_note"]) == (2, "Please ring twice")


def test_an_order_that_is_trashed_on_its_way_is_closed(installed: Hooked) -> None:
    world = installed.world
    world.place(plain_order(502))
    installed.place(plain_order(501))
    installed.read()
    world.shop.delete(501)
    installed.sent()
    installed.read()
    assert world.ends() == {501: "closed"}
    assert installed.rows()[-1] == (
        "501",
        "Its order was read; its status 'trash' is none that this site takes.",
    )
    world.settle()
    assert world.document_numbers() == []


def test_an_order_that_is_deleted_before_it_is_read_is_left_alone(installed: Hooked) -> None:
    installed.world.place(plain_order(501))
    body = b'{"id":999}'
    assert installed.deliver(body, topic="order.deleted").status_code == 200
    installed.read()
    assert installed.rows() == [("999", "Its order is no longer on the platform.")]
    assert installed.world.ends() == {}


def test_a_repeated_delivery_is_one_row_and_one_reading(installed: Hooked) -> None:
    installed.world.place(plain_order(501))
    answers = [installed.deliver(b'{"id":501}') for _ in range(3)]
    assert [(each.status_code, each.content) for each in answers] == [(200, b"")] * 3
    assert len(installed.rung) == 1
    installed.read()
    asked = len(installed.world.shop_requests())
    assert installed.deliver(b'{"id":501}').status_code == 200
    assert not installed.read()
    assert len(installed.world.shop_requests()) == asked
    assert installed.rows() == [("501", "Its order was read.")]


def test_a_signed_delivery_that_names_no_order_is_kept_and_nobody_is_rung(installed: Hooked) -> None:
    body = b'{"code":"woocommerce_rest_shop_order_invalid_id","message":"Invalid ID.","data":{"status":404}}'
    assert installed.deliver(body).status_code == 200
    assert (installed.rows(), installed.rung) == ([("", "It names no order.")], [])


# Who is not believed


@pytest.mark.parametrize(
    ("_case", "options"),
    [
        ("another secret", {"secret": "x" * 43}),
        ("no signature", {"X_WC_Webhook_Signature": ""}),
        ("a tampered body", {"X_WC_Webhook_Signature": "gdqitaJsHwEsneXZEuvbOOHW5U4OyHmh6GKV6dVw+Sk="}),
        ("another topic", {"topic": "product.updated"}),
        ("no delivery id", {"delivery_id": ""}),
        ("an unknown site", {"site": "other"}),
        ("a name that no site can have", {"site": "B%20GM"}),
        ("an order id longer than its column", {"body": b'{"id":%s}' % (b"9" * 65)}),
    ],
)
def test_what_is_not_believed_is_refused_in_the_same_way_and_leaves_nothing(
    installed: Hooked, _case: str, options: Mapping[str, Any]
) -> None:
    given = {"body": b'{"id":501}', **options}
    answer = installed.deliver(given.pop("body"), **given)
    assert (answer.status_code, answer.content) == (401, b"")
    assert (installed.rows(), installed.rung) == ([], [])
    other = installed.deliver(b'{"id":501}', site="nobody")
    assert {**answer.headers, "Date": ""} == {**other.headers, "Date": ""}


def test_a_site_without_webhooks_believes_nobody(hooked: Hooked) -> None:
    assert hooked.deliver(b'{"id":501}', secret="").status_code == 401
    assert hooked.deliver(b'{"id":501}', secret="s").status_code == 401


def test_the_ping_is_answered_for_every_name_and_leaves_nothing(installed: Hooked) -> None:
    assert [installed.ping(site).status_code for site in ("bgm", "other", "nobody")] == [200, 200, 200]
    assert installed.rows() == []
    # The shop's own, when they were installed, were answered as well.
    assert [each.status for each in installed.world.shop.webhooks.deliveries] == [200] * 4


def test_a_body_that_is_too_large_is_refused_before_it_is_looked_at(installed: Hooked) -> None:
    for size in (MAX_BODY + 1, 3 * MAX_BODY):
        answer = installed.deliver(b"x" * size)
        assert answer.status_code == 413, size
    assert installed.deliver(b'{"id":501,"note":"%s"}' % (b"x" * (MAX_BODY - 100))).status_code == 200
    assert [each[0] for each in installed.rows()] == ["501"]


def test_a_body_without_a_length_is_taken_up_to_the_same_size(installed: Hooked) -> None:
    body = b'{"id":501}'
    signed = base64.b64encode(hmac.new(installed.secrets[0].encode(), body, hashlib.sha256).digest()).decode()
    headers = {
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Signature": signed,
        "X-WC-Webhook-Delivery-ID": "d1",
    }
    url = f"{installed.base}/hooks/bgm/order-updated"
    taken = requests.post(url, data=iter([body[:4], body[4:]]), headers=headers, timeout=10)
    assert (taken.status_code, installed.rows()) == (200, [("501", "")])
    assert taken.headers["Connection"] == "close"
    pieces = iter([b"x" * 65_536] * (MAX_BODY // 65_536 + 1))
    refused = requests.post(url, data=pieces, headers=headers, timeout=10)
    assert refused.status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/hooks/bgm/order-created"),
        ("PUT", "/hooks/bgm/order-created"),
        ("OPTIONS", "/hooks/bgm/order-created"),
        ("POST", "/hooks/bgm"),
        ("POST", "/hooks/bgm/order-created/more"),
        ("POST", "/healthz"),
        ("GET", "/static/x"),
    ],
)
def test_there_is_nothing_else(installed: Hooked, method: str, path: str) -> None:
    answer = requests.request(method, f"{installed.base}{path}", timeout=10)
    assert (answer.status_code, answer.content) == (404, b"")


def test_every_answer_is_guarded_and_does_not_say_what_the_server_is_made_of(installed: Hooked) -> None:
    health = requests.get(f"{installed.base}/healthz", timeout=10)
    assert (health.status_code, health.text) == (200, "ok")
    for answer in (
        health,
        installed.deliver(b"{}"),
        installed.deliver(b"{}", site="x"),
        requests.get(installed.base, timeout=10),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "web"


def test_nothing_of_a_body_is_logged(installed: Hooked) -> None:
    with structlog.testing.capture_logs() as lines:
        installed.deliver(b'{"id":501,"note":"Pl4inly secret"}')
        installed.deliver(b'{"id":501,"note":"Pl4inly secret"}', secret="wrong")
    text = json.dumps(lines, default=str)
    assert "Pl4inly" not in text
    assert installed.secrets[0] not in text
    assert [(each["event"], each["log_level"]) for each in lines] == [
        ("delivery", "info"),
        ("delivery_refused", "warning"),
    ]


# What goes wrong beside it


def test_while_the_database_is_away_the_sender_is_told_so_and_nothing_is_lost(installed: Hooked) -> None:
    world = installed.world
    away = open_engine("sqlite:////nowhere/at/all.db")
    with web(world, parts=parts_with(world, SqlStore(away, audit_key=bytes))) as base:
        answer = replace(installed, base=base).deliver(b'{"id":501}', secret="any")
        assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (503, b"", "60")
        assert requests.get(f"{base}/healthz", timeout=10).status_code == 200
        for webhook in world.shop.webhooks.all():
            webhook.delivery_url = webhook.delivery_url.replace(installed.base, base)
        installed.place(plain_order(501))
    assert [each.status for each in world.shop.webhooks.deliveries[4:]] == [503, 503]
    assert installed.rows() == []
    # The shop never sends these again; polling finds what they would have told.
    world.run()
    assert world.document_numbers() == ["BGM-501"]


def test_a_delivery_that_could_not_be_committed_is_not_answered_well_and_nobody_is_rung(
    installed: Hooked,
) -> None:
    class Full(SqlStore):
        def take_delivery(self, *_: Any) -> bool:
            raise away

    rung: list[DueSite] = []
    try:
        open_engine("sqlite:////nowhere/at/all.db").connect()
    except Exception as error:  # noqa: BLE001 - whatever a database raises that is not there
        away = error
    world = installed.world
    with web(
        world, parts=parts_with(world, Full(world.engine, clock=world.clock.now, audit_key=bytes)), rung=rung
    ) as base:
        assert replace(installed, base=base).deliver(b'{"id":501}').status_code == 503
    assert (rung, installed.rows()) == ([], [])


def test_while_the_broker_is_away_the_delivery_is_taken_and_the_sweeper_rings_later(
    installed: Hooked,
) -> None:
    world = installed.world
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        bell = DeliveryBell(
            load_settings(
                {"REDIS_URL": f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"}, dotenv=Path(os.devnull)
            )
        )
        with Ringer(bell) as ringer:
            app = create_app(program_of(world), ring=ringer.ring)
            world.place(plain_order(501))
            with RunningServer(app, address="127.0.0.1", port=0, threads=2) as server:
                there = replace(installed, base=f"http://127.0.0.1:{server.port}")
                began = time.monotonic()
                assert there.deliver(b'{"id":501}').status_code == 200
                # Nobody who sends waits for the broker.
                assert time.monotonic() - began < 3
    sites: list[DueSite] = []
    sweep(world.parts, ring=world.road.ring, interval=10, ring_site=sites.append)
    assert sites == []
    world.clock.advance(31)
    assert sweep(world.parts, ring=world.road.ring, interval=10, ring_site=sites.append) == 1
    assert sites == [DueSite(id=world.site_id, name="bgm")]
    installed.read()
    world.settle()
    assert world.document_numbers() == ["BGM-501"]


def test_where_no_broker_is_known_the_bell_says_so_and_the_sweeper_rings(tmp_path: Path) -> None:
    settings = load_settings({"ORDERSYNC_VAR": str(tmp_path)}, dotenv=Path(os.devnull))
    with structlog.testing.capture_logs() as lines:
        DeliveryBell(settings)(DueSite(id=1, name="bgm"))
    assert [(each["event"], each["failure"]) for each in lines] == [("not_rung", "Misconfigured")]


def test_a_burst_of_deliveries_is_one_ring_for_each_site_and_a_failure_of_the_bell_ends_nothing() -> None:
    rung: list[DueSite] = []
    begun, go_on = threading.Event(), threading.Event()

    def send(site: DueSite) -> None:
        rung.append(site)
        begun.set()
        assert go_on.wait(10)
        if len(rung) == 1:
            raise RuntimeError("a bell that is broken")

    one, two = DueSite(1, "one"), DueSite(2, "two")
    with Ringer(send) as ringer:
        ringer.ring(one)
        assert begun.wait(10)
        for _ in range(20):
            ringer.ring(one)
            ringer.ring(two)
        go_on.set()
    assert rung == [one, one, two]


def test_the_inline_road_reads_what_nobody_was_rung_for(installed: Hooked) -> None:
    world = installed.world
    installed.place(plain_order(501))
    run_id = world.parts.store.open_run(kind="orders", site_id=world.site_id)
    world.parts.store.finish_reading(run_id, state=None, reason="")
    world.clock.advance(2)
    assert world.road.run_until_settled(run_id, progress=lambda _: None, patience=20)
    world.settle()
    assert world.document_numbers() == ["BGM-501"]


def test_an_order_that_cannot_be_read_now_is_read_later(installed: Hooked) -> None:
    world = installed.world
    installed.place(plain_order(501))
    world.shop_fault("502_php_down", method="GET")
    installed.read()
    assert {outcome for _, outcome in installed.rows()} == {"The shop answered 502 Bad Gateway (text/html)."}
    assert not installed.read()
    world.clock.advance(10)
    installed.read()
    assert world.ends() == {501: "active"}


@pytest.mark.parametrize(
    ("_case", "change", "end"),
    [
        (
            "paused",
            "UPDATE rm_sites SET paused_until = '2026-11-25 13:00:00', paused_reason = 'Why.'",
            "active",
        ),
        ("disabled", "UPDATE rm_sites SET is_active = 0", None),
    ],
)
def test_a_site_that_is_left_alone_is_not_called(
    installed: Hooked, _case: str, change: str, end: str | None
) -> None:
    world = installed.world
    installed.place(plain_order(501))
    with world.engine.begin() as connection:
        connection.exec_driver_sql(change)
    before = len(world.shop_requests())
    installed.read()
    assert len(world.shop_requests()) == before
    world.clock.advance(3700)
    installed.read()
    assert world.ends().get(501) == end


def test_settings_that_cannot_work_pause_the_site_and_the_delivery_waits(installed: Hooked) -> None:
    world = installed.world
    installed.place(plain_order(501))
    world.shop_fault("401_bad_secret", method="GET")
    installed.read()
    assert "consumer secret is wrong" in str(world.paused())
    world.clock.advance(400)
    installed.read()
    assert world.ends() == {501: "active"}


def test_deliveries_are_forgotten_after_two_weeks(installed: Hooked) -> None:
    installed.place(plain_order(501))
    installed.read()
    assert drop_old_deliveries(installed.world.parts) == 0
    installed.world.clock.advance(15 * DAY)
    assert drop_old_deliveries(installed.world.parts) == 2
    assert installed.rows() == []


# Registering them


def expected(hooked: Hooked, *, status: str = "active") -> list[tuple[str, str, str]]:
    return [(topic, f"{hooked.base}/hooks/bgm/{topic.replace('.', '-')}", status) for topic in TOPICS]


def test_installing_registers_one_webhook_for_each_topic_and_again_changes_nothing(hooked: Hooked) -> None:
    done = hooked.install()
    assert (done.url, done.created, done.mended, done.removed) == (
        f"{hooked.base}/hooks/bgm", set(TOPICS), set(), set(),
    )  # fmt: skip
    assert hooked.webhooks() == expected(hooked)
    before, ids = hooked.secrets, [each.id for each in hooked.world.shop.webhooks.all()]
    assert len(before) == 1
    assert len(before[0]) >= 43
    assert before[0] not in str(hooked.world.rows("SELECT * FROM rm_sites"))
    again = hooked.install()
    assert (again.created, again.mended, again.removed) == (set(), set(), set())
    assert (hooked.webhooks(), hooked.secrets) == (expected(hooked), before)
    assert [each.id for each in hooked.world.shop.webhooks.all()] == ids


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["reset", "reset_after", "truncated", "502_php_down"])
def test_a_lost_reply_is_looked_up_and_the_rest_is_done(hooked: Hooked, kind: str, method: str) -> None:
    world = hooked.world
    world.shop_fault(kind, method=method, path=HOOKS_PATH, skip=1)
    hooked.install()
    hooked.install()
    assert hooked.webhooks() == expected(hooked)
    assert {each.secret for each in world.shop.webhooks.all()} == set(hooked.secrets)
    hooked.sent()
    hooked.place(plain_order(501))
    assert {outcome for _, outcome in hooked.rows()} == {""}
    assert hook_setup.remove(world.parts, "bgm") == 4
    assert hooked.webhooks() == []


def test_an_installation_that_is_cut_off_is_brought_to_its_end_by_the_next(hooked: Hooked) -> None:
    hooked.world.shop_fault("503_maintenance", method="POST", path=HOOKS_PATH, skip=2)
    with pytest.raises(Retry):
        hooked.install()
    assert len(hooked.webhooks()) == 2
    first = hooked.secrets
    # What was registered is believed already.
    assert hooked.deliver(b'{"id":501}', secret=first[0]).status_code == 200
    assert hooked.install().created == set(TOPICS) - {"order.created", "order.updated"}
    assert (hooked.webhooks(), hooked.secrets) == (expected(hooked), first)


def test_while_a_secret_is_replaced_the_one_before_is_still_believed(installed: Hooked) -> None:
    (first,) = installed.secrets
    installed.install(rotate=True)
    second = installed.secrets[0]
    assert installed.secrets == [second, first]
    assert {each.secret for each in installed.world.shop.webhooks.all()} == {second}
    assert installed.deliver(b'{"id":1}', secret=first, delivery_id="a").status_code == 200
    assert installed.deliver(b'{"id":1}', secret=second, delivery_id="b").status_code == 200
    installed.install()
    assert installed.secrets == [second, first]
    installed.install(rotate=True)
    assert installed.secrets[1:] == [second]
    assert installed.deliver(b'{"id":1}', secret=first, delivery_id="c").status_code == 401
    assert installed.deliver(b'{"id":1}', secret=second, delivery_id="d").status_code == 200


def test_another_address_takes_the_place_of_the_former_one(installed: Hooked) -> None:
    elsewhere = "http://127.0.0.1:9/below"
    done = hook_setup.install(installed.world.parts, "bgm", base_url=f" {elsewhere}/ ")
    assert (len(done.created), len(done.removed)) == (4, 4)
    assert {url.rpartition("/")[0] for _, url, _ in installed.webhooks()} == {f"{elsewhere}/hooks/bgm"}
    assert installed.site.hook_url == f"{elsewhere}/hooks/bgm"


def test_webhooks_of_others_are_left_alone(hooked: Hooked) -> None:
    desk = hooked.world.parts.peers.hook_desk(hooked.site)
    others = [
        desk.install(topic="order.created", url=url, secret="theirs")
        for url in ("https://other.example/hook", f"{hooked.base}/hooks/bgm2/order-created")
    ]
    hooked.install()
    hook_setup.check(hooked.world.parts, "bgm")
    hook_setup.remove(hooked.world.parts, "bgm")
    assert [url for _, url, _ in hooked.webhooks()] == sorted((each.url for each in others), reverse=False)


def test_a_disabled_webhook_is_active_again_after_the_check_and_that_is_told_once(installed: Hooked) -> None:
    world = installed.world
    for webhook in world.shop.webhooks.all():
        if webhook.topic == "order.updated":
            webhook.status = "disabled"
    with structlog.testing.capture_logs() as lines:
        done = hook_setup.check(world.parts, "bgm")
    assert done.mended == {"order.updated"}
    assert [each["kind"] for each in lines if each["event"] == "alert_opened"] == ["webhook_disabled"]
    assert installed.webhooks() == expected(installed)
    assert installed.alerts() == [AlertKind.WEBHOOK_DISABLED]
    (alert,) = world.parts.store.open_alerts()
    assert alert.reason.startswith("WooCommerce had stopped sending order.updated, and was told to go on.")
    assert hook_setup.check(world.parts, "bgm").mended == set()
    assert installed.alerts() == []


def test_six_failures_disable_a_webhook_and_the_daily_check_brings_it_back(installed: Hooked) -> None:
    world = installed.world
    with web(
        world, parts=parts_with(world, SqlStore(open_engine("sqlite:////nowhere/x.db"), audit_key=bytes))
    ) as base:
        right = {each.id: each.delivery_url for each in world.shop.webhooks.all()}
        for webhook in world.shop.webhooks.all():
            webhook.delivery_url = webhook.delivery_url.replace(installed.base, base)
        installed.place(*(plain_order(number) for number in range(501, 507)))
        for webhook in world.shop.webhooks.all():
            webhook.delivery_url = right[webhook.id]
    assert {status for topic, _, status in installed.webhooks() if topic == "order.created"} == {"disabled"}
    assert tick(world.parts).hooks == ()
    world.clock.advance(DAY + 1)
    assert [site.name for site in tick(world.parts).hooks] == ["bgm"]
    hook_setup.check_due(world.parts, site_id=world.site_id)
    assert installed.webhooks() == expected(installed)
    assert installed.alerts() == [AlertKind.WEBHOOK_DISABLED]
    assert tick(world.parts).hooks == ()
    asked = len(world.shop_requests())
    hook_setup.check_due(world.parts, site_id=world.site_id)
    assert len(world.shop_requests()) == asked


def test_missing_and_doubled_webhooks_are_set_right_by_the_check(installed: Hooked) -> None:
    world = installed.world
    desk = world.parts.peers.hook_desk(installed.site)
    world.shop.webhooks.delete(2)
    desk.install(topic="order.created", url=f"{installed.base}/hooks/bgm/order-created", secret="x")
    desk.install(topic="order.created", url=f"{installed.base}/hooks/bgm/what-is-this", secret="x")
    done = hook_setup.check(world.parts, "bgm")
    assert (done.created, len(done.removed)) == ({"order.updated"}, 2)
    assert installed.webhooks() == expected(installed)
    assert {each.secret for each in world.shop.webhooks.all()} == set(installed.secrets)


def test_a_check_that_the_shop_does_not_answer_is_done_again_soon_and_pauses_nothing(
    installed: Hooked,
) -> None:
    world = installed.world
    world.clock.advance(DAY + 1)
    world.shop_fault("502_php_down", path=HOOKS_PATH)
    hook_setup.check_due(world.parts, site_id=world.site_id)
    assert (installed.alerts(), world.paused()) == ([], None)
    soon = installed.site.hooks_next_check
    assert soon is not None
    assert soon - world.clock.now() < timedelta(minutes=3)
    world.shop_fault("401_readonly_write", path=HOOKS_PATH)
    world.clock.advance(180)
    hook_setup.check_due(world.parts, site_id=world.site_id)
    tomorrow = installed.site.hooks_next_check
    assert tomorrow is not None
    assert tomorrow - world.clock.now() > timedelta(hours=23)
    assert world.paused() is None


def test_removed_webhooks_are_gone_from_the_shop_and_their_secrets_from_us(installed: Hooked) -> None:
    world = installed.world
    secret = installed.secrets[0]
    assert hook_setup.remove(world.parts, "bgm") == 4
    assert (installed.webhooks(), installed.site.hook_url, installed.site.hook_secrets) == ([], "", "")
    assert installed.deliver(b'{"id":501}', secret=secret).status_code == 401
    assert hook_setup.remove(world.parts, "bgm") == 0
    with pytest.raises(UsageError, match="has no webhooks yet"):
        hook_setup.check(world.parts, "bgm")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin with https://"),
        ("orders.example.com", "must begin with https://"),
        ("ftp://orders.example.com", "must begin with https://"),
        ("https://", "must begin with https://"),
        ("https://x:y/", "must begin with https://"),
        ("https://[::1", "must begin with https://"),
        ("https://a:b@orders.example.com", "no user name"),
        ("https://orders.example.com?a=1", "no user name"),
        ("https://orders.example.com#a", "no user name"),
        (f"https://{'x' * 300}.example.com", "must begin with https://"),
    ],
)
def test_an_address_that_webhooks_cannot_go_to_is_refused(hooked: Hooked, url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        hook_setup.install(hooked.world.parts, "bgm", base_url=url)
    assert (hooked.webhooks(), hooked.site.hook_url) == ([], "")


def test_plain_http_is_for_sites_that_may_be_private(hooked: Hooked) -> None:
    with hooked.world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rm_sites SET allow_private = (1 = 0)")
    with pytest.raises(UsageError, match="they carry customers' addresses"):
        hooked.install()


def with_hooks(world: World, hooks: Hooks | None) -> Parts:
    """The parts with another idea of what the shop's platform can do."""

    class Peers(OpenPeers):
        def connector(self, platform: str) -> Connector:
            return replace(super().connector(platform), hooks=hooks)

    peers = Peers.__new__(Peers)
    peers.__dict__ |= vars(world.parts.peers)
    return replace(world.parts, peers=peers)


def test_a_platform_that_sends_to_https_only_is_not_given_plain_http(hooked: Hooked) -> None:
    assert CONNECTOR.hooks is not None
    parts = with_hooks(hooked.world, replace(CONNECTOR.hooks, needs_tls=True))
    with pytest.raises(
        UsageError, match="WooCommerce sends webhooks to https addresses only; give the address of the"
    ):
        hook_setup.install(parts, "bgm", base_url="http://orders.example.com")
    assert hook_setup.install(parts, "bgm", base_url="https://orders.example.com").created == set(TOPICS)
    # A stand-in of the platform on this machine sends anywhere on it.
    assert hook_setup.install(parts, "bgm", base_url=hooked.base).url.startswith("http://127.0.0.1:")


def test_a_platform_without_webhooks_says_so_and_believes_nobody(installed: Hooked) -> None:
    parts = with_hooks(installed.world, None)
    for act in (
        lambda: hook_setup.install(parts, "bgm", base_url=installed.base),
        lambda: hook_setup.check(parts, "bgm"),
        lambda: hook_setup.remove(parts, "bgm"),
    ):
        with pytest.raises(UsageError, match="WooCommerce has no webhooks that Order Sync knows"):
            act()
    with web(installed.world, parts=parts) as base:
        assert replace(installed, base=base).deliver(b'{"id":501}').status_code == 401
        assert replace(installed, base=base).ping("bgm").status_code == 401


def test_a_key_that_may_not_write_is_told_and_nothing_is_believed_meanwhile(hooked: Hooked) -> None:
    hooked.world.shop_fault("401_readonly_write", method="POST", path=HOOKS_PATH)
    with pytest.raises(Misconfigured, match="may only read"):
        hooked.install()
    assert hooked.webhooks() == []


# Silence


def quietly(world: World, order_id: int, *, minutes_ago: float) -> None:
    """An order that no webhook tells of."""
    at = world.clock.now() - timedelta(minutes=minutes_ago)
    moment = at.replace(tzinfo=None).isoformat(timespec="seconds")
    world.shop.add_orders([plain_order(order_id, date_created_gmt=moment, date_modified_gmt=moment)])


def test_webhooks_that_fell_silent_are_told_once_until_the_next_one_comes(installed: Hooked) -> None:
    world = installed.world
    for webhook in world.shop.webhooks.all():
        webhook.status = "paused"
    world.clock.advance(2 * 3600)
    quietly(world, 501, minutes_ago=30)
    with structlog.testing.capture_logs() as lines:
        world.run()
        # Its webhook may still be on its way.
        assert installed.alerts() == []
        world.clock.advance(16 * 60)
        world.run()
        quietly(world, 502, minutes_ago=20)
        world.run()
    opened = [each for each in lines if each["event"] == "alert_opened"]
    assert [(each["kind"], each["log_level"], each["site"]) for each in opened] == [
        ("webhook_silent", "warning", "bgm")
    ]
    (alert,) = world.parts.store.open_alerts()
    assert alert.reason.startswith(
        "Polling found 1 new order of which no webhook had told, and none at all has come since"
    )
    assert world.document_numbers() == ["BGM-501", "BGM-502"]
    installed.deliver(b'{"id":501}')
    assert installed.alerts() == []


@pytest.mark.parametrize(
    ("_case", "hours", "minutes_ago"),
    [
        ("the order is so new that its webhook may still come", 2, 10),
        ("webhooks came not long ago", 0.9, 30),
        ("the order is older than the webhooks", 2, 150),
    ],
)
def test_it_is_no_silence(installed: Hooked, _case: str, hours: float, minutes_ago: float) -> None:
    world = installed.world
    world.clock.advance(hours * 3600)
    quietly(world, 501, minutes_ago=minutes_ago)
    world.run()
    world.clock.advance(4 * 60)
    world.run()
    assert (world.document_numbers(), installed.alerts()) == (["BGM-501"], [])


def test_a_site_without_webhooks_is_never_silent(hooked: Hooked) -> None:
    hooked.world.clock.advance(2 * 3600)
    quietly(hooked.world, 501, minutes_ago=30)
    hooked.world.run()
    assert hooked.alerts() == []


# What is told


def test_a_sites_page_and_the_doctor_tell_of_its_webhooks(installed: Hooked) -> None:
    world = installed.world

    def findings() -> list[tuple[Level, str]]:
        looked = look_at_site(world.parts, installed.site, clock=world.shop.clock)
        return [(each.level, each.found) for each in looked]

    page = site_page(world.parts, "bgm")
    assert (page["webhooks"], page["last_webhook"], page["alerts"]) == (
        f"{installed.base}/hooks/bgm", None, [],
    )  # fmt: skip
    assert findings()[-1] == (
        Level.OK,
        f"Its webhooks go to {installed.base}/hooks/bgm; none has come yet.",
    )
    installed.deliver(b'{"id":501}')
    assert site_page(world.parts, "bgm")["last_webhook"] is not None
    assert "the last one came at 2026-11-25 12:00 UTC." in findings()[-1][1]
    world.parts.store.open_alert(world.site_id, AlertKind.WEBHOOK_SILENT, reason="Nothing comes.")
    assert site_page(world.parts, "bgm")["alerts"] == ["Nothing comes."]
    assert findings()[-1] == (Level.WARNING, "Since 2026-11-25 12:00 UTC: Nothing comes.")


def test_a_site_without_webhooks_says_nothing_of_them(make_world: Callable[..., World]) -> None:
    world = make_world()
    site = site_named(world.parts, "bgm")
    found = list(look_at_site(world.parts, site, clock=world.shop.clock))
    assert not [each for each in found if "webhook" in each.found]
    assert site_page(world.parts, "bgm")["webhooks"] is None
