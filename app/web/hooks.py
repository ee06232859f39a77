"""`POST /hooks/<site>/<topic>`: where platforms send their webhooks."""

from collections.abc import Callable

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.ports.deliveries import DueSite
from app.sync.hooks import receive
from app.sync.parts import Parts


def pages(parts: Parts, *, ring: Callable[[DueSite], None]) -> Blueprint:
    """The one address of webhooks, for every site and topic. Its answers have no body."""
    blueprint = Blueprint("hooks", __name__)

    @blueprint.post("/hooks/<site>/<topic>", provide_automatic_options=False)
    def take(site: str, topic: str) -> Response:
        # The raw bytes, since those are signed; read up to the limit before anything is looked at.
        body = request.get_data(cache=False, parse_form_data=False)
        if len(body) >= current_app.config["MAX_CONTENT_LENGTH"]:
            # One that does not say its length is cut there without a word.
            raise RequestEntityTooLarge
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = receive(parts, site_name=site, topic=topic, headers=headers, body=body)
        if answer.due is not None:
            ring(answer.due)
        return Response("", answer.status)

    return blueprint
