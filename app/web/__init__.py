"""What is reached over HTTP: webhooks of the platforms, the panel for people, the API for programs. A page calls one use-case."""

from app.web.application import create_app
from app.web.people import Doors, People
from app.web.serving import Ringer, RunningServer, answers, serve

__all__ = ["Doors", "People", "Ringer", "RunningServer", "answers", "create_app", "serve"]
