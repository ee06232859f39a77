"""A worker with two faults of our own, whose exceptions quote a customer: its first reading fails, and so does one order."""

from typing import Any

import app.connectors.woocommerce.client as shop
from app import bootstrap
from app.bootstrap import pipeline
from app.transport import parse_json
from tests.fakes.limiters import an_hour_between_calls
from tests.road.people import QUOTED_ORDER
from workers.app import app

_fetch, _normalize = pipeline.fetch, vars(shop)["normalize"]
_read: list[int] = []


def _fetch_at_last(parts: Any, **arguments: Any) -> Any:
    if not _read:
        _read.append(1)
        people: dict[str, str] = {}
        try:
            people[f"Person-{QUOTED_ORDER} of Hidden Lane {QUOTED_ORDER}"]
        except KeyError as error:
            raise ValueError(f"person-{QUOTED_ORDER}@private-{QUOTED_ORDER}.test cannot be read") from error
    return _fetch(parts, **arguments)


def _normalize_all_but_one(body: str, **arguments: Any) -> Any:
    if parse_json(body)["id"] == QUOTED_ORDER:
        raise KeyError(body)
    return _normalize(body, **arguments)


# A shop that asks for ten minutes of rest is called again in the next run.
vars(bootstrap)["_limiters"] = lambda _settings, _url: an_hour_between_calls()
vars(pipeline)["fetch"] = _fetch_at_last
vars(shop)["normalize"] = _normalize_all_but_one

__all__ = ["app"]
