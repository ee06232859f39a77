"""What ``/store`` tells (contract section 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from .answers import JsonObject


def about_store(store_hash: str, zone: ZoneInfo, currency: str, now: datetime) -> JsonObject:
    """The store's names, zone and currency; offsets are in seconds."""
    here = now.astimezone(zone)
    shift = here.dst() or timedelta(0)
    standard = (here.utcoffset() or timedelta(0)) - shift
    address = f"https://store-{store_hash}.mybigcommerce.com"
    return {
        "id": store_hash,
        "account_uuid": "00000000-0000-4000-8000-000000000001",
        "domain": address.removeprefix("https://"),
        "secure_url": address,
        "control_panel_base_url": address,
        "status": "live",
        "name": "Sandbox store",
        "timezone": {
            "name": zone.key,
            "raw_offset": round(standard.total_seconds()),
            "dst_offset": round((standard + timedelta(hours=1)).total_seconds()),
            "dst_correction": bool(shift),
        },
        "language": "en",
        "currency": currency,
        "currency_symbol": "$",
        "decimal_separator": ".",
        "thousands_separator": ",",
        "decimal_places": 2,
        "weight_units": "LBS",
        "plan_name": "Standard",
    }
