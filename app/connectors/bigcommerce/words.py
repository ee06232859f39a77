"""What each credential and setting of a BigCommerce store is, for whoever types it."""

WORDS = {
    "token": "The access token of a store-level API account (Orders: modify, Order transactions: read-only).",
    "client_secret": "The client secret of the same API account; only webhooks need it.",
    "statuses": "Statuses that are read, ids or labels, with commas between; 11 is Awaiting Fulfillment.",
    "ack_status": "The status that an order gets when it was taken over; 9 is Awaiting Shipment.",
    "note_text": "How our line in the staff notes begins, which is the mark.",
    "watch_acknowledged": "Polling also reads orders that carry our mark, so that edits after the export are seen without webhooks.",
    "transactions": "Whether payments are asked for: always, never, or when_needed.",
    "tender": "Store credit and gift certificates stand outside of the total or have lowered it (inside); auto tries both.",
    "fees_in_total": "Whether the order's fees are part of its total: yes, no, or auto, which tries both.",
    "pay_later_methods": "Payment methods, by their display names, that need no payment yet, with commas between.",
    "several_addresses": "An order for several addresses is rejected (reject), or is one order for each address (split).",
    "take_test_payments": "Take orders that were paid with test money only.",
    "parallel": "Calls at a time of one task, where orders are updated or looked up one by one.",
    "calls_at_once": "Calls that run at a time, from all processes together.",
    "quota_reserve": "Requests of each window that are left to other apps; never more than half of the quota.",
}
