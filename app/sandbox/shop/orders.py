"""What a write does to an order body (contract sections 2, 6 and 8)."""

from __future__ import annotations

import re
import secrets
import string
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from .answers import ApiError, JsonObject, ParamErrors, enum_text
from .dates import local_text
from .money import amount_text, cents, plain_number, recalculate, unit_price, unpadded

ADDRESS = (
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "city",
    "state",
    "postcode",
    "country",
)
BILLING = (*ADDRESS, "email", "phone")
SHIPPING = (*ADDRESS, "phone")
DEFAULT_SITE = "http://127.0.0.1:8090"
_TEXTS = ("customer_note", "payment_method", "payment_method_title", "transaction_id", "currency")
_LISTS = ("meta_data", "line_items", "shipping_lines", "fee_lines", "coupon_lines")
_MAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_SYMBOLS = {"USD": "$", "CAD": "$", "EUR": "&euro;", "GBP": "&pound;", "JPY": "&yen;"}
_KEY_LETTERS = string.ascii_letters + string.digits


class Sequence:
    """A counter of ids that never gives one that is in use."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def seen(self, value: Any) -> None:
        """An id that exists."""
        if isinstance(value, int):
            with self._lock:
                self._last = max(self._last, value)

    def next(self) -> int:
        """A new id."""
        with self._lock:
            self._last += 1
            return self._last


@dataclass(frozen=True)
class Product:
    """A product, or a variation of one, that order lines can name."""

    product_id: int
    variation_id: int
    sku: str
    name: str
    price_cents: int
    parent_name: str | None = None


class Catalogue:
    """The shop's products, learnt from the lines of its orders or added."""

    def __init__(self) -> None:
        self._by_sku: dict[str, Product] = {}
        self._by_id: dict[int, Product] = {}
        self.ids = Sequence()

    def learn(self, lines: Iterable[JsonObject]) -> None:
        """Take the products of order lines; typed lines and deleted products (product_id 0) are none."""
        for line in lines:
            product_id, variation_id = line.get("product_id") or 0, line.get("variation_id") or 0
            if not product_id or (variation_id or product_id) in self._by_id:
                continue
            quantity = line.get("quantity") or 0
            price = round(cents(line.get("subtotal")) / quantity) if quantity else 0
            self._put(
                Product(
                    product_id,
                    variation_id,
                    line.get("sku") or "",
                    line.get("name") or "",
                    price,
                    line.get("parent_name"),
                )
            )

    def _put(self, product: Product) -> Product:
        self._by_id[product.variation_id or product.product_id] = product
        if product.sku:
            self._by_sku.setdefault(product.sku, product)
        self.ids.seen(product.product_id)
        self.ids.seen(product.variation_id)
        return product

    def add(self, sku: str, name: str, price_cents: int) -> Product:
        """Add a simple product; an SKU that exists gives the product that has it."""
        known = self._by_sku.get(sku)
        return known or self._put(Product(self.ids.next(), 0, sku, name, price_cents))

    def by_sku(self, sku: str) -> Product | None:
        """The product of an SKU."""
        return self._by_sku.get(sku)

    def by_id(self, product_id: int) -> Product | None:
        """The product or variation of an id."""
        return self._by_id.get(product_id)

    def skus(self) -> list[str]:
        """All SKUs, in order."""
        return sorted(self._by_sku)


@dataclass(frozen=True)
class Coupon:
    """A coupon of the shop: a percentage, or an amount in cents off the cart."""

    code: str
    discount_type: str
    nominal: int


@dataclass
class Desk:
    """What a write needs to know of the shop."""

    zone: Callable[[], ZoneInfo]
    now: Callable[[], str]
    catalogue: Catalogue
    coupons: dict[str, Coupon]
    customers: set[int]
    order_ids: Sequence
    item_ids: Sequence
    meta_ids: Sequence

    def set_date(self, body: JsonObject, name: str, gmt: str | None) -> None:
        """Set ``date_<name>`` in both forms (section 4)."""
        body[f"date_{name}_gmt"] = gmt
        body[f"date_{name}"] = local_text(gmt, self.zone()) if gmt else None


def whole(value: Any) -> int:
    """A number cut to a whole one, as PHP casts: what is no number is 0."""
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def _not_of_type(errors: ParamErrors, name: str, item: str, kind: str) -> None:
    errors.add(name, "rest_invalid_type", f"{item} is not of type {kind}.", {"param": item})


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", value) is not None
    return isinstance(value, int) or (isinstance(value, float) and value == int(value))


def validate(data: JsonObject, statuses: list[str]) -> None:
    """The checks of a single write (section 2). **A batch does not make them** (section 7)."""
    errors = ParamErrors()
    if "status" in data and data["status"] not in statuses:
        errors.add("status", "rest_not_in_enum", f"status is not one of {enum_text(statuses)}.")
    if "customer_id" in data and not _is_integer(data["customer_id"]):
        _not_of_type(errors, "customer_id", "customer_id", "integer")
    if "set_paid" in data and not isinstance(data["set_paid"], bool | int | str):
        _not_of_type(errors, "set_paid", "set_paid", "boolean")
    for name in ("billing", "shipping"):
        if name in data and not isinstance(data[name], dict):
            _not_of_type(errors, name, name, "object")
    billing = data.get("billing")
    if isinstance(billing, dict) and "email" in billing and not _MAIL.fullmatch(str(billing["email"])):
        errors.add("billing", "rest_invalid_email", "Invalid email address.")
    for name in _LISTS:
        if name in data:
            _validate_list(errors, name, data[name])
    errors.raise_if_any()


def _validate_list(errors: ParamErrors, name: str, value: Any) -> None:
    if isinstance(value, str):
        value = [part for part in re.split(r"[\s,]+", value) if part]
    if not isinstance(value, list):
        _not_of_type(errors, name, name, "array")
        return
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            _not_of_type(errors, name, f"{name}[{place}]", "object")
        elif name == "line_items" and item.get("quantity") is not None and not _is_integer(item["quantity"]):
            _not_of_type(errors, name, f"{name}[{place}][quantity]", "integer")


def meta_value(value: Any) -> Any:
    """A meta value as it comes back, at once: true "1", false "", numbers as strings, objects as such."""
    if value is True:
        return "1"
    if value is False:
        return ""
    if isinstance(value, int | float):
        return str(plain_number(value))
    return value


def write_meta(body: JsonObject, rows: Any, meta_ids: Sequence) -> None:
    """Apply ``meta_data`` (section 6): by id or by key, null deletes, shown in the order of the keys."""
    if not isinstance(rows, list):
        return
    kept: list[JsonObject] = list(body.get("meta_data") or [])
    for row in rows:
        if not isinstance(row, dict) or not row.get("key"):
            continue
        key, value = str(row["key"]), meta_value(row.get("value"))
        if key == "_billing_email":
            body.setdefault("billing", {})["email"] = "" if value is None else str(value)
            continue
        if key == "_order_total":
            continue
        if row.get("id"):
            found = [known for known in kept if known["id"] == row["id"]]
        else:
            found = [known for known in kept if known["key"] == key]
        if value is None:
            kept = [known for known in kept if known not in found[:1]]
        elif found:
            found[0].update(key=key, value=value)
        else:
            kept.append({"id": meta_ids.next(), "key": key, "value": value})
    body["meta_data"] = sorted(kept, key=lambda known: (known["key"], known["id"]))


def _line_meta(rows: Any, meta_ids: Sequence) -> list[JsonObject]:
    shown = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("key") and row.get("value") is not None:
            key, value = str(row["key"]), meta_value(row["value"])
            shown.append(
                {
                    "id": meta_ids.next(),
                    "key": key,
                    "value": value,
                    "display_key": key,
                    "display_value": value,
                }
            )
    return shown


def _product_of(item: JsonObject, catalogue: Catalogue) -> Product | None:
    """The product a new line names; an SKU nobody has gives a line without product."""
    sku = item.get("sku")
    if sku:
        return catalogue.by_sku(str(sku))
    for name in ("variation_id", "product_id"):
        wanted = whole(item.get(name))
        if wanted:
            product = catalogue.by_id(wanted)
            if product is None:
                raise ApiError(400, "order_item_product_invalid_product_id", "Invalid product ID")
            return product
    raise ApiError(400, "woocommerce_rest_required_product_reference", "Product ID or SKU is required.")


def _new_line(item: JsonObject, desk: Desk) -> JsonObject:
    product = _product_of(item, desk.catalogue)
    quantity = whole(item.get("quantity", 1))
    listed = amount_text((product.price_cents if product else 0) * quantity)
    subtotal = cents(item.get("subtotal", item.get("total", listed)))
    total = cents(item.get("total", amount_text(subtotal)))
    return {
        "id": desk.item_ids.next(),
        "name": str(item.get("name") or (product.name if product else "")),
        "product_id": product.product_id if product else 0,
        "variation_id": product.variation_id if product else 0,
        "quantity": quantity,
        "tax_class": str(item.get("tax_class") or ""),
        "subtotal": amount_text(subtotal),
        "subtotal_tax": "0.00",
        "total": amount_text(total),
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": _line_meta(item.get("meta_data"), desk.meta_ids),
        "sku": product.sku if product else None,
        "global_unique_id": "",
        "price": unit_price(total, quantity),
        "image": {"id": "", "src": ""},
        "parent_name": product.parent_name if product else None,
    }


def _new_shipping(item: JsonObject, desk: Desk) -> JsonObject:
    if not item.get("method_id"):
        raise ApiError(400, "woocommerce_rest_invalid_shipping_item", "Shipping method ID is required.")
    return {
        "id": desk.item_ids.next(),
        "method_title": str(item.get("method_title") or ""),
        "method_id": str(item["method_id"]),
        "instance_id": str(item.get("instance_id") or ""),
        "total": amount_text(cents(item.get("total", "0"))),
        "total_tax": "0.00",
        "taxes": [],
        "tax_status": "taxable",
        "meta_data": _line_meta(item.get("meta_data"), desk.meta_ids),
    }


def _new_fee(item: JsonObject, desk: Desk) -> JsonObject:
    if not item.get("name"):
        raise ApiError(400, "woocommerce_rest_invalid_fee_item", "Fee name is required.")
    return {
        "id": desk.item_ids.next(),
        "name": str(item["name"]),
        "tax_class": str(item.get("tax_class") or ""),
        "tax_status": str(item.get("tax_status") or "taxable"),
        "amount": "",
        "total": amount_text(cents(item.get("total", "0"))),
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": _line_meta(item.get("meta_data"), desk.meta_ids),
    }


_MAKERS = {"line_items": _new_line, "shipping_lines": _new_shipping, "fee_lines": _new_fee}
_IDENTITY = {"line_items": "product_id", "shipping_lines": "method_id", "fee_lines": "name"}


def _write_lines(body: JsonObject, data: JsonObject, desk: Desk) -> bool:
    """Apply the lines of a write: with an id a line changes (a null product, method or name removes it)."""
    touched = False
    for kind, make in _MAKERS.items():
        items = data.get(kind)
        if not isinstance(items, list):
            continue
        for item in items:
            if not isinstance(item, dict):
                continue
            touched = True
            if not item.get("id"):
                body[kind] = [*body[kind], make(item, desk)]
                continue
            line = next((one for one in body[kind] if one["id"] == item["id"]), None)
            if line is None:
                message = "Order item ID provided is not associated with order."
                raise ApiError(400, "woocommerce_rest_invalid_item_id", message)
            if _IDENTITY[kind] in item and item[_IDENTITY[kind]] is None:
                body[kind] = [one for one in body[kind] if one is not line]
            else:
                _change_line(line, item)
    return touched


def _change_line(line: JsonObject, item: JsonObject) -> None:
    for name in ("name", "method_title", "method_id", "tax_class"):
        if name in line and name in item:
            line[name] = str(item[name])
    for name in ("subtotal", "total"):
        if name in line and name in item:
            line[name] = amount_text(cents(item[name]))
    if "quantity" in line:
        if "quantity" in item:
            line["quantity"] = whole(item["quantity"])
        line["price"] = unit_price(cents(line["total"]), line["quantity"])


def _write_coupons(body: JsonObject, items: Any, desk: Desk) -> None:
    """Apply coupons: codes are lower-cased, discounts not padded; an unknown one is a 400."""
    for item in items if isinstance(items, list) else []:
        code = str(item.get("code") or "").lower() if isinstance(item, dict) else ""
        coupon = desk.coupons.get(code)
        if coupon is None:
            message = f'Coupon "{code}" cannot be applied because it does not exist.'
            raise ApiError(400, "woocommerce_rest_invalid_coupon", message)
        lines = body["line_items"]
        base = sum(cents(line["total"]) for line in lines)
        off = base * coupon.nominal // 100 if coupon.discount_type == "percent" else min(coupon.nominal, base)
        left_off, left_base = off, base
        for line in lines:
            total = cents(line["total"])
            share = left_off * total // left_base if left_base else 0
            left_off, left_base = left_off - share, left_base - total
            line["total"] = amount_text(total - share)
            line["price"] = unit_price(total - share, line["quantity"])
        percent = coupon.discount_type == "percent"
        body["coupon_lines"].append(
            {
                "id": desk.item_ids.next(),
                "code": code,
                "discount": unpadded(off),
                "discount_tax": "0",
                "meta_data": [],
                "discount_type": coupon.discount_type,
                "nominal_amount": coupon.nominal if percent else plain_number(coupon.nominal / 100),
                "free_shipping": False,
            }
        )


def set_status(body: JsonObject, status: str, desk: Desk) -> None:
    """Give the order a status, and what follows from it.

    ``date_paid`` is set on processing orders without set_paid; for cash on delivery it stays null
    (section 8).
    """
    if body.get("status") == status:
        return
    body["status"] = status
    paid = status == "completed" or (status == "processing" and body.get("payment_method") != "cod")
    if paid and body.get("date_paid_gmt") is None:
        desk.set_date(body, "paid", desk.now())
    if status == "completed" and body.get("date_completed_gmt") is None:
        desk.set_date(body, "completed", desk.now())
    refresh_flags(body)


def refresh_flags(body: JsonObject) -> None:
    """The flags that follow from status and total."""
    status = body.get("status")
    body["is_editable"] = status in ("pending", "on-hold", "auto-draft", "checkout-draft")
    body["needs_payment"] = status in ("pending", "failed") and cents(body.get("total")) > 0


def _write_fields(body: JsonObject, data: JsonObject, desk: Desk) -> None:
    """Apply customer, texts and addresses."""
    customer = data.get("customer_id")
    if customer is not None:
        number = whole(customer) if _is_integer(customer) else -1
        if number and number not in desk.customers:
            raise ApiError(400, "woocommerce_rest_invalid_customer_id", "Customer ID is invalid.")
        body["customer_id"] = number
    for name in _TEXTS:
        if isinstance(data.get(name), str):
            body[name] = data[name]
    if isinstance(data.get("currency"), str):
        body["currency_symbol"] = _SYMBOLS.get(body["currency"], body["currency"])
    for kind, fields in (("billing", BILLING), ("shipping", SHIPPING)):
        given = data.get(kind)
        if isinstance(given, dict):
            if given.get("email") and not _MAIL.fullmatch(str(given["email"])):
                raise ApiError(400, "order_invalid_billing_email", "Invalid billing email address")
            body.setdefault(kind, {}).update(
                {name: str(given[name] or "") for name in fields if name in given}
            )


def write_order(body: JsonObject, data: JsonObject, desk: Desk, statuses: list[str]) -> None:
    """Apply a create or an update to a body. Unknown and read-only fields are ignored.

    A write of meta alone recalculates nothing; one with addresses or lines recalculates the totals.
    A status that is not registered becomes ``pending``: only a batch gets this far with one.
    """
    _write_fields(body, data, desk)
    touched = _write_lines(body, data, desk)
    if isinstance(data.get("coupon_lines"), list) and data["coupon_lines"]:
        _write_coupons(body, data["coupon_lines"], desk)
        touched = True
    if touched or isinstance(data.get("billing"), dict) or isinstance(data.get("shipping"), dict):
        recalculate(body)
        refresh_flags(body)
    write_meta(body, data.get("meta_data"), desk.meta_ids)
    if data.get("set_paid") in (True, 1, "1", "true") and body.get("date_paid_gmt") is None:
        desk.set_date(body, "paid", desk.now())
        if body["status"] in ("pending", "failed", "on-hold") and "status" not in data:
            set_status(body, "processing", desk)
    if "status" in data:
        status = data["status"]
        set_status(body, status if status in statuses else "pending", desk)


def links(order_id: int, customer: int, site: str) -> JsonObject:
    """The ``_links`` of an order."""
    base = f"{site}/wp-json/wc/v3/orders"
    allow = {"allow": ["GET", "POST", "PUT", "PATCH", "DELETE"]}
    found: JsonObject = {
        "self": [{"href": f"{base}/{order_id}", "targetHints": allow}],
        "collection": [{"href": base}],
        "email_templates": [{"embeddable": True, "href": f"{base}/{order_id}/actions/email_templates"}],
    }
    if customer:
        found["customer"] = [{"href": f"{site}/wp-json/wc/v3/customers/{customer}"}]
    return found


def order_key() -> str:
    """A new order key: a secret that lets anyone see and pay the order."""
    return "wc_order_" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(13))


def payment_url(order_id: int, key: str, site: str) -> str:
    """The link that goes with an order key."""
    return f"{site}/checkout/order-pay/{order_id}/?pay_for_order=true&key={key}"


def empty_order(order_id: int, site: str, desk: Desk) -> JsonObject:
    """A new order without content, in the field order of the recorded bodies."""
    key, now = order_key(), desk.now()
    local = local_text(now, desk.zone())
    return {
        "id": order_id,
        "parent_id": 0,
        "status": "pending",
        "currency": "USD",
        "version": "11.0.1",
        "prices_include_tax": False,
        "date_created": local,
        "date_modified": local,
        "discount_total": "0.00",
        "discount_tax": "0.00",
        "shipping_total": "0.00",
        "shipping_tax": "0.00",
        "cart_tax": "0.00",
        "total": "0.00",
        "total_tax": "0.00",
        "customer_id": 0,
        "order_key": key,
        "billing": dict.fromkeys(BILLING, ""),
        "shipping": dict.fromkeys(SHIPPING, ""),
        "payment_method": "",
        "payment_method_title": "",
        "transaction_id": "",
        "customer_ip_address": "",
        "customer_user_agent": "",
        "created_via": "rest-api",
        "customer_note": "",
        "date_completed": None,
        "date_paid": None,
        "cart_hash": "",
        "number": str(order_id),
        "meta_data": [],
        "line_items": [],
        "tax_lines": [],
        "shipping_lines": [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        "payment_url": payment_url(order_id, key, site),
        "is_editable": True,
        "needs_payment": False,
        "needs_processing": True,
        "date_created_gmt": now,
        "date_modified_gmt": now,
        "date_completed_gmt": None,
        "date_paid_gmt": None,
        "currency_symbol": "$",
        "_links": links(order_id, 0, site),
    }
