"""One HTTP client per account: its limits, timeouts, a bounded body, checked addresses, no redirects, a log line for each call."""

import io
import json as json_module
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from http.client import HTTPResponse
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import requests
import structlog
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout
from urllib3.util.connection import create_connection

from app.errors import Held, Misconfigured, Retry
from app.ports.limiters import Change, Limiter, Report, Verdict, Wait, Why
from app.transport.addresses import allowed_addresses, check_address, origin
from app.transport.answers import Answer
from app.transport.limits import report_of

log = structlog.get_logger("ordersync.http")

MAX_BODY = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_CONNECT_TIMEOUT = 10.0
_LEAST_TIME = 0.05
_SPARE = 5.0
"""Seconds for which a place among the running calls is kept beyond the time that its call has."""


class NoAnswer(Exception):
    """The request may have been carried out, but no whole answer came back (reset, timeout, cut off, too large)."""


class HttpClient:
    """Calls one account's service. Not shared between threads.

    Raises `Retry` where the request certainly was not carried out (refused, name not resolved, or the account's breaker is open;
    `Held` where its limiter has no place), `Misconfigured` where the address may not be called or redirects, and `NoAnswer` where
    the outcome is not known. Statuses are the caller's to read. `judge` is how answers tell of the account's limits.
    """

    def __init__(
        self,
        *,
        account: str,
        base_url: str,
        timeout: float,
        allow_private: bool,
        auth: AuthBase | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
        limiter: Limiter | None = None,
        judge: Callable[[Answer], Report] = report_of,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_address(base_url, allow_private=allow_private)
        self.base_url = base_url.rstrip("/")
        self.calls = 0
        self._account = account
        self._timeout = timeout
        self._max_body = max_body
        self._limiter = limiter
        self._judge = judge
        self._sleep = sleep
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = auth
        self._session.headers.update(
            {"User-Agent": "OrderSync", "Accept": "application/json", **(headers or {})}
        )
        adapter = _CheckedAdapter(allow_private=allow_private)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        patience: float | None = None,
        just_before: Callable[[], None] = lambda: None,
    ) -> Answer:
        """One call. `path` is appended to the base URL, or is a whole URL on the same host (a next link).

        Parameters are percent-encoded with %20 for blanks. `timeout` bounds the whole call in seconds: waiting for a place, which
        takes `patience` (half of it) at most, sending and reading. `just_before` is called between waiting and sending.
        """
        url = path if path.lower().startswith(("http://", "https://")) else f"{self.base_url}{path}"
        if origin(url) != origin(self.base_url):
            raise Misconfigured(
                f"The service refers to another host ({urlsplit(url).hostname}); it is not followed."
            )
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, quote_via=quote, safe="")
        body: bytes | None = None
        sent = dict(headers or {})
        if json is not None:
            body = json_text(json).encode()
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            body = urlencode(form).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        limit = self._timeout if timeout is None else timeout
        if self._limiter is None:
            just_before()
            return self._logged(method, url, body, sent, timeout=limit)
        began = time.monotonic()
        place = self._place(self._limiter, lasts=limit, patience=limit / 2 if patience is None else patience)
        report = Report(Verdict.NONE)
        try:
            just_before()
            left = limit - (time.monotonic() - began)
            if left < _LEAST_TIME:
                raise Retry(f"{self._account}: there is no time left for this call.")
            try:
                answer = self._logged(method, url, body, sent, timeout=left)
            except (Retry, NoAnswer) as error:
                fault = str(error).removeprefix(f"{self._account}: ").rstrip(".")
                report = Report(Verdict.FAILED, fault=fault, status=_counted_as(error))
                raise
            except Misconfigured:
                report = Report(Verdict.NONE, status="error")
                raise
            report = replace(self._judge(answer), status=str(answer.status))
            return answer
        finally:
            self._leave(self._limiter, place, report)

    def _place(self, limiter: Limiter, *, lasts: float, patience: float) -> str:
        """A place among the account's calls. Raises `Held` (`Retry` for an open breaker) where there is none in time; nothing was sent."""
        until = time.monotonic() + patience
        while True:
            found = limiter.enter(lasts=lasts + _SPARE)
            if isinstance(found, str):
                return found
            if found.why is Why.OPEN or time.monotonic() + found.seconds > until:
                log.info(
                    "http_held", account=self._account, why=found.why.value, seconds=round(found.seconds, 1)
                )
                kind = Retry if found.why is Why.OPEN else Held
                raise kind(_held_sentence(self._account, found), after=found.seconds)
            self._sleep(found.seconds)

    def _leave(self, limiter: Limiter, place: str, report: Report) -> None:
        changed = limiter.leave(place, report)
        if changed is None:
            return
        seconds = round(changed.seconds, 1)
        match changed.change:
            case Change.OPENED:
                log.warning("breaker_opened", account=self._account, seconds=seconds, failure=report.fault)
            case Change.CLOSED:
                log.info("breaker_closed", account=self._account, open_seconds=seconds)
            case Change.SLOWED:
                log.info("account_slowed", account=self._account, seconds=seconds)

    def _logged(
        self, method: str, url: str, body: bytes | None, sent: Mapping[str, str], *, timeout: float
    ) -> Answer:
        started = time.monotonic()
        outcome: int | str = "no_answer"
        try:
            answer = self._exchange(method, url, body, sent, timeout=timeout)
            outcome = answer.status
        except (Retry, Misconfigured) as error:
            outcome = type(error).__name__.lower()
            raise
        finally:
            self.calls += 1
            log.info(
                "http_call",
                account=self._account,
                method=method,
                path=urlsplit(url).path,
                outcome=outcome,
                milliseconds=round((time.monotonic() - started) * 1000),
            )
        return answer

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        timeout: float,
    ) -> Answer:
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                # What connecting and sending have taken is taken off the time that `_BoundedResponse` has for reading.
                timeout=Timeout(connect=min(timeout, _CONNECT_TIMEOUT), total=timeout),  # type: ignore[arg-type] # requests hands it on
                allow_redirects=False,
                stream=True,
            ) as response:
                received = bytearray()
                for chunk in response.iter_content(_CHUNK):
                    received += chunk
                    if len(received) > self._max_body:
                        raise NoAnswer(f"the answer is larger than {self._max_body} bytes")
                answer = Answer(status=response.status_code, headers=response.headers, body=bytes(received))
        except requests.exceptions.ConnectionError as error:
            if _never_sent(error):
                raise Retry(f"{self._account}: no connection to the service ({_cause(error)}).") from None
            raise NoAnswer(_cause(error)) from None
        except requests.exceptions.Timeout as error:
            raise NoAnswer(f"no answer within {timeout:.3g} s ({type(error).__name__})") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise NoAnswer(_cause(error)) from None
        if 300 <= answer.status < 400:  # noqa: PLR2004 - the 3xx family
            target = answer.headers.get("Location", "elsewhere").partition("?")[0]
            raise Misconfigured(
                f"{self._account}: the service redirects to {target}; set the address to the one it redirects to.",
                mend=("url",),
            )
        return answer


def _held_sentence(account: str, wait: Wait) -> str:
    seconds = f"{max(1, round(wait.seconds))} s"
    match wait.why:
        case Why.OPEN:
            return f"{account} failed again and again ({wait.fault}); it is left alone, and asked again in {seconds}."
        case Why.SLOWED:
            return f"{account} has asked for fewer calls; it is called again in {seconds}."
        case Why.WINDOW:
            return f"{account}: the quota of requests is used up; there is room again in {seconds}."
        case Why.RUNNING:
            return f"{account}: as many calls are running as it takes at once."


def json_text(value: Any) -> str:
    """The JSON text that `request` sends for `value`; what is sent as a part of something else has the same text there.

    In ASCII with escapes, which carry every text there is: half of a surrogate pair has no form in UTF-8.
    """
    return json_module.dumps(value, default=_number)


def _number(value: Any) -> Any:
    """Decimals go out as JSON numbers with exactly their digits."""
    if isinstance(value, Decimal):
        return _Digits(value)
    raise TypeError(type(value).__name__)


class _Digits(float):
    """A float whose text is a Decimal's: the JSON encoder writes numbers by `float.__repr__` of what it is given."""

    def __new__(cls, value: Decimal) -> Self:
        made = super().__new__(cls, value)
        if Decimal(float.__repr__(made)) != value:
            raise ValueError(f"{value} has more digits than a JSON number carries safely")
        return made


def _never_sent(error: requests.exceptions.ConnectionError) -> bool:
    """Whether the connection was never made, so that the request cannot have been carried out."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)
    return isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))


_IN_WORDS = {
    "ConnectionRefusedError": "it was refused",
    "ConnectionResetError": "the connection was cut",
    "IncompleteRead": "the answer was cut off",
    "NewConnectionError": "it was refused",
    "ProtocolError": "the connection was cut",
    "RemoteDisconnected": "the connection was closed without an answer",
}


def _cause(error: BaseException) -> str:
    """What went wrong, in words or by the innermost cause's class name: its text may hold the URL with its query."""
    name = _innermost(error)
    return _IN_WORDS.get(name, name)


def _innermost(error: BaseException) -> str:
    while True:
        inner = getattr(error, "reason", None) or (
            error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        )
        if not isinstance(inner, BaseException):
            return type(error).__name__
        error = inner


_COUNTED_AS = {
    "ConnectTimeout": "timeout",
    "ConnectTimeoutError": "timeout",
    "ConnectionRefusedError": "refused",
    "ConnectionResetError": "reset",
    "IncompleteRead": "reset",
    "NewConnectionError": "refused",
    "ProtocolError": "reset",
    "ReadTimeout": "timeout",
    "ReadTimeoutError": "timeout",
    "RemoteDisconnected": "reset",
    "TimeoutError": "timeout",
}


def _counted_as(error: Retry | NoAnswer) -> str:
    """By what a call is counted that brought no whole answer."""
    cause = error.__context__
    return "error" if cause is None else _COUNTED_AS.get(_innermost(cause), "error")


class _UntilDeadline(io.RawIOBase):
    """What a socket sends, until the deadline: a socket's own timeout begins anew with every byte that drips in."""

    def __init__(self, raw: io.RawIOBase, *, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """The next bytes. Raises `TimeoutError` once the deadline has passed."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        """Close what is read from as well: the socket lives until its last reader is closed."""
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """An answer whose headers and body together must come in within the timeout that the socket has at its start."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        limit = sock.gettimeout()
        if limit is not None:
            raw = _UntilDeadline(self.fp.detach(), sock=sock, deadline=time.monotonic() + limit)
            self.fp = io.BufferedReader(raw)


class _CheckedHTTPConnection(HTTPConnection):
    response_class = _BoundedResponse
    allow_private = False

    def _new_conn(self) -> Any:
        return _connect(self, allow_private=self.allow_private)


class _CheckedHTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse
    allow_private = False

    def connect(self) -> None:
        """Refuse a bad certificate or handshake here: the same error later, amid an answer, leaves a write unknown."""
        try:
            super().connect()
        except (ssl.SSLError, ssl.CertificateError, urllib3.exceptions.SSLError) as error:
            raise Misconfigured(
                f"{self.host}: the TLS certificate or handshake was refused ({type(error).__name__})."
            ) from None

    def _new_conn(self) -> Any:
        return _connect(self, allow_private=self.allow_private)


class _PrivateHTTPConnection(_CheckedHTTPConnection):
    allow_private = True


class _PrivateHTTPSConnection(_CheckedHTTPSConnection):
    allow_private = True


def _connect(connection: HTTPConnection, *, allow_private: bool) -> Any:
    """Connect to an address that was checked, not to a name that may resolve differently a moment later."""
    port = connection.port or connection.default_port
    addresses = allowed_addresses(connection.host, port, allow_private=allow_private)
    timeout = connection.timeout
    for number, address in enumerate(addresses, start=1):
        try:
            return create_connection(
                (address, port),
                timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except TimeoutError as error:
            if number == len(addresses):
                raise urllib3.exceptions.ConnectTimeoutError(
                    connection, "connecting took too long"
                ) from error
        except OSError as error:
            if number == len(addresses):
                raise urllib3.exceptions.NewConnectionError(connection, type(error).__name__) from error
    raise Retry(f"The name {connection.host} has no address.")


class _CheckedAdapter(HTTPAdapter):
    """Connects to checked addresses only, and never tries a request a second time on its own."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        super().__init__(max_retries=0, pool_connections=2, pool_maxsize=4)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        http = type(
            "Pool",
            (HTTPConnectionPool,),
            {"ConnectionCls": _PrivateHTTPConnection if self._allow_private else _CheckedHTTPConnection},
        )
        https = type(
            "Pool",
            (HTTPSConnectionPool,),
            {"ConnectionCls": _PrivateHTTPSConnection if self._allow_private else _CheckedHTTPSConnection},
        )
        self.poolmanager.pool_classes_by_scheme = {"http": http, "https": https}
