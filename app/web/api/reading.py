"""Reading what a program sends: the query and a body of JSON, and nothing that is not documented."""

import json
from decimal import Decimal
from itertools import islice
from typing import Any, NoReturn

from flask import Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.web.api.problems import Invalid, told

_MOST = 100
_LONGEST = 255
"""What is told of a request is not as long as the request."""

_PLACES = {"json": "body", "query": "query"}


class Reader(FlaskParser):
    """Amounts are read as decimals; what is no JSON, or no JSON that everybody reads alike, is refused."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE, "json": RAISE}  # noqa: RUF012 - webargs' own

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs' own
        """The body; no body is one without any field. Raises `BadRequest` and `UnsupportedMediaType`."""
        body = req.get_data()
        if not body:
            return {}
        if req.mimetype != "application/json":
            raise UnsupportedMediaType("Send a body of JSON as application/json. Nothing was changed.")
        try:
            return json.loads(
                body.decode("utf-8"),
                parse_float=Decimal,
                parse_constant=_no_number,
                object_pairs_hook=_each_once,
            )
        except (ValueError, ArithmeticError, RecursionError):
            raise BadRequest("The body is no JSON that can be read. Nothing was changed.") from None

    def load_querystring(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs' own
        """The query; each name stands in it once."""
        twice = {name: ["Say it once."] for name, values in req.args.lists() if len(values) > 1}
        if twice:
            raise ValidationError(twice)
        return req.args.to_dict()

    def handle_error(self, error: ValidationError, *_args: object, **_kwargs: object) -> NoReturn:
        """Raises `Invalid`."""
        messages: Any = error.messages
        found = (each for place, wrong in messages.items() for each in told(wrong, _PLACES.get(place, place)))
        raise Invalid([{**each, "field": each["field"][:_LONGEST]} for each in islice(found, _MOST)])


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands twice some readers take the first value, some the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
