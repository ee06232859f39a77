"""Keys, Basic auth and OAuth 1.0a (contract section 1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .answers import ApiError

OAUTH_FIELDS = (
    "oauth_consumer_key",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
)
TIMESTAMP_WINDOW = 15 * 60
_HASHES = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}
_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class ApiKey:
    """A key of the shop; ``permissions`` is read, write or read_write."""

    key: str
    secret: str = field(repr=False)
    permissions: str = "read_write"

    def may(self, method: str) -> bool:
        """Whether the key may use this method."""
        return self.permissions in ("read_write", "read" if method in _READING else "write")


@dataclass(frozen=True)
class Signed:
    """What of a request the authentication looks at."""

    method: str
    url: str
    """Scheme, host and path as sent, without the query."""
    query: str
    authorization: str
    form: str
    """The body, when it is form-encoded, else empty."""
    secure: bool


def _refused(message: str) -> ApiError:
    return ApiError(401, "woocommerce_rest_authentication_error", message)


def _escape(text: str) -> str:
    return quote(text, safe="-._~")


def signature_base(method: str, url: str, params: list[tuple[str, str]]) -> str:
    """RFC 5849, section 3.4.1: the string that is signed."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    default_port = {"http": ":80", "https": ":443"}.get(parts.scheme.lower(), "")
    if default_port and host.endswith(default_port):
        host = host[: -len(default_port)]
    pairs = sorted((_escape(name), _escape(value)) for name, value in params)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    return "&".join(
        (method.upper(), _escape(f"{parts.scheme.lower()}://{host}{parts.path or '/'}"), _escape(joined))
    )


def _header_params(authorization: str) -> list[tuple[str, str]]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "oauth":
        return []
    params = []
    for part in rest.split(","):
        name, separator, value = part.strip().partition("=")
        if separator:
            params.append((unquote(name), unquote(value.strip().strip('"'))))
    return params


class Keyring:
    """The shop's keys and the nonces they have used."""

    def __init__(self, keys: list[ApiKey]) -> None:
        self._keys = {key.key: key for key in keys}
        self._nonces: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def add(self, key: ApiKey) -> None:
        """Add a key, or replace the one of the same name."""
        with self._lock:
            self._keys[key.key] = key

    def remove(self, key: str) -> None:
        """Revoke a key."""
        with self._lock:
            self._keys.pop(key, None)

    def authenticate(self, request: Signed) -> ApiKey | None:
        """The key of the request; None is "no auth", the answer to which depends on the route.

        Over TLS Basic auth and the query string are looked at, then OAuth; over plain http only
        OAuth, whatever else was sent. An unknown key or an empty secret counts as no auth.
        """
        key = self._by_secret(request) if request.secure else None
        if key is None:
            key = self._by_signature(request)
        if key is not None and not key.may(request.method):
            kind = "read" if request.method in _READING else "write"
            raise _refused(f"The API key provided does not have {kind} permissions.")
        return key

    def _by_secret(self, request: Signed) -> ApiKey | None:
        name = secret = ""
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if query.get("consumer_key") and query.get("consumer_secret"):
            name, secret = query["consumer_key"], query["consumer_secret"]
        elif request.authorization[:6].lower() == "basic ":
            try:
                decoded = base64.b64decode(request.authorization[6:].strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None
            name, _, secret = decoded.partition(":")
        key = self._keys.get(name)
        if key is None or not secret:
            return None
        if not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise _refused("Consumer secret is invalid.")
        return key

    def _by_signature(self, request: Signed) -> ApiKey | None:
        header = _header_params(request.authorization)
        query = parse_qsl(request.query, keep_blank_values=True)
        values = {name: value for name, value in [*query, *header] if name.startswith("oauth_")}
        given = [name for name in OAUTH_FIELDS if values.get(name)]
        if not given:
            return None
        missing = [name for name in OAUTH_FIELDS if name not in given]
        if missing:
            raise ApiError(
                401,
                "woocommerce_rest_authentication_missing_parameter",
                f"Missing OAuth parameter{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            )
        key = self._keys.get(values["oauth_consumer_key"])
        if key is None:
            return None
        algorithm = _HASHES.get(values["oauth_signature_method"])
        if algorithm is None:
            raise _refused("Invalid signature - signature method is invalid.")
        params = [*query, *parse_qsl(request.form, keep_blank_values=True), *header]
        signed = [pair for pair in params if pair[0] not in ("oauth_signature", "realm")]
        base = signature_base(request.method, request.url, signed)
        digest = hmac.new(f"{_escape(key.secret)}&".encode(), base.encode(), algorithm).digest()
        if not hmac.compare_digest(base64.b64encode(digest).decode(), values["oauth_signature"]):
            raise _refused("Invalid signature - provided signature does not match.")
        self._use_nonce(key.key, values["oauth_timestamp"], values["oauth_nonce"])
        return key

    def _use_nonce(self, key: str, timestamp: str, nonce: str) -> None:
        # The real time, whatever the shop's clock is set to: a client signs with that.
        now = time.time()
        try:
            age = abs(now - int(timestamp))
        except ValueError:
            age = float("inf")
        if age > TIMESTAMP_WINDOW:
            raise _refused("Invalid timestamp.")
        with self._lock:
            if self._nonces.get((key, nonce), 0) > now:
                raise _refused("Invalid nonce - nonce has already been used.")
            if len(self._nonces) > 50_000:
                self._nonces = {used: until for used, until in self._nonces.items() if until > now}
            self._nonces[(key, nonce)] = now + 2 * TIMESTAMP_WINDOW
