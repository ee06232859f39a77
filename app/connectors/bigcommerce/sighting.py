"""What reading needs to know of an order, taken from a body that nobody has checked yet. Pure, and never fails."""

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import consignments, groups, notes
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.statuses import status_text
from app.connectors.bigcommerce.values import moment, money
from app.domain.money import ZERO
from app.ports.sales_channel import Listed, Seen

_PASSING = frozenset(
    (
        consignments.PARTS,
        "custom_status",
        "date_modified",
        "date_shipped",
        "items_shipped",
        "quantity_shipped",
        "shipping_quotes",
        "staff_notes",
        "status",
        "status_id",
        "fulfillment_source",
        "bin_picking_number",
    )
)
"""What changes without the order changing: by our own write, by shipping it, or by the merchant's renaming of a status.

`status_id` and `staff_notes` count, in a form that our own mark does not change.
"""
_PAID = frozenset(("authorized", "captured", "capture pending", "paid"))
"""Money that is on its way from one of these to the next is the same order (contract, section 4)."""
_GROSS = ("subtotal_inc_tax", "shipping_cost_inc_tax", "handling_cost_inc_tax", "wrapping_cost_inc_tax")
_ENCODER = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)


class Sighter:
    """Knows the ids of the statuses that the site reads and of the one that our acknowledgement sets."""

    def __init__(self, *, settings: Settings, read: frozenset[int], acknowledged: int) -> None:
        self._settings = settings
        self.read = read
        self.acknowledged = acknowledged

    def seen(self, *, platform_order_id: str, body: str, given: dict[str, Any]) -> Seen:
        """`given` is `body`, parsed. Parts that cannot be read are None or empty; normalizing names what is wrong with them."""
        modified = given.get("date_modified")
        return Seen(
            platform_order_id=platform_order_id,
            body=body,
            content_hash=self.content_hash(given),
            status=status_text(given.get("status_id")),
            modified_raw=modified if isinstance(modified, str) else "",
            modified_at=time_of(modified),
            created_at=time_of(given.get("date_created")),
            gross=_gross(given),
            eligible=self.is_eligible(given),
            marked=self.is_marked(given),
            number=platform_order_id.replace(".", "-"),
        )

    def listed(self, *, platform_order_id: str, given: dict[str, Any], total: Decimal | None) -> Listed:
        """The same order in a short list."""
        return Listed(
            platform_order_id=platform_order_id,
            number=platform_order_id.replace(".", "-"),
            status=status_text(given.get("status_id")),
            eligible=self.is_eligible(given),
            total=total,
            created_at=time_of(given.get("date_created")),
            modified_at=time_of(given.get("date_modified")),
        )

    def is_marked(self, given: dict[str, Any]) -> bool:
        """Whether our line stands in the staff notes, for the address that `given` stands for."""
        return notes.is_marked(
            given.get("staff_notes"),
            note_text=self._settings.note_text,
            group=groups.stands_for(given),
            of=self.count_of(given),
        )

    def count_of(self, given: dict[str, Any]) -> int:
        """How many orders of ours this order of the platform's is."""
        return groups.count_of(given) if self._settings.several_addresses == "split" else 1

    def unmarked(self, given: dict[str, Any]) -> list[int]:
        """The addresses that do not carry our mark yet."""
        return [
            group
            for group in range(1, self.count_of(given) + 1)
            if not self.is_marked({**given, groups.GROUP: group})
        ]

    def ids_of(self, order_id: str, given: dict[str, Any]) -> list[str]:
        """The ids of the orders of ours that this order of the platform's is."""
        return [groups.named(order_id, group) for group in range(1, self.count_of(given) + 1)]

    def seen_as(self, platform_order_id: str, body: str, given: dict[str, Any]) -> Seen:
        """The order of ours with this id, from the platform's order that it is, or is a part of."""
        its_body, its_given = groups.with_group(body, given, groups.group_of(platform_order_id))
        return self.seen(platform_order_id=platform_order_id, body=its_body, given=its_given)

    def is_eligible(self, given: dict[str, Any]) -> bool:
        """Whether the status is one that is read, or the one our mark comes with; never for an archived order."""
        status = given.get("status_id")
        if given.get("is_deleted") is True or isinstance(status, bool):
            return False
        return status in self.read or (status == self.acknowledged and self.is_marked(given))

    def content_hash(self, given: dict[str, Any]) -> str:
        """A hash that an edit changes, and that our own mark, a re-read or a shipment does not."""
        content = _content(given)
        status = given.get("status_id")
        # Our acknowledgement moves the order from a status we read to `ack_status`. Both sides of that move have to hash
        # alike, or every order would come back as edited.
        ours = status in self.read or status == self.acknowledged
        content["status_id"] = "read or acknowledged" if ours else status
        content["staff_notes"] = notes.without_mark(
            given.get("staff_notes"), note_text=self._settings.note_text
        )
        if content.get("payment_status") in _PAID:
            content["payment_status"] = "paid or on its way"
        return hashlib.sha256(_ENCODER.encode(content).encode()).hexdigest()


def time_of(value: Any) -> datetime | None:
    """A date of theirs, None where it cannot be read."""
    try:
        return moment(value)
    except ValueError:
        return None


def _gross(given: dict[str, Any]) -> Decimal | None:
    try:
        return sum((money(given[key]) for key in _GROSS), ZERO)
    except (KeyError, ValueError):
        return None


def _content(value: Any) -> Any:
    """The value without what passes and without links; lists in a fixed order, since theirs has no meaning."""
    if isinstance(value, dict):
        return {
            key: _content(each)
            for key, each in value.items()
            if key not in _PASSING and not consignments.is_link(each)
        }
    if isinstance(value, list):
        return sorted(
            (_content(each) for each in value if not consignments.is_link(each)), key=_ENCODER.encode
        )
    return value
