"""Switching sites on and off, and removing sites and ERPs. Nothing that is in motion is left behind, nothing explained is forgotten."""

from collections.abc import Callable
from datetime import datetime

from app.domain.words import counted
from app.errors import UsageError
from app.ports.deliveries import EVENTS
from app.ports.store import Site
from app.ports.systems import ErpChanges, Removal, SiteChanges
from app.sync import systems
from app.sync.alerts import close_alert
from app.sync.parts import Parts, site_named

Sure = Callable[[str], bool]
"""Asks a person a question and tells whether the answer was yes."""


def enable_site(parts: Parts, name: str) -> datetime:
    """Let the schedule read the site. Returns when it does so next. Raises `UsageError`."""
    site = site_named(parts, name)
    parts.store.switch_site(site.id, active=True)
    return max(site.order_next_run, parts.store.now())


def disable_site(parts: Parts, name: str) -> int:
    """Let no schedule read the site any more. Returns how many of its orders still go on. Raises `UsageError`."""
    site = site_named(parts, name)
    parts.store.switch_site(site.id, active=False)
    for kind in EVENTS:
        # Nobody looks after it any more, so nobody would see that it is over.
        close_alert(parts, site, kind)
    return parts.store.site_use(site.id).unfinished


def disabled_sentence(name: str, unfinished: int) -> str:
    """What a person is told of a site that was switched off."""
    return (
        f"The site {name} is disabled: no schedule reads it any more. What was read before still goes on: "
        f"{counted(unfinished, 'order')} in motion or held."
    )


def unpause_site(parts: Parts, name: str) -> None:
    """Lift the pause that a failure has begun: the site is read at once. Raises `UsageError`."""
    site = site_named(parts, name)
    parts.store.pause_site(site.id, until=None, reason=None)
    parts.store.change_site(site.id, SiteChanges(order_next_run=parts.store.now()))


def unpause_erp(parts: Parts, name: str) -> None:
    """Lift the pause that a failure has begun: what goes to the ERP goes on, and its items are read at once. Raises `UsageError`."""
    row = systems.erp_named(parts, name)
    parts.store.pause_erp(row.id, until=None, reason=None)
    parts.store.change_erp(row.id, ErpChanges(items_next_run=parts.store.now()))


def remove_site(parts: Parts, name: str, *, sure: Sure) -> Removal | None:
    """Remove a site none of whose orders is in motion or held. None where the person was not sure. Raises `UsageError`."""
    site = site_named(parts, name)
    use = parts.store.site_use(site.id)
    if use.unfinished:
        raise _in_motion(parts, site)
    if not use.orders:
        question = f"Remove the site {name}? It has no orders and will be gone."
    else:
        errors = f" ({use.errors} in error, which then stay so)" if use.errors else ""
        question = (
            f"Remove the site {name}? Its {counted(use.orders, 'order')}{errors} can still be looked at, but it is in no list and no "
            "schedule any more, and its credentials are erased."
        )
    if site.hook_url:
        question += (
            f" Its webhooks stay at its platform; ordersync site hooks remove {name} takes them away first."
        )
    if not sure(question):
        return None
    removal = parts.store.remove_site(site.id)
    if removal is Removal.BEING_READ:
        raise UsageError(f"The site {name} is being read at this moment; try again when that is over.")
    if removal is Removal.IN_USE:
        raise _in_motion(parts, site)
    return removal


def _in_motion(parts: Parts, site: Site) -> UsageError:
    use = parts.store.site_use(site.id)
    return UsageError(
        f"The site {site.name} has {counted(use.active, 'order')} in motion and {use.held} held. Stop its reading (ordersync site disable "
        f"{site.name}) and remove it when they have come to an end; what they wait for: ordersync held list --site {site.name}."
    )


def remove_erp(parts: Parts, name: str, *, sure: Sure) -> Removal | None:
    """Remove an ERP that no site uses. None where the person was not sure. Raises `UsageError`."""
    row = systems.erp_named(parts, name)
    _check_unused(parts, row.id, name)
    use = parts.store.erp_use(row.id)
    rest = (
        f"What was written for it ({counted(use.written, 'order')}) can still be looked at, but it is in no list any more, and "
        "its credentials are erased."
        if use.written
        else "No order was written for it; what is known of its items goes with it."
    )
    if not sure(f"Remove the ERP {name}? {rest}"):
        return None
    removal = parts.store.remove_erp(row.id)
    if removal is Removal.BEING_READ:
        raise UsageError(
            f"The items of the ERP {name} are being read at this moment; try again when that is over."
        )
    if removal is Removal.IN_USE:
        _check_unused(parts, row.id, name)
        raise UsageError(f"The ERP {name} is in use again.")
    return removal


def _check_unused(parts: Parts, erp_id: int, name: str) -> None:
    for site in parts.store.sites():
        # A site that names no ERP goes to the only one there is.
        if site.erp_id in {None, erp_id}:
            raise UsageError(
                f"The site {site.name} uses the ERP {name}. Remove the site, or let it go to another ERP first: "
                f"ordersync site set {site.name} --erp NAME."
            )
    unfinished = parts.store.erp_use(erp_id).unfinished
    if unfinished:
        raise UsageError(
            f"The ERP {name} has {counted(unfinished, 'order')} in motion or held on the way to it; remove it when that has come "
            "to an end (ordersync queue)."
        )
