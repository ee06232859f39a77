"""BigCommerce stores over their Orders V2 API, with V3 for transactions and webhooks."""

from app.connectors.bigcommerce.client import BigCommerce
from app.connectors.bigcommerce.hooks import HOOKS
from app.connectors.bigcommerce.settings import read_settings, setting_text
from app.connectors.bigcommerce.words import WORDS
from app.ports.connector import Connector

CONNECTOR = Connector(
    platform="bigcommerce",
    title="BigCommerce",
    port="sales_channel",
    open=BigCommerce,
    read_settings=read_settings,
    setting_text=setting_text,
    credentials=("token", "client_secret"),
    hooks=HOOKS,
    words=WORDS,
)
