"""Calls to one Business Central service: sign-in, one renewal of the token, and what became of each request."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.errors import Misconfigured, OrderSyncError, Retry
from app.transport import Answer, HttpClient, NoAnswer, parse_json

UNAUTHORIZED = 401
TOO_LATE = "There was no time left to write this; it was not tried."
_LONGEST_WORD = 100
_MEND = {
    "invalid_client": ("credential client_secret",),
    "unauthorized_client": ("credential client_id",),
    "invalid_request": ("credential token_url",),
    "invalid_scope": ("set scope",),
}
"""What is wrong with a client that the sign-in service refuses, by its own word for it."""
_RENEW_EARLY = 120.0
"""Seconds before its end at which a token is renewed: more than one call may last."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The service answered. `body` is the JSON it sent, None where there was none that can be read.

    `answered_at` is the Date header, UTC, None where there is none (as for a request inside a `$batch`).
    """

    status: int
    body: Any
    retry_after: float | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have been carried out; no whole answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request certainly was not carried out. `answered` is what came back where it was sent all the same."""

    error: OrderSyncError
    answered: Answered | None = None


Outcome = Answered | Lost | NotSent


def always() -> bool:
    """There is time for a request whenever it comes, as for every read."""
    return True


class Authorization(Protocol):
    """Where the Authorization header comes from. Raises `Retry` or `Misconfigured`."""

    def header(self) -> str:
        """The header's value for the next request."""
        ...

    def renew(self) -> bool:
        """Forget what was refused; False where asking again would give the same."""
        ...


class Basic:
    """User name and web service key, on premises."""

    def __init__(self, *, username: str, password: str) -> None:
        self._header = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def header(self) -> str:
        """The same for every request."""
        return self._header

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


class ClientCredentials:
    """OAuth2 client credentials: no refresh token exists in this flow, so the token is asked for anew (contract section 1)."""

    def __init__(
        self,
        *,
        http: HttpClient,
        client_id: str,
        client_secret: str,
        scope: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        }
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def header(self) -> str:
        """The cached token until shortly before it ends, then a new one."""
        if not self._token or self._clock() >= self._until:
            self._ask()
        return f"Bearer {self._token}"

    def renew(self) -> bool:
        """Forget the token, so that the next request asks for one."""
        self._token = ""
        return True

    def _ask(self) -> None:
        asked_at = self._clock()
        try:
            answer = self._http.request("POST", "", form=self._form)
        except NoAnswer as error:
            raise Retry(f"The sign-in service gave no answer ({error}).") from None
        body = _json(answer)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise _sign_in_failure(answer, body)
        try:
            token, life = str(body["access_token"]), float(body["expires_in"])
        except (TypeError, KeyError, ValueError):
            raise Retry("The sign-in service sent an answer without a token.") from None
        self._token = token
        self._until = asked_at + life - min(_RENEW_EARLY, life / 4)


class Service:
    """One service root (`.../api/v2.0`). `send` never raises: a write must know what became of it."""

    def __init__(self, *, http: HttpClient, authorization: Authorization) -> None:
        self._http = http
        self._authorization = authorization

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        in_time: Callable[[], bool] = always,
    ) -> Outcome:
        """One request, sent again once with a new token after a 401, which carries nothing out.

        `in_time` is asked each time after signing in, which may take as long as the request itself.
        """
        try:
            answer = self._attempt(method, path, json, headers, in_time)
            if answer.status == UNAUTHORIZED and self._authorization.renew():
                answer = self._attempt(method, path, json, headers, in_time)
        except (Retry, Misconfigured) as error:
            return NotSent(error)
        except NoAnswer as error:
            return Lost(str(error))
        return Answered(answer.status, _json(answer), answer.retry_after, answer.answered_at)

    def _attempt(
        self,
        method: str,
        path: str,
        json: Any,
        headers: Mapping[str, str] | None,
        in_time: Callable[[], bool],
    ) -> Answer:
        # Messages follow the language asked for; the error table reads them in English.
        sent = {"Authorization": self._authorization.header(), "Accept-Language": "en-US", **(headers or {})}
        if not in_time():
            raise Retry(TOO_LATE)
        return self._http.request(method, path, json=json, headers=sent)


def _json(answer: Answer) -> Any:
    try:
        return parse_json(answer.text)
    except ValueError:
        return None


def _sign_in_failure(answer: Answer, body: Any) -> OrderSyncError:
    """A refused client is ours to mend; anything else is the service's trouble. The description may name people: left out."""
    if answer.status in {400, 401, 403, 404}:
        word = str(body.get("error", ""))[:_LONGEST_WORD] if isinstance(body, dict) else ""
        return Misconfigured(
            f"The sign-in service refuses the client ({answer.status} {word}); check token_url, client_id, client_secret and scope.",
            mend=_MEND.get(
                word, ("credential token_url", "credential client_id", "credential client_secret")
            ),
        )
    return Retry(f"The sign-in service answered {answer.status}.", after=answer.retry_after)
