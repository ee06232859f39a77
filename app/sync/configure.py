"""Adding sites and ERPs. What cannot work is refused with one sentence, before anything is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.errors import UsageError
from app.ports.connector import Connector
from app.ports.store import NewErp, NewSite, Site
from app.sync import systems
from app.sync.options import site_options
from app.sync.parts import Parts
from app.sync.schedule import next_time


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
    """Store a site, or bring back the removed one that it is. Raises `UsageError` or `Misconfigured`.

    Its first scheduled run is the next time of its schedule.
    """
    connector = _checked(parts, asked, port="sales_channel")
    systems.check_prefix(prefix)
    systems.check_site_address(parts, asked.name, asked.url)
    settings = systems.site_settings(connector, asked.settings)
    before = _removed_site(parts, asked, prefix=prefix)
    new = NewSite(
        name=asked.name,
        platform=asked.platform,
        url=asked.url.rstrip("/"),
        prefix=prefix,
        erp_id=_erp_before(parts, before) if erp is None else systems.erp_named(parts, erp).id,
        allow_private=asked.allow_private,
        settings=settings,
        credentials=parts.peers.encrypt(dict(asked.credentials)),
        order_next_run=next_time(site_options(settings).schedule, after=parts.store.now()),
    )
    if before is None:
        return parts.store.add_site(new)
    parts.store.restore_site(before.id, new)
    return before.id


def _removed_site(parts: Parts, asked: Asked, *, prefix: str) -> Site | None:
    """The removed site that is asked for again. Raises `UsageError` where only its name is."""
    for site in parts.store.removed_sites():
        if site.name == asked.name:
            before = (site.platform, systems.address(site.url), site.prefix)
            if before != (asked.platform, systems.address(asked.url), prefix):
                raise UsageError(
                    f"The name {site.name} belongs to a site that was removed ({site.platform} at {site.url}, "
                    f"prefix {site.prefix}): with exactly these it comes back; another site needs another name."
                )
            return site
    return None


def _erp_before(parts: Parts, before: Site | None) -> int | None:
    connected = {row.id for row in parts.store.erps()}
    return before.erp_id if before is not None and before.erp_id in connected else None


def add_erp(parts: Parts, asked: Asked, *, company: str) -> int:
    """Store an ERP, or bring back the removed one that it is. Raises `UsageError` or `Misconfigured`.

    Its items are read at the next tick.
    """
    connector = _checked(parts, asked, port="erp")
    systems.check_erp_address(parts, asked.name, asked.url, company=company)
    settings = systems.erp_settings(connector, asked.settings)
    parts.peers.check_late(asked.name, settings["t_late"])
    new = NewErp(
        name=asked.name,
        platform=asked.platform,
        url=asked.url.rstrip("/"),
        company=company,
        allow_private=asked.allow_private,
        settings=settings,
        credentials=parts.peers.encrypt(dict(asked.credentials)),
    )
    for row in parts.store.removed_erps():
        if row.name == asked.name:
            before = (row.platform, systems.address(row.url), row.company.strip().lower())
            if before != (asked.platform, systems.address(asked.url), company.strip().lower()):
                raise UsageError(
                    f"The name {row.name} belongs to an ERP that was removed ({row.platform} at {row.url}, "
                    f"company {row.company or 'none'}): with exactly these it comes back; another ERP needs another name."
                )
            parts.store.restore_erp(row.id, new)
            return row.id
    return parts.store.add_erp(new)


def _checked(parts: Parts, asked: Asked, *, port: Literal["sales_channel", "erp"]) -> Connector:
    systems.check_name(asked.name)
    connector = systems.connector_for(parts, asked.platform, port=port)
    systems.check_credentials(connector, asked.credentials)
    systems.check_addresses(parts, asked.url, asked.credentials, allow_private=asked.allow_private)
    return connector
