"""Doing a request once, however often it is sent: the first answer under a key is given again to whoever repeats it.

A key is kept before anything is done and its answer once it is there, so a process that dies in between leaves a key without an
answer. Nobody can tell then whether it was done: the key is refused until it ends, and nothing is done twice.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request
from werkzeug.exceptions import Conflict

from app.ports.accounts import Kept
from app.web.api import access
from app.web.api.problems import Invalid, is_undone
from app.web.people import People

View = Callable[..., Response]

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_SECONDS = 86_400.0
PATTERN = "^[!-~]{1,255}$"

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": PATTERN},
    "description": (
        "Recommended: the same request under the same key is done once, and answered the same for 24 hours. "
        "1 to 255 visible ASCII characters; a UUID will do."
    ),
}

_KEY = re.compile(r"[!-~]{1,255}")
_OTHERWISE = (
    "Another request was sent under this key; take a new key for each new request. Nothing was changed."
)
_IN_DOUBT = (
    "The first request under this key is still being answered, or was cut off: it may or may not have been done. Look before you "
    "send it again under another key."
)


def once(people: People, view: View) -> View:
    """The view, done once for each key of a token."""
    store = people.panel.store

    @wraps(view)
    def answered(asked: Any, **place: Any) -> Response:
        given = request.headers.get(HEADER)
        if given is None:
            return view(asked, **place)
        if not _KEY.fullmatch(given):
            wrong = "Take 1 to 255 visible ASCII characters."
            raise Invalid([{"in": "header", "field": HEADER, "detail": wrong}])
        mine, key, wanted = access.token().id, _digest(given), _request(asked)
        kept = store.begin_keyed(mine, key, request=wanted, expires_in=KEPT_SECONDS)
        if kept is not None:
            return _again(kept, wanted)
        try:
            response = view(asked, **place)
        except Exception as error:
            if is_undone(error):
                store.drop_keyed(mine, key)
            raise
        store.end_keyed(mine, key, status=response.status_code, body=response.get_data(as_text=True))
        return response

    return answered


def _again(kept: Kept, wanted: str) -> Response:
    if kept.request != wanted:
        raise Invalid([{"in": "header", "field": HEADER, "detail": _OTHERWISE}])
    if kept.status is None:
        raise Conflict(_IN_DOUBT)
    return Response(kept.body, kept.status, {REPLAYED: "true"}, content_type="application/json")


def _request(asked: Any) -> str:
    """What makes a request the same: method, path, and what the body says, however it is written."""
    said = json.dumps(asked, sort_keys=True, default=str)
    return _digest(f"{request.method} {request.path}\n{said}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
