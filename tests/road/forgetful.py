"""A worker whose broker loses every message between the steps: fetch rings nobody, and a chain never gets beyond its first link."""

from typing import Any

import tasks.road
from app.bootstrap import pipeline
from workers.app import app

_fetch = pipeline.fetch


def _lost(bell: Any) -> None:
    """The message is lost on its way."""


def _deaf_fetch(parts: Any, **arguments: Any) -> Any:
    return _fetch(parts, **{**arguments, "ring": _lost})


def _first_only(first: Any, *_rest: Any) -> Any:
    return first


vars(tasks.road)["chain"] = _first_only
pipeline.fetch = _deaf_fetch

__all__ = ["app"]
