"""What is reached over HTTP: so far the webhooks of the platforms. Each page makes one call to a use-case."""

from app.web.application import create_app
from app.web.serving import Ringer, RunningServer, answers, serve

__all__ = ["Ringer", "RunningServer", "answers", "create_app", "serve"]
