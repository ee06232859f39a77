"""The fifteen order statuses; only their labels can be changed (contract section 6)."""

from __future__ import annotations

from .answers import JsonObject

SHIPPED, PARTIALLY_SHIPPED, REFUNDED, COMPLETED, AWAITING_FULFILLMENT, PARTIALLY_REFUNDED = (
    2,
    3,
    4,
    10,
    11,
    14,
)

_BY_POSITION = (
    (0, "Incomplete", "The shopper saw the payment page and did not pay."),
    (1, "Pending", "The shopper began to check out and did not finish."),
    (7, "Awaiting Payment", "Ordered; the payment is not confirmed yet."),
    (11, "Awaiting Fulfillment", "Ordered and paid."),
    (9, "Awaiting Shipment", "Packed; waits for the carrier."),
    (8, "Awaiting Pickup", "Packed; waits for the shopper."),
    (3, "Partially Shipped", "Some of the items have been sent."),
    (10, "Completed", "Paid, and the files can be downloaded."),
    (2, "Shipped", "Sent; the receipt is not confirmed."),
    (5, "Cancelled", "Cancelled by the seller."),
    (6, "Declined", "Declined by the seller."),
    (4, "Refunded", "The money was given back."),
    (13, "Disputed", "The shopper disputes the payment."),
    (12, "Manual Verification Required", "On hold until a person has looked at it."),
    (14, "Partially Refunded", "Some of the money was given back."),
)
NAMES = {status_id: name for status_id, name, _ in _BY_POSITION}


class Labels:
    """The names that a merchant gives the statuses. Two statuses may get the same one."""

    def __init__(self) -> None:
        self._labels: dict[int, str] = dict(NAMES)

    def set(self, status_id: int, label: str) -> None:
        """Rename a status."""
        self._labels[status_id] = label

    def of(self, status_id: int) -> str:
        """The merchant's name of a status."""
        return self._labels.get(status_id, "Unknown")

    def rows(self) -> list[JsonObject]:
        """What ``/order_statuses`` answers, by id; the position is called ``order`` there."""
        rows = [
            {
                "id": status_id,
                "name": name,
                "system_label": name,
                "custom_label": self._labels[status_id],
                "system_description": description,
                "order": position,
            }
            for position, (status_id, name, description) in enumerate(_BY_POSITION)
        ]
        return sorted(rows, key=lambda row: int(str(row["id"])))

    def counts(self, status_ids: list[int]) -> JsonObject:
        """What ``/orders/count`` answers, by position, which is called ``sort_order`` there."""
        rows = []
        for row in sorted(self.rows(), key=lambda one: int(one["order"])):
            position = row.pop("order")
            rows.append({**row, "count": status_ids.count(row["id"]), "sort_order": position})
        return {"statuses": rows, "count": len(status_ids)}
