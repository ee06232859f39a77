"""The Celery application of this process's settings: `celery -A workers.app worker`, `... beat`, `... flower`."""

from app.runtime import broker_url
from app.settings import load_settings
from workers.application import make_app

_settings = load_settings()
app = make_app(_settings, url=broker_url(_settings))
