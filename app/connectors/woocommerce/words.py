"""What each credential and setting of a WooCommerce shop is, for whoever types it."""

WORDS = {
    "key": "The consumer key of a REST API key with Read/Write; it begins with ck_.",
    "secret": "The consumer secret of the same key; it begins with cs_.",
    "statuses": "Statuses that are read, with commas between; a leading wc- is taken off.",
    "mark_key": "The meta key of our mark, hidden from the customer; it may not begin with _.",
    "ack_status": "The status that an order gets together with the mark; none leaves it as it is.",
    "gift_card_by_difference": "A total that is lower than the lines is a gift card.",
    "pay_later_methods": "Payment methods whose orders need no date of payment, with commas between.",
    "store_credit_fee_names": "Negative fees of these names are store credit, with commas between.",
    "fractional_quantities": "The shop sells fractions of a piece.",
    "decimals": "Decimals that amounts are asked for with; 3 for shops in KWD and its like.",
    "calls_at_once": "Calls that run at a time with this key, from all processes together.",
    "calls_per_minute": "Calls in any minute, from all processes together; 0 is as many as come.",
}
