"""Looking at what is connected: each site and each ERP by a real, harmless call. Nothing is changed by it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.errors import Misconfigured, OrderSyncError
from app.ports.deliveries import EVENTS
from app.ports.examination import Examination
from app.ports.store import ErpRow, Site
from app.sync.findings import Finding, Report, set_command
from app.sync.options import erp_options
from app.sync.parts import Parts, erp_maintenance_until, maintenance_until

SKEW_WARNS = 30.0
SKEW_IS_WRONG = 300.0
"""Seconds between a peer's clock and ours. Signed requests are refused beyond a few minutes, and what is read up to the peer's
time is compared with ours."""

_OVERDUE = timedelta(minutes=2)
"""Beat's tick comes every minute. A site that was due this long ago, and a lease besides, is read by nobody."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """A site or an ERP, as far as both are looked at alike."""

    kind: str
    name: str
    title: str
    paused_until: datetime | None
    paused_reason: str | None
    again: str
    report: Report
    failing_since: datetime | None = None


def look_at_site(
    parts: Parts, site: Site, *, clock: Callable[[], datetime], failing_since: datetime | None = None
) -> Iterator[Finding]:
    """How a site stands. `clock` is this machine's, aware UTC, without the demo's shift.

    `failing_since`: when its runs began to fail, where they do.
    """
    report = Report(f"site:{site.name}")
    if not (site.is_active and site.orders_sync):
        yield report.ok("It is disabled, and is not called.", do=f"ordersync site enable {site.name}")
        return
    title = parts.peers.connector(site.platform).title
    again = f"ordersync sync {site.name}"
    until, why = site.paused_until, site.paused_reason
    peer = _Peer("site", site.name, title, until, why, again, report, failing_since)
    yield from _without_erp(parts, site, report)
    yield from _looked_at(parts, peer, lambda: parts.peers.channel(site).examine(), clock=clock)
    yield from _webhooks(parts, site, report)


def _webhooks(parts: Parts, site: Site, report: Report) -> Iterator[Finding]:
    """Where its webhooks come to and when one came last, where it has any; and what is told of it."""
    alerts = parts.store.open_alerts(site_id=site.id)
    for alert in alerts:
        yield report.warning(
            f"Since {alert.opened_at:%Y-%m-%d %H:%M} UTC: {alert.reason}",
            do=(
                f"ordersync site hooks check {site.name}" if alert.kind in EVENTS else "ordersync alerts list"
            ),
        )
    if site.hook_url and not alerts:
        last = parts.store.last_delivery(site.id)
        when = "none has come yet" if last is None else f"the last one came at {last:%Y-%m-%d %H:%M} UTC"
        yield report.ok(f"Its webhooks go to {site.hook_url}; {when}.")


def _without_erp(parts: Parts, site: Site, report: Report) -> Iterator[Finding]:
    """Where its orders go is not said, and there are several places."""
    if site.erp_id is None and len(parts.store.erps()) > 1:
        yield report.wrong(
            "There are several ERPs, and it is not said which one its orders go to.",
            do=set_command("site", site.name, ("erp",)),
        )


def look_at_erp(parts: Parts, row: ErpRow, *, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """How an ERP stands. Within its maintenance window it is not called."""
    report = Report(f"erp:{row.name}")
    if not row.is_active:
        yield report.ok("It is disabled, and is not called.")
        return
    until = erp_maintenance_until(parts, row)
    if until is not None:
        yield report.warning(
            f"It is in its maintenance window until {until:%a %H:%M} UTC, and is not called.",
            do=f"ordersync doctor erp:{row.name}  # after {until:%H:%M} UTC",
        )
        return
    customer = erp_options(row.settings).default_customer
    title = parts.peers.connector(row.platform).title
    peer = _Peer("erp", row.name, title, row.paused_until, row.paused_reason, "ordersync items sync", report)
    yield from _looked_at(parts, peer, lambda: parts.peers.erp(row).examine(customer=customer), clock=clock)


def _looked_at(
    parts: Parts, peer: _Peer, examine: Callable[[], Examination], *, clock: Callable[[], datetime]
) -> Iterator[Finding]:
    before = clock()
    try:
        found = examine()
    except OrderSyncError as error:
        yield _failure(peer, error)
        return
    troubles = [
        *_troubles(peer, found),
        *_skew(peer, found.answered_at, before=before, after=clock()),
        *_pause(peer, now=parts.store.now()),
    ]
    yield from troubles or [peer.report.ok(found.found)]


def _failure(peer: _Peer, error: OrderSyncError) -> Finding:
    look_again = f"ordersync doctor {peer.kind}:{peer.name}"
    if not isinstance(error, Misconfigured):
        return peer.report.wrong(error.reason, do=f"{look_again}  # it is tried again by itself")
    if error.mend:
        return peer.report.wrong(error.reason, do=set_command(peer.kind, peer.name, error.mend))
    return peer.report.wrong(error.reason, do=f"{look_again}  # when it is put right in {peer.title}")


def _troubles(peer: _Peer, found: Examination) -> Iterator[Finding]:
    for trouble in found.troubles:
        say = peer.report.wrong if trouble.stops else peer.report.warning
        yield say(trouble.reason, do=set_command(peer.kind, peer.name, trouble.mend))


def _skew(
    peer: _Peer, answered_at: datetime | None, *, before: datetime, after: datetime
) -> Iterator[Finding]:
    if answered_at is None:
        return
    # The answer was given at some moment between the two; a Date header has whole seconds.
    ahead = (answered_at - after).total_seconds()
    behind = (before - answered_at).total_seconds()
    seconds, word = max((ahead, "ahead of"), (behind, "behind"))
    if seconds <= SKEW_WARNS:
        return
    say = peer.report.warning if seconds <= SKEW_IS_WRONG else peer.report.wrong
    yield say(
        f"Its clock is {round(seconds)} s {word} this machine's.",
        do="timedatectl set-ntp true  # here, or there if this machine's clock is right",
    )


def _pause(peer: _Peer, *, now: datetime) -> Iterator[Finding]:
    if peer.paused_until is None or peer.paused_until <= now:
        return
    why = (peer.paused_reason or "no reason was stored").rstrip(".")
    since = "" if peer.failing_since is None else f" since {peer.failing_since:%Y-%m-%d %H:%M} and"
    yield peer.report.warning(
        f"It is paused{since} until {peer.paused_until:%H:%M} UTC ({why}), but answers now.", do=peer.again
    )


def overdue_sites(parts: Parts) -> Iterator[tuple[str, timedelta]]:
    """Sites that should have been read a while ago and that nothing keeps from it, with how long ago that was."""
    now = parts.store.now()
    patience = _OVERDUE + timedelta(seconds=parts.limits.lease)
    for site in parts.store.sites():
        late = now - site.order_next_run
        is_paused = site.paused_until is not None and site.paused_until > now
        if not (site.is_active and site.orders_sync) or is_paused or late < patience:
            continue
        if maintenance_until(parts, site) is None:
            yield site.name, late
