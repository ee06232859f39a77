"""What people see of sites and ERPs, the forms that add and change them, and what they start there by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.windows import Window, closed_until
from app.errors import UsageError
from app.ports.catalogue import Certified
from app.ports.certificates import Certificate
from app.ports.connector import Connector
from app.ports.limiters import Usage
from app.ports.store import ErpRow, Site
from app.sync import by_hand, doctor, showing, systems
from app.sync.findings import Finding
from app.sync.option_words import OPTION_WORDS
from app.sync.panel.parts import Panel
from app.sync.parts import Parts, site_named, windows_of
from app.sync.retire import remove_erp, remove_site
from app.sync.schedule_words import in_words, next_times
from app.sync.setting_texts import texts

_CERTIFICATES = 30
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a site or an ERP is worked with now: `active`, `off`, `paused` or `maintenance`; why not, and until when."""

    word: str
    reason: str = ""
    until: datetime | None = None
    left: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule: as it is stored, in words, and when it is due next; None where nothing is done by it."""

    cron: str
    words: str
    next_run: datetime | None


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A site in the list."""

    site: Site
    title: str
    standing: Standing
    schedule: Planned
    erp: str
    certificate: Certified | None


@dataclass(frozen=True, slots=True)
class ErpSummary:
    """An ERP in the list."""

    erp: ErpRow
    title: str
    standing: Standing
    schedule: Planned
    sites: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is connected."""

    sites: tuple[SiteRow, ...]
    erps: tuple[ErpSummary, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a form shows it. `text` is as a person would type it, empty where it is the default."""

    name: str
    words: str
    default: str
    text: str
    is_default: bool
    is_yes_no: bool


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential: what it is, and never what is stored of it but whether there is anything."""

    name: str
    words: str
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """What a connector asks of a person. `others` are settings of which there may be any number: their name and what they are.

    `topics` are those of its webhooks; none where it has no webhooks.
    """

    platform: str
    title: str
    settings: tuple[Setting, ...]
    credentials: tuple[Credential, ...]
    others: tuple[tuple[str, str], ...]
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """A maintenance window in words, when it begins next (or began), and whether a setting may remove it."""

    words: str
    begins: datetime
    ends: datetime
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class SitePage:
    """A site in full, but for its secrets."""

    row: SiteRow
    facts: Mapping[str, Any]
    described: Described
    next_times: tuple[datetime, ...]
    compared: Planned
    certificates: tuple[Certificate, ...]
    usage: tuple[Usage, ...]
    hook_base: str


@dataclass(frozen=True, slots=True)
class ErpPage:
    """An ERP in full, but for its secrets."""

    row: ErpSummary
    facts: Mapping[str, Any]
    described: Described
    next_times: tuple[datetime, ...]
    windows: tuple[Closing, ...]
    usage: tuple[Usage, ...]


def listing(panel: Panel) -> Listing:
    """Every site and every ERP, in as many questions as there would be for one of each."""
    store, now = panel.store, panel.store.now()
    sites, erps = store.sites(), store.erps()
    certificates = store.latest_certificates()
    return Listing(
        sites=tuple(_site_row(panel.parts, each, erps, certificates, now) for each in sites),
        erps=tuple(_erp_summary(panel.parts, each, sites, alone=len(erps) == 1, now=now) for each in erps),
    )


def site_page(panel: Panel, name: str) -> SitePage | None:
    """A site; None where there is none of this name."""
    site = next((each for each in panel.store.sites() if each.name == name), None)
    if site is None:
        return None
    parts, store, now = panel.parts, panel.store, panel.store.now()
    facts = showing.site_page(parts, name)
    connector = parts.peers.connector(site.platform)
    certificates = store.certificates(site.id, limit=_CERTIFICATES)
    newest = {site.id: _head(certificates[0])} if certificates else {}
    row = _site_row(parts, site, store.erps(), newest, now)
    is_on = row.standing.word != "off"
    return SitePage(
        row=row,
        facts=facts,
        described=described(connector, stored=site.settings, credentials=facts["credentials"] or ()),
        next_times=next_times(site.settings["schedule"], after=now) if is_on else (),
        compared=_planned(
            facts["settings"]["reconcile_schedule"], site.reconcile_next_run if is_on else None
        ),
        certificates=certificates,
        usage=_usage(panel, name),
        hook_base=site.hook_url.removesuffix(f"/hooks/{name}"),
    )


def erp_page(panel: Panel, name: str) -> ErpPage | None:
    """An ERP; None where there is none of this name."""
    row = next((each for each in panel.store.erps() if each.name == name), None)
    if row is None:
        return None
    parts, store, now = panel.parts, panel.store, panel.store.now()
    facts = showing.erp_page(parts, name)
    connector = parts.peers.connector(row.platform)
    alone = len(store.erps()) == 1
    return ErpPage(
        row=_erp_summary(parts, row, store.sites(), alone=alone, now=now),
        facts=facts,
        described=described(connector, stored=row.settings, credentials=facts["credentials"] or ()),
        next_times=next_times(row.settings["items_schedule"], after=now) if row.is_active else (),
        windows=tuple(
            _closing(each, now=now, is_fixed=each in connector.windows) for each in windows_of(parts, row)
        ),
        usage=_usage(panel, name),
    )


@dataclass(frozen=True, slots=True)
class Changing:
    """What the form that changes a site or an ERP shows. `erp` is the name of a site's ERP."""

    row: Site | ErpRow
    described: Described
    erp: str


def changing(panel: Panel, *, kind: str, name: str) -> Changing | None:
    """What there is to be changed; None where there is none of this name."""
    rows: Sequence[Site | ErpRow] = panel.store.sites() if kind == "site" else panel.store.erps()
    row = next((each for each in rows if each.name == name), None)
    if row is None:
        return None
    stored = showing.credentials_of(panel.parts, row)["credentials"] or ()
    connector = panel.parts.peers.connector(row.platform)
    erps = {each.id: each.name for each in panel.store.erps()}
    return Changing(
        row=row,
        described=described(connector, stored=row.settings, credentials=stored),
        erp=erps.get(row.erp_id or 0, "") if isinstance(row, Site) else "",
    )


def described(
    connector: Connector, *, stored: Mapping[str, Any] | None = None, credentials: Sequence[str] = ()
) -> Described:
    """What a form asks for: of a new system, or of one with these stored settings and credentials."""
    of_platform = systems.site_settings if connector.port == "sales_channel" else systems.erp_settings
    defaults = of_platform(connector, {})
    values = {**defaults, **(stored or {})}
    plain = texts(defaults, defaults={}, platform=connector.setting_text)
    typed = texts(values, defaults=defaults, platform=connector.setting_text)
    words = {**connector.words, **OPTION_WORDS}
    found = [
        Setting(
            name=name,
            words=words.get(name, ""),
            default=plain.get(name, ""),
            text="" if _is_default(name, values, defaults) else typed[name],
            is_default=_is_default(name, values, defaults),
            is_yes_no=isinstance(defaults.get(name), bool),
        )
        for name in values
    ]
    return Described(
        platform=connector.platform,
        title=connector.title,
        # What every system has stands first, in its own order.
        settings=tuple(sorted(found, key=lambda each: _place(each.name))),
        credentials=tuple(
            Credential(each, connector.words.get(each, ""), each in credentials)
            for each in connector.credentials
        ),
        others=tuple(
            (name, text)
            for name, text in connector.words.items()
            if name not in defaults and name not in connector.credentials
        ),
        topics=() if connector.hooks is None else connector.hooks.topics,
    )


def _is_default(name: str, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    return name in defaults and values[name] == defaults[name]


def _place(name: str) -> int:
    names = tuple(OPTION_WORDS)
    return names.index(name) if name in names else len(names)


def examined(panel: Panel, *, kind: str, name: str, clock: Callable[[], datetime]) -> tuple[Finding, ...]:
    """What a harmless look at a site or an ERP finds; nothing is changed by it. Raises `UsageError`."""
    if kind == "site":
        return tuple(doctor.look_at_site(panel.parts, site_named(panel.parts, name), clock=clock))
    return tuple(doctor.look_at_erp(panel.parts, systems.erp_named(panel.parts, name), clock=clock))


def removal_question(panel: Panel, *, kind: str, name: str) -> str:
    """What a person is asked before a site or an ERP is removed. Raises `UsageError` where it cannot be removed now."""
    asked: list[str] = []

    def noted(question: str) -> bool:
        asked.append(question)
        return False

    (remove_site if kind == "site" else remove_erp)(panel.parts, name, sure=noted)
    return asked[0]


def check_typed_name(name: str, typed: str) -> None:
    """Raises `UsageError` where somebody did not type the name of what they are about to remove."""
    if typed.strip() != name:
        raise UsageError(f"Type the name {name} to remove it. Nothing was changed.")


def start_comparison(panel: Panel, name: str, *, send: Callable[..., bool]) -> tuple[int, bool]:
    """Have a site compared now, as it is each night. The run to watch, and whether the broker took the message.

    Where it did not, the comparison is due all the same, and the next tick starts it. Raises `UsageError`.
    """
    site = site_named(panel.parts, name)
    task = by_hand.Task(name="reconcile", does="", parameters=())
    message = by_hand.Message(task=task, arguments={"site_id": site.id, "site": site.name}, site=site)
    started = by_hand.start(panel.parts, message)
    sent = send("reconcile", **started.arguments)
    if not sent:
        by_hand.end_task(panel.parts, started.run_id, reason="The broker did not take the message.")
    return started.run_id, sent


def other_settings(text: str) -> dict[str, str]:
    """Further settings, one `name=value` a line. Raises `UsageError` naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = line.strip().partition("=")
        if not line.strip():
            continue
        if not equals or not name.strip():
            raise UsageError(f"Line {number} of the further settings must look like name=value.")
        found[name.strip()] = value.strip()
    return found


def _site_row(
    parts: Parts,
    site: Site,
    erps: Sequence[ErpRow],
    certificates: Mapping[int, Certified],
    now: datetime,
) -> SiteRow:
    erp = next(
        (row for row in erps if row.id == site.erp_id or (site.erp_id is None and len(erps) == 1)), None
    )
    is_on = site.is_active and site.orders_sync
    standing = _standing(parts, site, is_on=is_on, erp=erp, now=now)
    return SiteRow(
        site=site,
        title=_title(parts, site.platform),
        standing=standing,
        schedule=_planned(site.settings["schedule"], site.order_next_run if is_on else None),
        erp="" if erp is None else erp.name,
        certificate=certificates.get(site.id),
    )


def _erp_summary(
    parts: Parts, row: ErpRow, sites: Sequence[Site], *, alone: bool, now: datetime
) -> ErpSummary:
    return ErpSummary(
        erp=row,
        title=_title(parts, row.platform),
        standing=_standing(parts, row, is_on=row.is_active, erp=row, now=now),
        schedule=_planned(row.settings["items_schedule"], row.items_next_run if row.is_active else None),
        sites=sum(each.erp_id == row.id or (alone and each.erp_id is None) for each in sites),
    )


def _standing(
    parts: Parts, row: Site | ErpRow, *, is_on: bool, erp: ErpRow | None, now: datetime
) -> Standing:
    if not is_on:
        return Standing("off")
    if row.paused_until is not None and row.paused_until > now:
        left = row.paused_until - now
        return Standing("paused", row.paused_reason or "No reason was stored.", row.paused_until, left)
    early = timedelta(seconds=parts.limits.soft_time_limit)
    until = None if erp is None else closed_until(now, windows=windows_of(parts, erp), early=early)
    if until is not None and erp is not None:
        return Standing("maintenance", f"{erp.name} is in its maintenance window.", until, until - now)
    return Standing("active")


def _planned(cron: str, next_run: datetime | None) -> Planned:
    return Planned(cron=cron, words=in_words(cron), next_run=next_run)


def _title(parts: Parts, platform: str) -> str:
    return parts.peers.connector(platform).title


def _head(found: Certificate) -> Certified:
    return Certified(complete=found.complete, until_at=found.until_at, made_at=found.made_at)


def _usage(panel: Panel, name: str) -> tuple[Usage, ...]:
    return tuple(each for each in panel.limiters().usage() if name in each.names)


def _closing(window: Window, *, now: datetime, is_fixed: bool) -> Closing:
    begins, ends = window.current_or_next(now)
    minutes = int(window.length.total_seconds()) // 60
    lasts = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    words = f"{_DAYS[window.weekday]} {window.start:%H:%M} {window.zone} for {lasts}"
    return Closing(words=words, begins=begins, ends=ends, is_fixed=is_fixed)
