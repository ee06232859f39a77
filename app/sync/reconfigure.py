"""Changing sites and ERPs that are in use: only what is named changes, and what cannot work is refused before anything is stored."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.words import counted
from app.errors import UsageError
from app.ports.store import ErpRow, Site
from app.ports.systems import ErpChanges, SiteChanges
from app.sync import systems
from app.sync.parts import Parts, site_named
from app.sync.policy import HOLD_SETTINGS
from app.sync.schedule import next_time
from app.sync.wanted import Change, Wanted

__all__ = ["Changed", "Wanted", "sentence", "set_erp", "set_site"]


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed, whether a pause was lifted by it, how many held orders go on, and the next scheduled run."""

    what: tuple[str, ...]
    unpaused: bool
    released: int
    next_run: datetime


def sentence(changed: Changed, *, of: str) -> str:
    """What came of a change of `of` (the site bgm), for a person."""
    return " ".join(
        (
            f"The {of} is changed: {', '.join(changed.what)}."
            if changed.what
            else f"Nothing of the {of} is other than before.",
            *(["It was paused and is tried again."] if changed.unpaused else []),
            *([f"{counted(changed.released, 'held order')} tried again."] if changed.released else []),
            f"Next run: {changed.next_run:%Y-%m-%d %H:%M} UTC.",
        )
    )


def set_site(parts: Parts, name: str, wanted: Wanted, *, erp: str | None) -> Changed:
    """Change a site. What waited for its settings goes on by itself. Raises `UsageError` or `Misconfigured`."""
    site = site_named(parts, name)
    if not wanted.anything and erp is None:
        raise UsageError("Say what to change: --url, --allow-private, --credential, --set or --erp.")
    connector = parts.peers.connector(site.platform)
    change = Change(parts, site, connector, wanted)
    if change.is_elsewhere:
        systems.check_site_address(parts, name, change.url)
        orders = parts.store.site_use(site.id).orders
        if orders and not wanted.moved:
            raise UsageError(
                f"The site {name} has {counted(orders, 'order')} of the shop at {site.url}. If {change.url} is that shop at a new "
                "address, add --moved; another shop is a site of its own (ordersync site add)."
            )
    settings = systems.site_settings(
        connector, change.typed_settings(defaults=systems.site_settings(connector, {}))
    )
    erp_id = None if erp is None else _erp_id(parts, site, erp)
    next_run = site.order_next_run
    if settings["schedule"] != site.settings["schedule"]:
        next_run = next_time(settings["schedule"], after=parts.store.now())
    if site.paused_reason is not None:
        next_run = parts.store.now()
    parts.store.change_site(
        site.id,
        SiteChanges(
            url=change.url,
            erp_id=erp_id,
            allow_private=wanted.allow_private,
            settings=settings,
            credentials=change.encrypted(),
            order_next_run=next_run,
        ),
    )
    if site.paused_reason is not None:
        parts.store.pause_site(site.id, until=None, reason=None)
    released = parts.store.release_held(hold_kind=HOLD_SETTINGS, site_id=site.id)
    other_erp = ["erp"] if erp_id is not None and erp_id != site.erp_id else []
    return Changed(
        what=(*change.what(settings), *other_erp),
        unpaused=site.paused_reason is not None,
        released=released,
        next_run=next_run,
    )


def _erp_id(parts: Parts, site: Site, name: str) -> int:
    """The ERP that the site's orders are to go to. What was sent to another one without an answer is looked up there first."""
    new = systems.erp_named(parts, name)
    rows = parts.store.erps()
    now = next(
        (row for row in rows if row.id == site.erp_id or (site.erp_id is None and len(rows) == 1)), None
    )
    in_doubt = parts.store.site_use(site.id).in_doubt
    if now is not None and now.id != new.id and in_doubt:
        raise UsageError(
            f"What was sent to the ERP {now.name} for {counted(in_doubt, 'order')} of {site.name} got no clear answer; the ERP can "
            f"be changed when that is settled (ordersync queue, ordersync errors list --site {site.name})."
        )
    return new.id


def set_erp(parts: Parts, name: str, wanted: Wanted, *, company: str | None) -> Changed:
    """Change an ERP. What waited for its settings goes on by itself. Raises `UsageError` or `Misconfigured`."""
    row = systems.erp_named(parts, name)
    if not wanted.anything and company is None:
        raise UsageError("Say what to change: --url, --company, --allow-private, --credential or --set.")
    connector = parts.peers.connector(row.platform)
    change = Change(parts, row, connector, wanted)
    other_company = company is not None and company.strip().lower() != row.company.strip().lower()
    if change.is_elsewhere or other_company:
        _check_move(parts, row, change, company=company if other_company else None)
    settings = systems.erp_settings(
        connector, change.typed_settings(defaults=systems.erp_settings(connector, {}))
    )
    parts.peers.check_late(name, settings["t_late"])
    next_run = row.items_next_run
    if settings["items_schedule"] != row.settings["items_schedule"]:
        next_run = next_time(settings["items_schedule"], after=parts.store.now())
    another = other_company or (change.is_elsewhere and not wanted.moved)
    if row.paused_reason is not None or another:
        next_run = parts.store.now()
    parts.store.change_erp(
        row.id,
        ErpChanges(
            url=change.url,
            company=company,
            allow_private=wanted.allow_private,
            settings=settings,
            credentials=change.encrypted(),
            items_next_run=next_run,
            # The items of another company are older than what was read of this one.
            read_items_anew=another,
        ),
    )
    if row.paused_reason is not None:
        parts.store.pause_erp(row.id, until=None, reason=None)
    released = parts.store.release_held(hold_kind=HOLD_SETTINGS, erp_id=row.id)
    return Changed(
        what=(*change.what(settings), *(["company"] if other_company else [])),
        unpaused=row.paused_reason is not None,
        released=released,
        next_run=next_run,
    )


def _check_move(parts: Parts, row: ErpRow, change: Change, *, company: str | None) -> None:
    """Documents are looked up where they were written; in another company they would be missing and be written once more."""
    systems.check_erp_address(
        parts, row.name, change.url, company=row.company if company is None else company
    )
    sent = parts.store.erp_use(row.id).sent
    if sent and company is not None:
        raise UsageError(
            f"The company of the ERP {row.name} cannot change: it was sent {counted(sent, 'order')}. Add the other company as an "
            "ERP of its own (ordersync erp add) and let sites go to it (ordersync site set SITE --erp NAME)."
        )
    if sent and not change.wanted.moved:
        raise UsageError(
            f"The ERP {row.name} was sent {counted(sent, 'order')} at {row.url}. If {change.url} is the same company at a new "
            "address, add --moved; another company is an ERP of its own (ordersync erp add)."
        )
