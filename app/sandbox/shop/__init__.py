"""The sandbox shop: a stateful stand-in that speaks WooCommerce's REST v3 over HTTP.

``Shop`` is the state, ``create_app`` puts it on the wire, ``recorded_orders`` loads the recorded
bodies. Run one with ``python -m app.sandbox.shop``.
"""

from .auth import ApiKey
from .recorded import MARK_KEY, recorded_answers, recorded_orders
from .state import DEMO_KEY, Shop
from .web import create_app

__all__ = ["DEMO_KEY", "MARK_KEY", "ApiKey", "Shop", "create_app", "recorded_answers", "recorded_orders"]
