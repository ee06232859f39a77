"""What the settings are that every site and every ERP has, for whoever types them."""

from collections.abc import Mapping

OPTION_WORDS: Mapping[str, str] = {
    "schedule": "When orders are read: cron syntax with five fields, UTC.",
    "max_orders_per_run": "So many orders that were never seen before are taken in one run.",
    "min_order_date": "Orders from before this day are none of ours; such as 2026-11-01, UTC.",
    "skip_test_orders": "Leave test orders alone.",
    "take_marked": "Also take orders that carry our mark already.",
    "fresh_minutes": "Minutes that the last reading may be old; empty for the schedule's longest gap and 15 minutes.",
    "overlap": "Seconds that a reading looks back, for changes that show late.",
    "hold_hours": "An order that was held for so many hours is a person's.",
    "reconcile_schedule": "When shop, middleware and ERP are compared: cron syntax, UTC.",
    "reconcile_days": "So many days are compared.",
    "reconcile_heals": "The comparison reads again what is missing.",
    "t_late": "Seconds for which the ERP may still commit a write that got no answer.",
    "default_customer": "The customer number that all orders are written for; none makes a customer of each buyer.",
    "create_customers": "Make customers that the ERP does not know.",
    "total_tolerance": "By so much the ERP's total may differ from the order's.",
    "items_schedule": "When changed items are read: cron syntax, UTC.",
    "windows": "Further maintenance windows, with semicolons between: sun 22:00 120 Europe/Berlin (day, start, minutes, zone).",
}
