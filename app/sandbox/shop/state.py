"""The shop itself: its orders and what can happen to them. No HTTP in here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .answers import ApiError, JsonObject, encode, filter_fields
from .auth import ApiKey, Keyring
from .dates import gmt_text, local_text, utc_now
from .generate import MAIL_DOMAIN, generated_orders
from .listing import ListQuery, OrderIndex, Page, QueryValue, StoredOrder, cut_page, read_list_query
from .money import amount_text, cents, json_copy, plain_number, unit_price, with_decimals
from .orders import (
    DEFAULT_SITE,
    Catalogue,
    Coupon,
    Desk,
    Sequence,
    empty_order,
    refresh_flags,
    set_status,
    validate,
    whole,
    write_order,
)
from .recorded import MARK_KEY, recorded_notes, recorded_orders, recorded_refunds
from .webhooks import WebhookDesk

DEMO_KEY = ApiKey("ck_sandbox", "cs_sandbox")
ORDER_STATUSES = [
    "auto-draft",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "awaiting-pickup",
    "checkout-draft",
]
"""``awaiting-pickup`` is a status registered by a plugin of the recorded shop (section 3)."""

BATCH_LIMIT = 100
_COUPONS = (
    Coupon("ten", "percent", 10),
    Coupon("five-off", "fixed_cart", 500),
    Coupon("prod3", "fixed_cart", 300),
)
_CHEAP = frozenset({"dp", "id", "meta_data", "status"})
_DATES = ("created", "modified", "completed", "paid")


class Shop:
    """A WooCommerce shop in memory; every method may be called from any thread.

    ``legacy`` is posts storage (sections 3 to 5), else order tables. ``clock`` gives the moment for
    everything the shop writes. ``timezone`` is the shop's local time. ``site_url`` is what the shop
    takes for its own address; by default the one it is called by. ``fractional_quantities`` False is
    the shop whose plugin for fractions is off (section 8).
    """

    def __init__(
        self,
        orders: Iterable[JsonObject] = (),
        *,
        timezone: str = "America/Los_Angeles",
        legacy: bool = False,
        clock: Callable[[], datetime] = utc_now,
        keys: Iterable[ApiKey] = (DEMO_KEY,),
        site_url: str | None = None,
        fractional_quantities: bool = True,
        mark_key: str = MARK_KEY,
    ) -> None:
        self.legacy = legacy
        self.mark_key = mark_key
        self.clock = clock
        self.site_url = site_url
        self.seen_url = DEFAULT_SITE
        self.statuses = list(ORDER_STATUSES)
        self.keyring = Keyring(list(keys))
        self.stopping = threading.Event()
        self.webhooks = WebhookDesk(self._delivery_body, self.site)
        self._lock = threading.RLock()
        self._zone = ZoneInfo(timezone)
        self._fractional = fractional_quantities
        self._orders: dict[int, StoredOrder] = {}
        self._index = OrderIndex()
        self._notes: dict[int, list[JsonObject]] = {}
        self._refunds: dict[int, list[JsonObject]] = {}
        self._note_ids = Sequence()
        self._desk = Desk(
            zone=lambda: self._zone,
            now=self.now,
            catalogue=Catalogue(),
            coupons={coupon.code: coupon for coupon in _COUPONS},
            customers=set(),
            order_ids=Sequence(),
            item_ids=Sequence(),
            meta_ids=Sequence(),
        )
        self.add_orders(orders)
        self._add_recorded_notes_and_refunds()
        if not legacy:
            self._show_dates_anew()

    # Settings

    def now(self) -> str:
        """The shop's moment as gmt text, cut to the second."""
        return gmt_text(self.clock())

    def site(self) -> str:
        """The shop's own address, without a slash at the end."""
        return (self.site_url or self.seen_url).rstrip("/")

    @property
    def zone(self) -> ZoneInfo:
        """The shop's timezone."""
        return self._zone

    @property
    def timezone(self) -> str:
        """The name of the shop's timezone."""
        return self._zone.key

    def set_timezone(self, name: str) -> None:
        """Change the timezone. Order tables then show old orders' local times anew (section 4)."""
        with self._lock:
            self._zone = ZoneInfo(name)
            if not self.legacy:
                self._show_dates_anew()
            self._index.changed()

    @property
    def fractional_quantities(self) -> bool:
        """Whether the plugin that allows fractional quantities is on."""
        return self._fractional

    def set_fractional_quantities(self, *, on: bool) -> None:
        """Switch the plugin: off, an order of 1.5 reads as quantity 1 (section 8)."""
        with self._lock:
            self._fractional = on
            for order in self._orders.values():
                order.raw = {}

    def add_product(self, sku: str, name: str, price: str) -> int:
        """Add a product that new orders can name; returns its id."""
        return self._desk.catalogue.add(sku, name, cents(price)).product_id

    def close(self) -> None:
        """Stop the background thread and every fault that is still sleeping."""
        self.stopping.set()
        self.webhooks.close()

    def _show_dates_anew(self) -> None:
        with self._lock:
            for order in self._orders.values():
                for name in _DATES:
                    gmt = order.body.get(f"date_{name}_gmt")
                    if isinstance(gmt, str):
                        order.body[f"date_{name}"] = local_text(gmt, self._zone)
                order.refresh()
            self._index.changed()

    # Reading

    def __len__(self) -> int:
        return len(self._orders)

    def list_page(self, raw: dict[str, QueryValue]) -> tuple[ListQuery, Page, bytes]:
        """One page of the list: the parameters as understood, the page, and its body."""
        with self._lock:
            query = read_list_query(raw, self.statuses, self._zone, legacy=self.legacy)
            page = cut_page(self._index.select(query), query, legacy=self.legacy)
            if query.fields:
                shown = (self._shown(order, query.dp) for order in page.orders)
                return query, page, encode([filter_fields(body, query.fields) for body in shown])
            return query, page, b"[" + b",".join(self._bytes(order, query.dp) for order in page.orders) + b"]"

    def order_bytes(self, order_id: int, dp: int = 2, fields: str = "") -> bytes:
        """One order as GET answers it; ``_links`` comes along with ``_fields`` (section 3)."""
        with self._lock:
            order = self._find(order_id)
            if fields:
                shown = self._shown(order, dp)
                slim = filter_fields(shown, fields)
                if isinstance(slim, dict) and "_links" in shown:
                    slim["_links"] = shown["_links"]
                return encode(slim)
            return self._bytes(order, dp)

    def order(self, order_id: int) -> JsonObject:
        """A copy of one order's body, as GET answers it."""
        found: JsonObject = json.loads(self.order_bytes(order_id))
        return found

    def overview(self) -> list[JsonObject]:
        """Every order's id, status, modified date and export mark, for the control door."""
        with self._lock:
            return [
                {
                    "id": order.id,
                    "status": order.status,
                    "date_modified_gmt": order.body.get("date_modified_gmt"),
                    "mark": self._mark(order.body),
                }
                for order in sorted(self._orders.values(), key=lambda one: one.id)
            ]

    def _mark(self, body: JsonObject) -> Any:
        rows = body.get("meta_data")
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and row.get("key") == self.mark_key:
                return row.get("value")
        return None

    def _find(self, order_id: int, *, writing: bool = False) -> StoredOrder:
        """An order, or the error: 404 for a read, **400 for a write** (section 2)."""
        order = self._orders.get(order_id)
        if order is None:
            status, message = (400, "ID is invalid.") if writing else (404, "Invalid ID.")
            raise ApiError(status, "woocommerce_rest_shop_order_invalid_id", message)
        return order

    def _bytes(self, order: StoredOrder, dp: int = 2) -> bytes:
        if dp not in order.raw:
            order.raw[dp] = encode(self._shown(order, dp))
        return order.raw[dp]

    def _shown(self, order: StoredOrder, dp: int) -> JsonObject:
        body = order.body
        if not self._fractional:
            body = _without_fractions(body)
        return body if dp == 2 else with_decimals(body, dp)

    def _delivery_body(self, order_id: int) -> bytes:
        try:
            return self.order_bytes(order_id)
        except ApiError as error:
            return encode(error.body())

    # Writing

    def add_orders(self, bodies: Iterable[JsonObject], *, announce: bool = False) -> list[int]:
        """Put bodies into the shop exactly as given; only an integer id is needed. Dates stay."""
        added = []
        with self._lock:
            now = self.now()
            for given in bodies:
                body = json.loads(json.dumps(given))
                order = StoredOrder(body, now)
                self._orders[order.id] = order
                self._index.put(order)
                self._learn(body)
                self._notes[order.id], self._refunds[order.id] = [], _refund_bodies(body)
                added.append(order.id)
        if announce:
            for order_id in added:
                self.webhooks.announce(order_id, "created", "updated")
        return added

    def _add_recorded_notes_and_refunds(self) -> None:
        for order_id, notes in recorded_notes().items():
            if order_id in self._orders:
                self._notes[order_id] = notes
                for note in notes:
                    self._note_ids.seen(note["id"])
        for order_id, refunds in recorded_refunds().items():
            shown = self._refunds.get(order_id, [])
            full = {refund["id"]: refund for refund in refunds}
            if shown:
                self._refunds[order_id] = [full.get(refund["id"], refund) for refund in shown]

    def _learn(self, body: JsonObject) -> None:
        desk = self._desk
        desk.order_ids.seen(body["id"])
        customer = body.get("customer_id")
        if isinstance(customer, int) and customer:
            desk.customers.add(customer)
        lines = [line for line in body.get("line_items") or [] if isinstance(line, dict)]
        desk.catalogue.learn(lines)
        for kind in ("line_items", "tax_lines", "shipping_lines", "fee_lines", "coupon_lines"):
            for line in body.get(kind) or []:
                if isinstance(line, dict):
                    desk.item_ids.seen(line.get("id"))
                    for row in line.get("meta_data") or []:
                        desk.meta_ids.seen(row.get("id") if isinstance(row, dict) else None)
        for kind in ("meta_data", "refunds"):
            rows = body.get(kind)
            for row in rows if isinstance(rows, list) else []:
                if isinstance(row, dict):
                    (desk.meta_ids if kind == "meta_data" else desk.order_ids).seen(row.get("id"))

    def generate(
        self,
        count: int,
        lines: int = 2,
        skus: Iterable[str] = (),
        *,
        spread_seconds: float = 0,
        mail_domain: str = MAIL_DOMAIN,
        announce: bool = False,
    ) -> list[int]:
        """Make valid, paid processing orders; their dates end now and cover ``spread_seconds``.

        Every order has a buyer of its own, and two shops that make the same orders have the same buyers
        where their ``mail_domain`` is the same.
        """
        with self._lock:
            now = self.clock()
            step = spread_seconds / max(count - 1, 1)
            moments = [
                gmt_text(now - timedelta(seconds=step * (count - 1 - place))) for place in range(count)
            ]
            shape = next(body for body in recorded_orders() if body["id"] == 60)
            made = generated_orders(
                shape,
                self._desk,
                moments=moments,
                lines=lines,
                skus=list(skus),
                site=self.site(),
                mail_domain=mail_domain,
            )
            ids = []
            for body in made:
                order = StoredOrder(body, moments[0])
                self._orders[order.id] = order
                self._index.put(order)
                self._notes[order.id], self._refunds[order.id] = [], []
                ids.append(order.id)
        if announce:
            for order_id in ids:
                self.webhooks.announce(order_id, "created", "updated")
        return ids

    def create(self, data: JsonObject, *, checked: bool = True) -> int:
        """POST /orders. **A bad coupon leaves a checkout-draft order behind** (section 2)."""
        with self._lock:
            if checked:
                validate(data, self.statuses)
            order_id = self._desk.order_ids.next()
            body = empty_order(order_id, self.site(), self._desk)
            try:
                write_order(body, data, self._desk, self.statuses)
            except ApiError as error:
                if error.code == "woocommerce_rest_invalid_coupon":
                    body["status"] = "checkout-draft"
                    refresh_flags(body)
                    self._store(body)
                    error.data["new_draft_order_id"] = order_id
                raise
            if body["customer_id"]:
                customers = f"{self.site()}/wp-json/wc/v3/customers"
                body["_links"]["customer"] = [{"href": f"{customers}/{body['customer_id']}"}]
            self._store(body)
        self.webhooks.announce(order_id, "created", "updated")
        return order_id

    def _store(self, body: JsonObject) -> None:
        order = StoredOrder(body, body["date_modified_gmt"])
        self._orders[order.id] = order
        self._index.put(order)
        self._notes[order.id], self._refunds[order.id] = [], []

    def update(self, order_id: int, data: JsonObject, *, checked: bool = True) -> None:
        """PUT /orders/<id>. All of it is done, or nothing."""
        with self._lock:
            if checked:
                validate(data, self.statuses)
            order = self._find(order_id, writing=True)
            old = order.body
            new = _cheap_copy(old) if _CHEAP.issuperset(data) else json_copy(old)
            write_order(new, data, self._desk, self.statuses)
            # Section 5: order tables move the date at every PUT, even an empty one; posts storage
            # only when more than meta changed.
            if not self.legacy or _beyond_meta(old) != _beyond_meta(new):
                self._desk.set_date(new, "modified", self.now())
            order.body = new
            if old.get("status") != new["status"]:
                self._add_note(
                    order_id,
                    f"Order status changed from {old.get('status')} to {new['status']}.",
                    for_customer=False,
                )
            order.refresh()
            self._index.changed()
        self.webhooks.announce(order_id, "updated")

    def delete(self, order_id: int, *, force: bool = False) -> bytes:
        """DELETE: to the trash, or for good with ``force``. Answers the order as it was."""
        with self._lock:
            order = self._find(order_id)
            answer = self._bytes(order)
            if force:
                del self._orders[order_id]
                self._index.drop(order_id)
                return answer
            if order.status == "trash":
                message = "The shop_order has already been deleted."
                raise ApiError(410, "woocommerce_rest_already_trashed", message)
            new = _cheap_copy(order.body)
            moment = int(self.clock().timestamp())
            for key, value in (
                ("_wp_trash_meta_status", f"wc-{order.status}"),
                ("_wp_trash_meta_time", str(moment)),
            ):
                new["meta_data"].append({"id": self._desk.meta_ids.next(), "key": key, "value": value})
            new["meta_data"].sort(key=lambda row: (row["key"], row["id"]))
            new["status"] = "trash"
            self._desk.set_date(new, "modified", self.now())
            order.body = new
            order.refresh()
            self._index.changed()
        self.webhooks.announce(order_id, "deleted")
        return answer

    def restore(self, order_id: int) -> None:
        """What "Restore" in the admin does: the status before the trash, and ``order.restored``."""
        with self._lock:
            order = self._find(order_id)
            if order.status != "trash":
                raise ApiError(400, "sandbox_not_in_trash", "The order is not in the trash.")
            new = _cheap_copy(order.body)
            before = next(
                (row["value"] for row in new["meta_data"] if row["key"] == "_wp_trash_meta_status"),
                "wc-pending",
            )
            new["meta_data"] = [
                row for row in new["meta_data"] if not row["key"].startswith("_wp_trash_meta_")
            ]
            new["status"] = str(before).removeprefix("wc-")
            self._desk.set_date(new, "modified", self.now())
            order.body = new
            order.refresh()
            self._index.changed()
        self.webhooks.announce(order_id, "restored")

    def touch(self, order_id: int, note: str | None = None) -> None:
        """Edit an order as a clerk in the shop would: the customer's note, and so the modified date."""
        with self._lock:
            order = self._find(order_id)
            now = self.now()
            new = dict(order.body)
            new["customer_note"] = f"Edited in the shop at {now}" if note is None else note
            self._desk.set_date(new, "modified", now)
            order.body = new
            order.refresh()
            self._index.changed()
        self.webhooks.announce(order_id, "updated")

    def batch(self, data: Any, *, fields: str = "") -> bytes:
        """/orders/batch (section 7): per-item errors in a 200, items not validated, 100 at most."""
        kinds = batch_items(data)
        if sum(map(len, kinds.values())) > BATCH_LIMIT:
            raise ApiError(
                413,
                "woocommerce_rest_request_entity_too_large",
                f"Unable to accept more than {BATCH_LIMIT} items for this request.",
            )
        if not kinds:
            return b"[]"
        answered = []
        for kind, items in kinds.items():
            parts = [self._batch_item(kind, item) for item in items]
            answered.append(b'"%s":[%s]' % (kind.encode(), b"" if fields else b",".join(parts)))
        return b"{" + b",".join(answered) + b"}"

    def _batch_item(self, kind: str, item: Any) -> bytes:
        named = item.get("id") if isinstance(item, dict) else item
        try:
            if kind == "create":
                return self.order_bytes(self.create(item if isinstance(item, dict) else {}, checked=False))
            order_id = _as_id(named)
            if kind == "delete":
                return self.delete(order_id, force=True)
            with self._lock:
                self.update(order_id, item if isinstance(item, dict) else {}, checked=False)
                return self.order_bytes(order_id)
        except ApiError as error:
            shown = 0 if kind == "create" else (named if isinstance(named, int | str) else None)
            return encode({"id": shown, "error": error.body()})

    # Notes and refunds

    def notes(self, order_id: int) -> list[JsonObject]:
        """The order's notes."""
        with self._lock:
            self._parent(order_id)
            return list(self._notes[order_id])

    def add_note(self, order_id: int, text: str, *, for_customer: bool) -> JsonObject:
        """POST a note: **does not move the modified date** (section 5), and fires no webhook."""
        with self._lock:
            self._parent(order_id)
            return self._add_note(order_id, text, for_customer=for_customer)

    def remove_note(self, order_id: int, note_id: int) -> None:
        """DELETE a note."""
        with self._lock:
            self._notes[order_id] = [one for one in self.notes(order_id) if one["id"] != note_id]

    def _add_note(self, order_id: int, text: str, *, for_customer: bool) -> JsonObject:
        now, note_id = self.now(), self._note_ids.next()
        base = f"{self.site()}/wp-json/wc/v3/orders/{order_id}"
        note: JsonObject = {
            "id": note_id,
            "author": "WooCommerce",
            "date_created": local_text(now, self._zone),
            "date_created_gmt": now,
            "note": text,
            "customer_note": for_customer,
            "_links": {
                "self": [{"href": f"{base}/notes/{note_id}", "targetHints": {"allow": ["GET", "DELETE"]}}],
                "collection": [{"href": f"{base}/notes"}],
                "up": [{"href": base}],
            },
        }
        self._notes[order_id].append(note)
        return note

    def _parent(self, order_id: int) -> StoredOrder:
        order = self._orders.get(order_id)
        if order is None:
            raise ApiError(404, "woocommerce_rest_order_invalid_id", "Invalid order ID.")
        return order

    def refunds(self, order_id: int) -> list[JsonObject]:
        """The order's refunds, newest first."""
        with self._lock:
            self._parent(order_id)
            return list(reversed(self._refunds[order_id]))

    def refund(self, order_id: int, data: JsonObject) -> JsonObject:
        """POST a refund: the total stays gross; a refund of the whole sets ``refunded`` (section 8).

        It moves the modified date in both storages (section 5). Its id is of the orders' sequence.
        """
        with self._lock:
            order = self._parent(order_id)
            new = json_copy(order.body)
            refund = _new_refund(new, data, self._desk, self.site())
            new["refunds"] = [
                {
                    "id": refund["id"],
                    "reason": refund["reason"],
                    "total": f"-{refund['amount']}",
                    "total_tax": amount_text(-refund.pop("_tax_cents")),
                },
                *new["refunds"],
            ]
            if sum(cents(row["total"]) for row in new["refunds"]) + cents(new["total"]) <= 0:
                set_status(new, "refunded", self._desk)
            self._desk.set_date(new, "modified", self.now())
            self._refunds[order_id].append(refund)
            order.body = new
            order.refresh()
            self._index.changed()
        self.webhooks.announce(order_id, "updated")
        return refund


def batch_items(data: Any) -> dict[str, list[Any]]:
    """What a batch asks for, by kind, in the order in which it is done."""
    kinds: dict[str, list[Any]] = {}
    for kind in ("create", "update", "delete"):
        items = data.get(kind) if isinstance(data, dict) else None
        if isinstance(items, list) and items:
            kinds[kind] = items
    return kinds


def _as_id(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _cheap_copy(body: JsonObject) -> JsonObject:
    """A copy deep enough for a write of meta and status."""
    new = dict(body)
    rows = body.get("meta_data")
    new["meta_data"] = [dict(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if isinstance(body.get("billing"), dict):
        new["billing"] = dict(body["billing"])
    return new


def _beyond_meta(body: JsonObject) -> JsonObject:
    return {name: value for name, value in body.items() if name != "meta_data"}


def _without_fractions(body: JsonObject) -> JsonObject:
    """Quantities cut to whole numbers, totals unchanged (section 8)."""
    lines = [line for line in body.get("line_items") or [] if isinstance(line, dict)]
    if not any(isinstance(line.get("quantity"), float) for line in lines):
        return body
    shown = []
    for line in lines:
        quantity = whole(line.get("quantity"))
        shown.append({**line, "quantity": quantity, "price": unit_price(cents(line.get("total")), quantity)})
    return {**body, "line_items": shown}


def _refund_bodies(body: JsonObject) -> list[JsonObject]:
    """The refunds of an order that came with some: the order names only their amounts."""
    rows = body.get("refunds")
    return [
        {
            "id": row.get("id"),
            "date_created": body.get("date_modified"),
            "date_created_gmt": body.get("date_modified_gmt"),
            "amount": amount_text(-cents(row.get("total"))),
            "reason": row.get("reason"),
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": [],
            "line_items": [],
            "shipping_lines": [],
            "tax_lines": [],
            "fee_lines": [],
        }
        for row in reversed(rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    ]


def _new_refund(body: JsonObject, data: JsonObject, desk: Desk, site: str) -> JsonObject:
    refund_id, now = desk.order_ids.next(), desk.now()
    asked = data.get("line_items")
    lines, tax_cents, lines_cents = [], 0, 0
    for item in asked if isinstance(asked, list) else []:
        line = next((one for one in body["line_items"] if one["id"] == item.get("id")), None)
        if line is None:
            continue
        taxes = [
            {"id": tax.get("id"), "total": amount_text(-cents(tax.get("refund_total")))}
            for tax in item.get("refund_tax") or []
        ]
        tax = -sum(cents(one["total"]) for one in taxes)
        total = cents(item.get("refund_total"))
        tax_cents, lines_cents = tax_cents + tax, lines_cents + total + tax
        origin = {"key": "_refunded_item_id", "value": str(line["id"])}
        shown = {f"display_{name}": value for name, value in origin.items()}
        lines.append(
            {
                **line,
                "id": desk.item_ids.next(),
                "quantity": plain_number(-float(item.get("quantity") or 0)),
                "subtotal": amount_text(-total),
                "subtotal_tax": amount_text(-tax),
                "total": amount_text(-total),
                "total_tax": amount_text(-tax),
                "taxes": [{**one, "subtotal": one["total"]} for one in taxes],
                "meta_data": [{"id": desk.meta_ids.next(), **origin, **shown}],
            }
        )
    amount = cents(data["amount"]) if data.get("amount") is not None else lines_cents
    if amount <= 0:
        raise ApiError(
            400, "woocommerce_rest_invalid_order_refund", "Refund amount must be greater than zero."
        )
    if amount > cents(body["total"]) + sum(cents(row["total"]) for row in body["refunds"]):
        raise ApiError(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.")
    base = f"{site}/wp-json/wc/v3/orders/{body['id']}"
    return {
        "id": refund_id,
        "date_created": local_text(now, desk.zone()),
        "date_created_gmt": now,
        "amount": amount_text(amount),
        "reason": str(data.get("reason") or ""),
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": [],
        "line_items": lines,
        "shipping_lines": [],
        "tax_lines": [],
        "fee_lines": [],
        "_links": {
            "self": [{"href": f"{base}/refunds/{refund_id}", "targetHints": {"allow": ["GET", "DELETE"]}}],
            "collection": [{"href": f"{base}/refunds"}],
            "up": [{"href": base}],
        },
        "_tax_cents": tax_cents,
    }
