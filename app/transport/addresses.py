"""Where a connector may connect: public addresses, and private ones only where a person allowed them by name."""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from app.errors import Misconfigured, Retry


def check_address(url: str, *, allow_private: bool) -> None:
    """Refuse what is no http(s) URL, carries credentials, or names a private address that is not allowed.

    Raises `Misconfigured` with one sentence. Names are resolved only at connection time (`allowed_addresses`).
    """
    parts = _taken_apart(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Misconfigured(f"The address {url!r} must begin with https:// (or http://) and name a host.")
    if parts.username or parts.password:
        raise Misconfigured("Put user names and passwords into --credential, not into the address.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not allow_private and not is_public(literal):
        raise Misconfigured(f"{literal} is a private or local address; add --allow-private if that is meant.")


_UNICAST = ipaddress.IPv6Network("2000::/3")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""Of networks without IPv4 of their own: the last 32 bits are the IPv4 address that is meant (RFC 6052)."""


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the address is that of one machine on the open net, also where an IPv6 address carries an IPv4 one within it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _TRANSLATED:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    within = address.sixtofour
    return address.is_global and address in _UNICAST and (within is None or is_public(within))


def is_loopback(url: str) -> bool:
    """Whether the host of `url` is this machine by its literal address or the name localhost."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of `host` to connect to, every one of them checked, so that a name cannot lead us inside.

    Raises `Retry` where the name does not resolve and `Misconfigured` where any of its addresses is private.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # A label that is empty or too long: no name server is even asked.
        raise Misconfigured(f"{host} is not the name of a host.") from None
    except OSError as error:
        raise Retry(f"The name {host} could not be resolved ({error.strerror or error}).") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not allow_private and not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise Misconfigured(
                f"{host} resolves to the private address {address}; add --allow-private if that is meant."
            )
    return addresses


def port_of(url: str) -> tuple[str, int]:
    """The host and the port that `url` names or implies."""
    parts = _taken_apart(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def origin(url: str) -> tuple[str, str, str, int]:
    """What two addresses of one service have in common: scheme, user, host and port, named or implied, in any case."""
    parts = _taken_apart(url)
    return parts.scheme, parts.netloc.rpartition("@")[0], *port_of(url)


def _taken_apart(url: str) -> SplitResult:
    """The parts of an address. Raises `Misconfigured` without repeating it: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Read and checked on being asked for.
    except ValueError:
        raise Misconfigured("The address cannot be read: its host or its port is malformed.") from None
    return parts
