"""Adding sites and ERPs. What cannot work is refused with one sentence, before anything is stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.errors import UsageError
from app.ports.connector import Connector
from app.ports.store import NewErp, NewSite
from app.sync.options import read_erp_settings, read_site_settings, site_options
from app.sync.parts import Parts
from app.sync.schedule import next_time

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PREFIX = re.compile(r"[A-Z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person typed for a site or an ERP."""

    name: str
    platform: str
    url: str
    allow_private: bool
    credentials: Mapping[str, str]
    settings: Mapping[str, str]


def add_site(parts: Parts, asked: Asked, *, prefix: str, erp: str | None) -> int:
    """Store a site. Its first scheduled run is the next time of its schedule. Raises `UsageError` or `Misconfigured`."""
    connector = _checked(parts, asked, port="sales_channel")
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(f"The prefix {prefix!r} must be 1 to 16 capital letters and digits, such as BGM.")
    for site in parts.store.sites():
        if site.name != asked.name and _address(site.url) == _address(asked.url):
            raise UsageError(
                f"The site {site.name!r} has this address already; every order would be exported twice."
            )
    settings = read_site_settings(asked.settings, platform=connector.read_settings)
    now = parts.store.now()
    return parts.store.add_site(
        NewSite(
            name=asked.name,
            platform=asked.platform,
            url=asked.url.rstrip("/"),
            prefix=prefix,
            erp_id=None if erp is None else _erp_id(parts, erp),
            allow_private=asked.allow_private,
            settings=settings,
            credentials=parts.peers.encrypt(dict(asked.credentials)),
            order_next_run=next_time(site_options(settings).schedule, after=now),
        )
    )


def add_erp(parts: Parts, asked: Asked, *, company: str) -> int:
    """Store an ERP. Its items are read at the next tick. Raises `UsageError` or `Misconfigured`."""
    connector = _checked(parts, asked, port="erp")
    wanted = (_address(asked.url), company.strip().lower())
    for row in parts.store.erps():
        if row.name != asked.name and (_address(row.url), row.company.strip().lower()) == wanted:
            raise UsageError(
                f"The ERP {row.name!r} is this company at this address already; every order would be exported twice."
            )
    settings = read_erp_settings(asked.settings, platform=connector.read_settings, late=connector.late)
    parts.peers.check_late(asked.name, settings["t_late"])
    return parts.store.add_erp(
        NewErp(
            name=asked.name,
            platform=asked.platform,
            url=asked.url.rstrip("/"),
            company=company,
            allow_private=asked.allow_private,
            settings=settings,
            credentials=parts.peers.encrypt(dict(asked.credentials)),
        )
    )


def _checked(parts: Parts, asked: Asked, *, port: str) -> Connector:
    if not _NAME.fullmatch(asked.name):
        raise UsageError(
            f"The name {asked.name!r} must be small letters, digits, - and _, beginning with a letter or digit."
        )
    connector = parts.peers.connector(asked.platform)
    if connector.port != port:
        raise UsageError(f"{connector.title} is no {'sales channel' if port == 'sales_channel' else 'ERP'}.")
    unknown = sorted(set(asked.credentials) - set(connector.credentials))
    if unknown:
        raise UsageError(
            f"{connector.title} has no credential {unknown[0]!r}; it takes: {', '.join(connector.credentials)}."
        )
    urls = [asked.url, *(value for key, value in asked.credentials.items() if key.endswith("_url"))]
    for url in urls:
        parts.peers.check_address(url, allow_private=asked.allow_private)
    return connector


def _address(url: str) -> tuple[str, str, int, str]:
    """What two ways of writing one address have in common; it has been checked, so that it can be taken apart."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")


def _erp_id(parts: Parts, name: str) -> int:
    found = {row.name: row.id for row in parts.store.erps()}
    if name not in found:
        raise UsageError(f"There is no ERP named {name!r} (there are: {', '.join(found) or 'none yet'}).")
    return found[name]
