"""The routes of V2: bare arrays, 204 for what is empty (contract sections 2, 5, 6 and 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from .access import INFORMATION_READ, ORDERS, ORDERS_READ
from .answers import JsonObject, encode, not_found
from .common import JSON, Route, body_of_request, nothing, parameters
from .listing import check_names, cut, read_shown, select
from .state import Store
from .views import tax_row

Make = Callable[[], Any]
_PAGED = ("page", "limit")
_SHOWN = ("include", "consignment_structure")


class V2:
    """The V2 routes of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[Route]:
        """All of them."""
        read, write, about = (ORDERS, ORDERS_READ), (ORDERS,), (INFORMATION_READ,)
        order, shipment = "/orders/<int:order_id>", "/shipments/<int:row_id>"
        return [
            ("GET", "/orders", self.list_orders, read),
            ("GET", "/orders/count", self.count, read),
            ("GET", "/order_statuses", self.statuses, (*read, *about)),
            ("GET", order, self.get_order, read),
            ("PUT", order, self.put_order, write),
            ("DELETE", order, self.archive, write),
            ("GET", f"{order}/products", self.products, read),
            ("GET", f"{order}/products/<int:row_id>", self.product, read),
            ("GET", f"{order}/shipping_addresses", self.addresses, read),
            ("GET", f"{order}/shipping_addresses/<int:row_id>", self.address, read),
            ("GET", f"{order}/coupons", self.coupons, read),
            ("GET", f"{order}/taxes", self.taxes, read),
            ("GET", f"{order}/fees", self.fees, read),
            ("GET", f"{order}/messages", self.messages, read),
            ("GET", f"{order}/consignments", self.consignments, read),
            ("GET", f"{order}/shipments", self.shipments, read),
            ("POST", f"{order}/shipments", self.ship, write),
            ("GET", f"{order}{shipment}", self.shipment, read),
            ("DELETE", f"{order}{shipment}", self.delete_shipment, write),
            ("GET", "/store", self.about, about),
            ("GET", "/time", self.time, ()),
        ]

    def _answer(self, make: Make) -> Response:
        return Response(self.store.read(make), content_type=JSON)

    def _rows(self, make: Make) -> Response:
        """A collection; empty it is a 204 without a body, or ``[]`` where the store is switched so."""
        body = self.store.read(make)
        if body == b"[]" and self.store.switches.empty_is_204:
            return nothing()
        return Response(body, content_type=JSON)

    def _page(self, make: Callable[[], Sequence[JsonObject]], also: tuple[str, ...] = ()) -> Response:
        """A page of an order's rows."""
        values = parameters()
        check_names(values, (*_PAGED, *also))
        return self._rows(lambda: cut(make(), values))

    @staticmethod
    def _one(rows: Sequence[JsonObject], row_id: int) -> JsonObject:
        found = next((row for row in rows if row["id"] == row_id), None)
        if found is None:
            raise not_found()
        return found

    # Orders

    def list_orders(self, **_: str) -> Response:
        """GET /orders."""
        values, store = parameters(), self.store
        shown = read_shown(values)

        def page() -> list[JsonObject]:
            chosen = select(
                store.all_orders(),
                values,
                archived_too=store.switches.archived_in_lists,
                date_ends=store.switches.date_ends_included,
            )
            return [
                store.views.order(order, shown.include, as_object=shown.as_object)
                for order in cut(chosen, values)
            ]

        return self._rows(page)

    def count(self, **_: str) -> Response:
        """GET /orders/count."""
        status_ids = [order.status_id for order in self.store.all_orders()]
        return self._answer(lambda: self.store.labels.counts(status_ids))

    def statuses(self, **_: str) -> Response:
        """GET /order_statuses."""
        return self._rows(self.store.labels.rows)

    def get_order(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>; an archived one is answered too."""
        values = parameters()
        check_names(values, _SHOWN)
        shown, order = read_shown(values), self.store.find(order_id)
        return self._answer(lambda: self.store.views.order(order, shown.include, as_object=shown.as_object))

    def put_order(self, order_id: int, **_: str) -> Response:
        """PUT /orders/<id>: the whole order, nothing side-loaded."""
        self.store.find(order_id)
        return Response(encode(self.store.put(order_id, body_of_request())), content_type=JSON)

    def archive(self, order_id: int, **_: str) -> Response:
        """DELETE /orders/<id>."""
        self.store.archive(order_id)
        return nothing()

    # Rows of an order

    def products(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/products: **50 lines where no limit is named**."""
        return self._page(lambda: self.store.views.lines(self.store.find(order_id)))

    def product(self, order_id: int, row_id: int, **_: str) -> Response:
        """GET /orders/<id>/products/<id>."""
        return self._answer(lambda: self._one(self.store.views.lines(self.store.find(order_id)), row_id))

    def addresses(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/shipping_addresses."""
        return self._page(lambda: self.store.views.addresses(self.store.find(order_id)))

    def address(self, order_id: int, row_id: int, **_: str) -> Response:
        """GET /orders/<id>/shipping_addresses/<id>."""
        return self._answer(lambda: self._one(self.store.views.addresses(self.store.find(order_id)), row_id))

    def coupons(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/coupons."""
        return self._page(lambda: self.store.find(order_id).coupons)

    def taxes(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/taxes."""
        details = parameters().get("details") == "true"
        rows = self.store.find(order_id).taxes
        return self._page(lambda: [tax_row(row, details=details) for row in rows], ("details",))

    def fees(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/fees: an object, unlike the other collections."""
        return self._answer(lambda: {"fees": self.store.find(order_id).fees})

    def messages(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/messages."""
        return self._page(lambda: self.store.find(order_id).messages)

    def consignments(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/consignments."""
        values = parameters()
        check_names(values, _SHOWN)
        with_lines = "consignments.line_items" in read_shown(values).include
        order = self.store.find(order_id)
        return self._answer(lambda: self.store.views.consignments(order, with_lines=with_lines))

    def shipments(self, order_id: int, **_: str) -> Response:
        """GET /orders/<id>/shipments."""
        return self._page(lambda: self.store.find(order_id).shipments)

    def ship(self, order_id: int, **_: str) -> Response:
        """POST /orders/<id>/shipments."""
        self.store.find(order_id)
        return Response(encode(self.store.ship(order_id, body_of_request())), 201, content_type=JSON)

    def shipment(self, order_id: int, row_id: int, **_: str) -> Response:
        """GET /orders/<id>/shipments/<id>."""
        return self._answer(lambda: self._one(self.store.find(order_id).shipments, row_id))

    def delete_shipment(self, order_id: int, row_id: int, **_: str) -> Response:
        """DELETE /orders/<id>/shipments/<id>: **what was shipped stays shipped**."""
        self.store.delete_shipment(order_id, row_id)
        return nothing()

    # The store

    def about(self, **_: str) -> Response:
        """GET /store."""
        return self._answer(self.store.about)

    def time(self, **_: str) -> Response:
        """GET /time: seconds since 1970."""
        return self._answer(lambda: {"time": int(self.store.clock().timestamp())})
