"""What is asked of every site and ERP before it is stored, whether it is added or changed."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from app.errors import Misconfigured, UsageError
from app.ports.connector import Connector
from app.ports.store import ErpRow
from app.sync.options import read_erp_settings, read_site_settings
from app.sync.parts import Parts

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PREFIX = re.compile(r"[A-Z0-9]{1,16}")
_PORTS = {"https": 443, "http": 80}
_LONGEST_ADDRESS = 500
_LONGEST_COMPANY = 64


def check_name(name: str) -> None:
    """Raises `UsageError` for a name that is hard to type."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"The name {name!r} must be small letters, digits, - and _, beginning with a letter or digit."
        )


def check_prefix(prefix: str) -> None:
    """Raises `UsageError` for what cannot begin an order number."""
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(f"The prefix {prefix!r} must be 1 to 16 capital letters and digits, such as BGM.")


def connector_for(parts: Parts, platform: str, *, port: Literal["sales_channel", "erp"]) -> Connector:
    """The connector of a platform. Raises `UsageError` where there is none, or where it is none of this port."""
    connector = parts.peers.connector(platform)
    if connector.port != port:
        raise UsageError(f"{connector.title} is no {'sales channel' if port == 'sales_channel' else 'ERP'}.")
    return connector


def check_credentials(connector: Connector, names: Iterable[str]) -> None:
    """Raises `UsageError` for a credential that the connector does not take."""
    unknown = sorted(set(names) - set(connector.credentials))
    if unknown:
        raise UsageError(
            f"{connector.title} has no credential {unknown[0]!r}; it takes: {', '.join(connector.credentials)}."
        )


def check_addresses(parts: Parts, url: str, credentials: Mapping[str, str], *, allow_private: bool) -> None:
    """Raises `Misconfigured` for an address that may not be called: the system's own, or one among its credentials."""
    if len(url) > _LONGEST_ADDRESS or not url.isprintable():
        raise Misconfigured(
            f"The address must be of at most {_LONGEST_ADDRESS} characters, all of which can be read."
        )
    parts.peers.check_address(url, allow_private=allow_private)
    for name, value in credentials.items():
        if name.endswith("_url") and value:
            _check_credential(parts, name, value, allow_private=allow_private)


def _check_credential(parts: Parts, name: str, value: str, *, allow_private: bool) -> None:
    """The refusal tells what is wrong with the address and does not repeat it: somebody may have typed a secret there."""
    if not value.isprintable():
        raise Misconfigured(f"The credential {name} holds characters that cannot be read.")
    try:
        parts.peers.check_address(value, allow_private=allow_private)
    except Misconfigured as error:
        said = error.reason.replace(f"The address {value!r}", f"The credential {name}").replace(value, "...")
        raise Misconfigured(said, mend=error.mend) from None


def site_settings(connector: Connector, given: Mapping[str, str]) -> dict[str, Any]:
    """All settings of a site of this connector, from what a person typed. Raises `UsageError`."""
    return read_site_settings(given, platform=connector.read_settings)


def erp_settings(connector: Connector, given: Mapping[str, str]) -> dict[str, Any]:
    """All settings of an ERP of this connector, from what a person typed. Raises `UsageError`."""
    late: timedelta = connector.late
    return read_erp_settings(given, platform=connector.read_settings, late=late)


def address(url: str) -> tuple[str, str, int, str]:
    """What two ways of writing one address have in common; it has been checked, so that it can be taken apart."""
    found = urlsplit(url)
    return found.scheme, found.hostname or "", found.port or _PORTS[found.scheme], found.path.rstrip("/")


def place(url: str) -> tuple[str, int | None, str]:
    """Where an address leads, whether it is called by http or https."""
    scheme, host, port, path = address(url)
    return host, None if port == _PORTS[scheme] else port, path


def check_site_address(parts: Parts, name: str, url: str) -> None:
    """Raises `UsageError` where another site has this address, or had it before it was removed."""
    for site in parts.store.sites():
        if site.name != name and address(site.url) == address(url):
            raise UsageError(
                f"The site {site.name!r} has this address already; every order would be exported twice."
            )
    for site in parts.store.removed_sites():
        if site.name != name and address(site.url) == address(url):
            raise UsageError(
                f"The site {site.name!r}, which was removed, had this address; under another name every order would be "
                f"exported twice. It comes back by ordersync site add {site.name} with the prefix {site.prefix}."
            )


def check_erp_address(parts: Parts, name: str, url: str, *, company: str) -> None:
    """Raises `UsageError` where another ERP is this company at this address, or was before it was removed."""
    if len(company) > _LONGEST_COMPANY or not company.isprintable():
        raise UsageError(
            f"The company must be of at most {_LONGEST_COMPANY} characters, all of which can be read."
        )
    wanted = (address(url), company.strip().lower())
    for row in parts.store.erps():
        if row.name != name and (address(row.url), row.company.strip().lower()) == wanted:
            raise UsageError(
                f"The ERP {row.name!r} is this company at this address already; every order would be exported twice."
            )
    for row in parts.store.removed_erps():
        if row.name != name and (address(row.url), row.company.strip().lower()) == wanted:
            raise UsageError(
                f"The ERP {row.name!r}, which was removed, was this company at this address; under another name orders "
                f"could be exported twice. It comes back by ordersync erp add {row.name}."
            )


def erp_named(parts: Parts, name: str) -> ErpRow:
    """The ERP of this name. Raises `UsageError` naming those there are."""
    found = {row.name: row for row in parts.store.erps()}
    if name not in found:
        raise UsageError(f"There is no ERP named {name!r} (there are: {', '.join(found) or 'none yet'}).")
    return found[name]
