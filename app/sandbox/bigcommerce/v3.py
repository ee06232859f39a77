"""The routes of V3: ``data`` and ``meta`` around everything (contract sections 7, 8 and 11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, g

from .access import ORDERS, ORDERS_READ, TRANSACTIONS_READ
from .answers import ApiError, JsonObject, encode
from .common import JSON, Route, body_of_request, nothing, parameters
from .dates import iso_text, read_date
from .state import Store

_MOST_METAFIELDS = 250
_METAFIELD = ("permission_set", "namespace", "key", "value")
_PERMISSIONS = ("app_only", "read", "write", "read_and_sf_access", "write_and_sf_access")


def _one(data: Any, status: int = 200) -> Response:
    return Response(encode({"data": data, "meta": {}}), status, content_type=JSON)


def _whole(values: dict[str, str], name: str, default: int) -> int:
    text = values.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ApiError(422, "A parameter is not valid.", {name: "must be a number above 0"})
    return int(text)


def _paged(rows: Sequence[Any]) -> Response:
    """A page of rows, with ``meta.pagination``."""
    values = parameters()
    page, limit = _whole(values, "page", 1), min(_whole(values, "limit", 50), 250)
    pages = -(-len(rows) // limit)
    shown = rows[(page - 1) * limit : page * limit]
    links = {"current": f"?page={page}&limit={limit}"}
    if page > 1:
        links["previous"] = f"?page={page - 1}&limit={limit}"
    if page < pages:
        links["next"] = f"?page={page + 1}&limit={limit}"
    pagination = {
        "total": len(rows),
        "count": len(shown),
        "per_page": limit,
        "current_page": page,
        "total_pages": pages,
        "links": links,
    }
    return Response(encode({"data": list(shown), "meta": {"pagination": pagination}}), content_type=JSON)


class V3:
    """The V3 routes of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[Route]:
        """All of them. Hooks need no scope."""
        read, write = (ORDERS, ORDERS_READ), (ORDERS,)
        order, money = "/orders/<int:order_id>", (TRANSACTIONS_READ,)
        return [
            ("GET", f"{order}/transactions", self.transactions, money),
            ("GET", f"{order}/payment_actions/refunds", self.refunds_of, money),
            ("GET", "/orders/payment_actions/refunds", self.refunds, money),
            ("GET", f"{order}/metafields", self.metafields, read),
            ("POST", f"{order}/metafields", self.add_metafield, write),
            ("GET", "/hooks", self.hooks, ()),
            ("POST", "/hooks", self.add_hook, ()),
            ("GET", "/hooks/<int:hook_id>", self.hook, ()),
            ("PUT", "/hooks/<int:hook_id>", self.change_hook, ()),
            ("DELETE", "/hooks/<int:hook_id>", self.delete_hook, ()),
        ]

    def transactions(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/transactions: 204 if there are none, no pages."""
        rows = self.store.find(order_id).transactions
        return _one(rows) if rows else nothing()

    def refunds_of(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/payment_actions/refunds."""
        return _one(self.store.find(order_id).refunds)

    def refunds(self, **_: str) -> Response:
        """GET /orders/payment_actions/refunds, by ``order_id:in``, ``created:min`` and ``created:max``."""
        values = parameters()
        rows = [row for order in self.store.all_orders() for row in order.refunds]
        if "order_id:in" in values:
            wanted = set(values["order_id:in"].split(","))
            rows = [row for row in rows if str(row["order_id"]) in wanted]
        for name, sign in (("created:min", 1), ("created:max", -1)):
            edge = read_date(values[name]) if name in values else None
            if edge is not None:
                text = iso_text(edge)
                rows = [
                    row for row in rows if row["created"] == text or (row["created"] > text) == (sign > 0)
                ]
        return _paged(rows)

    def metafields(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/metafields: an account sees its own."""
        rows = self.store.find(order_id).metafields
        return _paged([row for row in rows if row["owner_client_id"] == g.token.client_id])

    def add_metafield(self, order_id: int, **_: str) -> Response:
        """POST /orders/<id>/metafields: 409 for a namespace and key that the account has used already."""
        order, data = self.store.find(order_id), body_of_request()
        if not isinstance(data, dict):
            raise ApiError(422, "The body is not a JSON object.", {})
        missing = {name: "is required" for name in _METAFIELD if not isinstance(data.get(name), str)}
        if missing or data["permission_set"] not in _PERMISSIONS:
            raise ApiError(422, "The metafield is not valid.", missing or {"permission_set": "is not known"})
        now = iso_text(self.store.now())
        row: JsonObject = {
            **{name: data[name] for name in _METAFIELD},
            "description": str(data.get("description") or ""),
            "resource_type": "order",
            "resource_id": order_id,
            "owner_client_id": g.token.client_id,
            "date_created": now,
            "date_modified": now,
        }
        return _one(self.store.add_metafield(order, row, most=_MOST_METAFIELDS))

    # Hooks

    def hooks(self, **_: str) -> Response:
        """GET /hooks: the account's own, by ``scope``, ``destination`` and ``is_active``."""
        values, book = parameters(), self.store.hooks.book
        rows = [book.shown(hook) for hook in book.of(g.token.client_id)]
        for name in ("scope", "destination"):
            if name in values:
                rows = [row for row in rows if row[name] == values[name]]
        if "is_active" in values:
            wanted = values["is_active"].lower() in ("true", "1")
            rows = [row for row in rows if row["is_active"] == wanted]
        return _paged(rows)

    def add_hook(self, **_: str) -> Response:
        """POST /hooks."""
        book = self.store.hooks.book
        return _one(book.shown(book.create(g.token.client_id, body_of_request())))

    def hook(self, hook_id: int, **_: str) -> Response:
        """GET /hooks/<id>."""
        book = self.store.hooks.book
        return _one(book.shown(book.get(g.token.client_id, hook_id)))

    def change_hook(self, hook_id: int, **_: str) -> Response:
        """PUT /hooks/<id>."""
        book = self.store.hooks.book
        return _one(book.shown(book.update(g.token.client_id, hook_id, body_of_request())))

    def delete_hook(self, hook_id: int, **_: str) -> Response:
        """DELETE /hooks/<id>."""
        book = self.store.hooks.book
        return _one(book.shown(book.delete(g.token.client_id, hook_id)))
