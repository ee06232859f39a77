"""WooCommerce shops over their REST API v3."""

from app.connectors.woocommerce.client import WooCommerce
from app.connectors.woocommerce.hooks import HOOKS
from app.connectors.woocommerce.settings import read_settings, setting_text
from app.connectors.woocommerce.words import WORDS
from app.ports.connector import Connector

CONNECTOR = Connector(
    platform="woocommerce",
    title="WooCommerce",
    port="sales_channel",
    open=WooCommerce,
    read_settings=read_settings,
    setting_text=setting_text,
    credentials=("key", "secret"),
    hooks=HOOKS,
    words=WORDS,
)
