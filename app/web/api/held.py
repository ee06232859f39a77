"""Orders that wait for something outside of them."""

from collections.abc import Mapping
from typing import Any

from app.domain.road import State
from app.ports.accounts import Scope
from app.ports.listing import ListFilter
from app.sync.overview import known_site
from app.web.api import paging, schemas
from app.web.api.operations import Operations
from app.web.people import People


def operations(people: People) -> Operations:
    """What can be asked about held orders; `retry` tries one at once."""
    held = Operations(people, "held", "Orders that wait: for an item to be known, or for the ERP to be open.")
    panel = people.panel

    @held.reads("/held", Scope.ORDERS_READ, schemas.paged(schemas.Held, "HeldPage"), query=schemas.HeldWanted)
    def waiting(wanted: Mapping[str, Any]) -> Any:
        """The orders that are held, the newest first."""
        if "site" in wanted:
            known_site(panel.parts, wanted["site"])
        which = ListFilter(site=wanted.get("site"), state=State.HELD)
        return paging.page(
            wanted,
            lambda before, limit: panel.store.listed_orders(which, before=before, limit=limit),
            lambda order: order.id,
        )

    return held
