"""Orders: how each stands, and trying them again."""

from collections.abc import Mapping
from typing import Any

from app.ports.accounts import Scope
from app.ports.listing import ListFilter
from app.sync.overview import known_site
from app.sync.panel import remote
from app.sync.resume import How
from app.web.api import access, paging, schemas
from app.web.api.operations import Operations
from app.web.people import People


def operations(people: People) -> Operations:
    """What can be asked and done about orders."""
    orders = Operations(people, "orders", "Orders: how each stands, and trying them again.")
    panel = people.panel

    @orders.reads(
        "/orders", Scope.ORDERS_READ, schemas.paged(schemas.OrderRow, "OrderPage"), query=schemas.OrdersWanted
    )
    def listed(wanted: Mapping[str, Any]) -> Any:
        """The orders, the newest first."""
        if "site" in wanted:
            known_site(panel.parts, wanted["site"])
        which = ListFilter(
            site=wanted.get("site"),
            state=wanted.get("state"),
            text=wanted["text"],
            since=wanted.get("since"),
            number=wanted.get("number"),
            run_id=wanted.get("run"),
            updated_since=wanted.get("updated_since"),
            amended=wanted.get("amended"),
        )
        return paging.page(
            wanted,
            lambda before, limit: panel.store.listed_orders(which, before=before, limit=limit),
            lambda order: order.id,
        )

    @orders.reads("/orders/<id:order_id>", Scope.ORDERS_READ, schemas.Order)
    def shown(order_id: int) -> Any:
        """One order with its lines, addresses and errors, and all that has happened to it."""
        return remote.order_page(panel, order_id)

    @orders.does(
        "/orders/<id:order_id>/retry",
        Scope.ERRORS_WRITE,
        "orders.retry",
        schemas.Outcome,
        body=schemas.RetryAsked,
    )
    def retried(asked: Mapping[str, Any], order_id: int) -> Any:
        """Try an order again at once, whether it stands in error or is held."""
        how = How(by=access.name(), held=True)
        result = remote.retry_order(panel, order_id, how, dry_run=asked["dry_run"], ring=orders.ring)
        return remote.outcome(result)

    return orders
