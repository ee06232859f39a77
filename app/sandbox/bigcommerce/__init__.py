"""The sandbox store: a stateful stand-in that speaks BigCommerce's V2 and V3 over HTTP.

``Store`` is the state, ``create_app`` puts it on the wire, ``demo_orders`` describes the demo's orders.
Run one with ``python -m app.sandbox.bigcommerce``. Sections named in here are those of the BigCommerce contract.
"""

from .access import DEMO_CLIENT_SECRET, DEMO_STORE_HASH, DEMO_TOKEN, READ_ONLY_TOKEN, Token
from .demo import demo_orders
from .state import Store
from .switches import Switches
from .web import create_app

__all__ = [
    "DEMO_CLIENT_SECRET",
    "DEMO_STORE_HASH",
    "DEMO_TOKEN",
    "READ_ONLY_TOKEN",
    "Store",
    "Switches",
    "Token",
    "create_app",
    "demo_orders",
]
