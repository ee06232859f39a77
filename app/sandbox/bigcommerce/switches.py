"""What differs from store to store, or is told by no text of the platform."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Switches:
    """What the platform does in one store or another, or what nothing says. All can be changed while it runs."""

    empty_is_204: bool = True
    """Empty collections and pages past the end have no body; off, they are ``200 []``."""
    archived_in_lists: bool = True
    """A list shows archived orders too, unless ``is_deleted`` is asked for."""
    date_ends_included: bool = True
    """A date filter's own second belongs to the range; off, it does not."""
    tender_in_total: bool = False
    """``total_inc_tax`` is already lowered by store credit and gift certificates. For orders made from then on."""
    fees_in_total: bool = False
    """``total_inc_tax`` holds the fees. For orders made from then on."""
    shipment_moves_status: bool = True
    """A shipment moves the order to Shipped or Partially Shipped."""
    allow_http_hooks: bool = False
    """Webhooks may go to plain http and to any port."""
    xml_unless_json_is_asked_for: bool = False
    """V2 answers XML to a request whose ``Accept`` does not name ``application/json``."""
