"""The secrets that a site's webhooks are signed with, as they are stored: encrypted, the newest first, at most two."""

import secrets

from app.ports.store import Site
from app.sync.parts import Parts

_BYTES = 32
_NAMES = ("newest", "previous")


def opened_secrets(parts: Parts, site: Site) -> tuple[str, ...]:
    """The live secrets, the newest first; none where the site has no webhooks. Raises `Misconfigured`."""
    if not site.hook_secrets:
        return ()
    found = parts.peers.decrypt(site.hook_secrets, name=site.name)
    return tuple(found[name] for name in _NAMES if name in found)


def stored_secrets(parts: Parts, live: tuple[str, ...]) -> str:
    """These secrets as they are stored."""
    return parts.peers.encrypt(dict(zip(_NAMES, live, strict=False)))


def live_secrets(known: tuple[str, ...], *, rotate: bool) -> tuple[str, ...]:
    """The secrets from now on: the known ones, or a new one before the newest of them."""
    if known and not rotate:
        return known
    return (secrets.token_urlsafe(_BYTES), *known[:1])
