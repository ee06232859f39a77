"""What the use-cases work with, put together once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.domain.windows import Window, closed_until
from app.errors import Misconfigured, UsageError
from app.ports.connector import Connector
from app.ports.erp import Erp
from app.ports.hooks import HookDesk
from app.ports.passes import SkuPasses
from app.ports.sales_channel import SalesChannel
from app.ports.store import ErpRow, Site, Store


class Peers(Protocol):
    """Opens configured sites and ERPs. Raises `Misconfigured` where that cannot be done."""

    def channel(self, site: Site) -> SalesChannel:
        """The open sales channel of a site."""
        ...

    def erp(self, row: ErpRow) -> Erp:
        """The open ERP."""
        ...

    def hook_desk(self, site: Site) -> HookDesk:
        """The webhooks of a site at its platform, which must have webhooks."""
        ...

    def connector(self, platform: str) -> Connector:
        """The connector of a platform. Raises `UsageError` naming those there are."""
        ...

    def encrypt(self, credentials: dict[str, str]) -> str:
        """Credentials as they are stored."""
        ...

    def decrypt(self, stored: str, *, name: str) -> dict[str, str]:
        """Stored credentials of the site or ERP of this name. Raises `Misconfigured` where the key is another."""
        ...

    def check_address(self, url: str, *, allow_private: bool) -> None:
        """Raises `Misconfigured` for an address that may not be called."""
        ...

    def check_late(self, name: str, seconds: float) -> None:
        """Raises `Misconfigured` for a T_LATE that is not longer than the lease."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Durations in seconds, in the order http_timeout < soft_time_limit < time_limit < lease < every ERP's T_LATE."""

    http_timeout: float
    soft_time_limit: float
    time_limit: float
    lease: float


@dataclass(frozen=True, slots=True)
class Parts:
    """Store, peers, cache and limits. `spread` returns a random share of the seconds it is given; `ticks` is monotonic."""

    store: Store
    peers: Peers
    passes: SkuPasses
    limits: Limits
    spread: Callable[[float], float]
    ticks: Callable[[], float]


def site_named(parts: Parts, name: str) -> Site:
    """The site of this name. Raises `UsageError` naming those there are."""
    found = {site.name: site for site in parts.store.sites()}
    if name not in found:
        known = ", ".join(found) or "none yet; add one with `ordersync site add`"
        raise UsageError(f"There is no site named {name!r} (there are: {known}).")
    return found[name]


def site_with_id(parts: Parts, site_id: int) -> Site:
    """The site with this id. Raises `UsageError` where it was removed."""
    for site in parts.store.sites():
        if site.id == site_id:
            return site
    raise UsageError("The site was removed.")


def erp_of(parts: Parts, site: Site) -> ErpRow:
    """The ERP a site's orders go to: the one it names, else the only one. Raises `Misconfigured`."""
    rows = parts.store.erps()
    if site.erp_id is not None:
        named = next((row for row in rows if row.id == site.erp_id), None)
        if named is None:
            raise Misconfigured(
                f"The ERP of the site {site.name} is not connected any more; name another (`ordersync site set {site.name} --erp NAME`)."
            )
        return named
    match rows:
        case (only,):
            return only
        case ():
            raise Misconfigured("No ERP is configured; add one with `ordersync erp add`.")
        case _:
            raise Misconfigured(
                f"There are several ERPs; say which one the site {site.name} belongs to (`ordersync site set {site.name} --erp NAME`)."
            )


def windows_of(parts: Parts, row: ErpRow) -> tuple[Window, ...]:
    """The maintenance windows of an ERP: its system's own, which nothing removes, and those added by its settings."""
    return parts.peers.connector(row.platform).windows + tuple(
        _window(each) for each in row.settings.get("windows", ())
    )


def _window(stored: dict[str, Any]) -> Window:
    return Window(
        weekday=stored["weekday"],
        start=datetime.strptime(stored["start"], "%H:%M").time(),  # noqa: DTZ007 - a time of day, not a moment
        length=timedelta(minutes=stored["minutes"]),
        zone=stored["zone"],
    )


def maintenance_until(parts: Parts, site: Site) -> datetime | None:
    """When the maintenance of the site's ERP ends, or None while it is open. It closes early by the longest task."""
    try:
        row = erp_of(parts, site)
    except Misconfigured:
        return None
    return erp_maintenance_until(parts, row)


def erp_maintenance_until(parts: Parts, row: ErpRow, *, early: float | None = None) -> datetime | None:
    """When the maintenance of this ERP ends, or None while it is open.

    It closes so many seconds early; by default by the longest task, which asks once and may go on calling until its time is up.
    """
    seconds = parts.limits.soft_time_limit if early is None else early
    return closed_until(parts.store.now(), windows=windows_of(parts, row), early=timedelta(seconds=seconds))


def paused_sentence(now: datetime, until: datetime) -> str:
    """What a run inside a maintenance window says."""
    minutes = max(1, round((until - now).total_seconds() / 60))
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
    return f"Maintenance window until {until:%a %H:%M} UTC ({left} left); nothing is done until then."
