"""What the routes of both versions read and answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Response, request

from .answers import ApiError

JSON = "application/json"
Route = tuple[str, str, Callable[..., Response], tuple[str, ...]]
"""Method, path, view, and the scopes of which a token needs one."""


def body_of_request() -> Any:
    """The JSON of the body: 415 for another content type, 400 for what is no JSON."""
    if request.mimetype != JSON:
        raise ApiError(415, f"The body must be {JSON}.")
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not JSON.") from None


def parameters() -> dict[str, str]:
    """The query; of a name that comes twice the last value counts."""
    return {name: values[-1] for name, values in request.args.lists()}


def nothing() -> Response:
    """A 204."""
    return Response(b"", 204)
