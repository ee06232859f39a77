"""The broker's address: what its TLS parameters are, apart from the rest, for each library has words of its own for them.

`rediss://` is TLS with a certificate that is always verified, by the system's authorities or by those in a file:
`rediss://user:password@host:6380/0?ssl_ca_certs=/etc/ssl/our-ca.pem`. Celery would refuse such an address without `ssl_cert_reqs`,
and Flower would not verify by the file, hence both are told by settings.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from app.errors import Misconfigured

_SCHEMES = ("redis", "rediss", "redis+socket")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_ALWAYS = {"ssl_cert_reqs": {"required", "CERT_REQUIRED"}, "ssl_check_hostname": {"true", "True", "1", "yes"}}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """`url` without TLS parameters; `tls` are redis-py's options, None where the connection is not encrypted."""

    url: str
    tls: Mapping[str, Any] | None


def broker_address(url: str) -> BrokerAddress:
    """The address taken apart. Raises `Misconfigured`, without repeating it: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Read and checked on being asked for.
    except ValueError:
        raise Misconfigured(
            "REDIS_URL cannot be read: write %2F for / and %40 for @ in a name or password, and a number for the port."
        ) from None
    if parts.scheme not in _SCHEMES:
        raise Misconfigured("REDIS_URL must begin with redis://, rediss:// (TLS) or redis+socket://.")
    given = dict(parse_qsl(parts.query))
    own = {name: given.pop(name) for name in (*_FILES, *_ALWAYS) if name in given}
    if parts.scheme != "rediss":
        if own:
            raise Misconfigured(f"REDIS_URL has {', '.join(own)}, which is for rediss:// (TLS) only.")
        return BrokerAddress(url=url, tls=None)
    return BrokerAddress(url=parts._replace(query=urlencode(given)).geturl(), tls=_options(own))


def _options(own: Mapping[str, str]) -> dict[str, Any]:
    for name, right in _ALWAYS.items():
        if own.get(name, next(iter(right))) not in right:
            raise Misconfigured(
                f"REDIS_URL has {name}={own[name]}, but the broker's certificate is always verified;"
                " name the file of its authority with ssl_ca_certs=/path."
            )
    for name in _FILES:
        if name in own and not Path(own[name]).is_file():
            raise Misconfigured(f"REDIS_URL names {own[name]} as {name}, which is no file.")
    return {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
        **{name: own[name] for name in _FILES if name in own},
    }
