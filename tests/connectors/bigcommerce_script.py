"""A BigCommerce store whose every answer a test makes up, for what the sandbox store does not do."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from app.connectors.bigcommerce.client import BigCommerce
from app.connectors.bigcommerce.settings import read_settings
from app.ports.connector import Account
from app.sandbox.server import serve

MISSING = [{"status": 404, "message": "The requested resource was not found."}]


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def answered(value: Any, *, status: int = 200, **headers: str) -> Answered:
    """JSON, or no body at all where there is no value."""
    if value is None:
        return Answered(status, b"", headers)
    return Answered(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Script:
    """`answer` makes an answer of the method and of the path with its query, which begins after the store's own address."""

    def __init__(self, answer: Callable[[str, str], Answered]) -> None:
        self._answer = answer
        self.seen: list[str] = []
        self.sent: list[bytes] = []
        self._server = serve(self._respond)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def open(self, *, http_timeout: float = 5, **chosen: str) -> BigCommerce:
        """A channel that reads this store."""
        return BigCommerce(
            Account(
                name="bgm",
                url=f"{self._server.url}/stores/abc",
                allow_private=True,
                credentials={"token": "t"},
                settings=read_settings(chosen),
                http_timeout=http_timeout,
            )
        )

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.sent.append(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        path = environ["PATH_INFO"].removeprefix("/stores/abc")
        if environ.get("QUERY_STRING"):
            path += f"?{environ['QUERY_STRING']}"
        method = environ["REQUEST_METHOD"]
        self.seen.append(f"{method} {path}")
        made = self._answer(method, path)
        headers = dict(made.headers)
        if made.status != 204:
            headers["Content-Length"] = str(len(made.body))
        start_response(f"{made.status} Scripted", list(headers.items()))
        return [made.body]
