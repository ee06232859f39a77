"""What the alerts are: each minute every rule is looked at, what begins and what is over is noted, and whoever is owed is told.

An alert begins once its rule sees it and is over once the rule has not seen it for as long as it must hold; people are told of both
once, and of what ends before they were told never. In quiet hours nobody is told; what still holds at their end is told then.

Each telling is a row of its own: claimed under lease, sent outside every transaction, and settled. A process that ends between
sending and settling leaves the lease to run out, and that target is told once more: twice at the most for each such end, never
not at all. A target that fails is tried again in growing pauses for a day and holds up no other; its failure stays listed.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

import structlog

from app.domain.windows import WEEK, Window
from app.errors import OrderSyncError
from app.ports.alerting import AlertRow, Changes, Condition, OwedNotice, Rule, Severity, What
from app.ports.deliveries import AlertKind
from app.ports.desk import ErrorFilter, ErrorSums
from app.ports.limiters import Breaker
from app.ports.notifier import Message
from app.ports.store import ErpRow, Site
from app.sync import limiters, overview
from app.sync.panel.alert_rules import MEANINGS, WATCHED, address_of, rules
from app.sync.panel.freshness import freshness, windows_by_erp, windows_of_site
from app.sync.panel.parts import Panel
from app.sync.policy import tell_again_at

log = structlog.get_logger("ordersync.alerts")

_LEASE_SECONDS = 120.0
_TELL_SECONDS = 40.0
"""After this no further telling is begun: the next minute goes on."""

_WEEKS = 8
_FEWEST_WEEKS = 4
_FEWEST_USUAL = 5
_HOUR = timedelta(hours=1)


def watch(panel: Panel, *, web_url: str | None) -> None:
    """What beat starts each minute. Two at once do no harm."""
    look(panel)
    tell(panel, web_url=web_url)


def look(panel: Panel) -> Changes:
    """Look at every rule; open and end alerts, and put down who is to be told."""
    store = panel.store
    now = store.now()
    all_rules = rules(store)
    watched = {kind: all_rules[kind] for kind in WATCHED if all_rules[kind].enabled}
    seen, looked_at = conditions(panel, watched, now=now)
    found = store.observe(
        seen,
        kinds=looked_at,
        clear_minutes={kind: rule.for_minutes for kind, rule in watched.items()},
    )
    off = store.end_alerts([kind for kind in WATCHED if kind not in watched])
    for each in found.opened:
        log.warning("alert_opened", alert=each.id, kind=each.kind.value, subject=each.subject)
    for each in (*found.closed, *off.closed):
        log.info("alert_closed", alert=each.id, kind=each.kind.value, subject=each.subject)
    store.owe_notices(all_rules, quiet=_quiet(all_rules, now))
    return Changes(opened=found.opened, closed=(*found.closed, *off.closed))


def _quiet(all_rules: Mapping[AlertKind, Rule], now: datetime) -> tuple[AlertKind, ...]:
    return tuple(kind for kind, rule in all_rules.items() if rule.is_quiet(now))


# What the rules see.


@dataclass(frozen=True, slots=True)
class _Sight:
    """What every rule looks with."""

    panel: Panel
    now: datetime
    sites: tuple[Site, ...]
    erps: tuple[ErpRow, ...]
    windows: Mapping[int, tuple[Window, ...]]
    errors: ErrorSums


def conditions(
    panel: Panel, watched: Mapping[AlertKind, Rule], *, now: datetime
) -> tuple[Sequence[Condition], Sequence[AlertKind]]:
    """Everything that these rules see now, and the kinds of those that could look."""
    store = panel.store
    erps = store.erps()
    windows = windows_by_erp(panel.parts, erps)
    sight = _Sight(panel, now, store.sites(), erps, windows, store.error_sums(ErrorFilter()))
    seen: list[Condition] = []
    looked_at = []
    for kind, rule in watched.items():
        try:
            seen += list(_LOOKS[kind](sight, rule))
        except Exception:
            # The others look all the same, and what this one has seen before is not over for it.
            log.exception("alert_rule_failed", kind=kind.value)
        else:
            looked_at.append(kind)
    return seen, looked_at


def _not_fresh(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    readings = sight.panel.store.readings()
    for site in sight.sites:
        if site.id not in readings:
            # Connected a moment ago.
            continue
        last = readings[site.id]
        found = freshness(
            sight.panel.parts,
            site,
            now=sight.now,
            read_at=last.read_at,
            created_at=last.created_at,
            windows=windows_of_site(site, sight.windows),
        )
        if found.is_late:
            since = f"since {_moment(last.read_at)}" if last.read_at else "ever"
            yield Condition(
                rule.kind,
                f"{site.name} was not read to the end {since}; with its schedule the last reading should be no older than "
                f"{_span(found.target)}.",
                site_id=site.id,
            )


def _unusually_quiet(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    end = sight.now.replace(minute=0, second=0, microsecond=0)
    spans = [(end - _HOUR - week * WEEK, end - week * WEEK) for week in range(_WEEKS + 1)]
    counts = sight.panel.store.new_orders(spans)
    for site in sight.sites:
        if not (site.is_active and site.orders_sync) or site.id not in counts:
            continue
        windows = windows_of_site(site, sight.windows)
        if any(each.current_or_next(spans[0][0])[0] < end for each in windows):
            # In maintenance nothing is read; in other weeks, or before the clocks were changed, it may have been.
            continue
        came, *before = counts[site.id]
        while before and before[-1] == 0:
            # Most likely from before the shop was connected.
            before.pop()
        if len(before) < _FEWEST_WEEKS:
            continue
        usual = Decimal(median(before))
        if usual >= _FEWEST_USUAL and came <= usual * (rule.threshold or 0) / 100:
            yield Condition(
                rule.kind,
                f"{site.name} brought {_orders(came)} from {spans[0][0]:%H:%M} to {end:%H:%M} UTC; in this hour of the last "
                f"{len(before)} weeks it was {usual.normalize():f} (median of {', '.join(map(str, before))}).",
                site_id=site.id,
            )


def _paused(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    for site in sight.sites:
        if site.is_active and site.orders_sync and site.paused_reason is not None:
            yield Condition(rule.kind, f"{site.name} is not read: {site.paused_reason}", site_id=site.id)
    for row in sight.erps:
        if row.is_active and row.paused_reason is not None:
            yield Condition(rule.kind, f"{row.name} is not written to: {row.paused_reason}", subject=row.name)


def _breaker_open(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    for each in limiters.accounts(sight.panel.parts, sight.panel.limiters())["accounts"]:
        if each["breaker"] != Breaker.CLOSED:
            yield Condition(
                rule.kind,
                f"The account of {each['account']} is not called since {_moment(each['breaker_since'])}: its last "
                f"{_times(each['failures_in_a_row'])} failed. The last failure: {each['last_failure'] or 'not known'}.",
                subject=each["account"],
            )


def _stuck(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    found = overview.queue(sight.panel.parts)
    rows = [each for each in found["road"] if each["link"] in found["stuck"]]
    if rows:
        told = ", ".join(
            f"{each['due']} at {each['link']} since {_moment(each['due_since'])}" for each in rows
        )
        yield Condition(rule.kind, f"Orders are due and nobody comes for them: {told}.")


def _open_errors(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    errors = sight.errors.errors
    if rule.threshold is not None and errors > rule.threshold:
        yield Condition(rule.kind, f"{errors:,} orders wait for a person; told above {rule.threshold:,f}.")


def _money_at_risk(sight: _Sight, rule: Rule) -> Iterator[Condition]:
    for currency, amount in sight.errors.money.items():
        if rule.currency in {"", currency} and rule.threshold is not None and amount > rule.threshold:
            yield Condition(
                rule.kind,
                f"The orders that wait for a person are worth {amount:,.2f} {currency}; told above {rule.threshold:,.2f}.",
                subject=currency,
            )


_LOOKS: Mapping[AlertKind, Callable[[_Sight, Rule], Iterable[Condition]]] = {
    AlertKind.NOT_FRESH: _not_fresh,
    AlertKind.UNUSUALLY_QUIET: _unusually_quiet,
    AlertKind.PAUSED: _paused,
    AlertKind.BREAKER_OPEN: _breaker_open,
    AlertKind.STUCK: _stuck,
    AlertKind.OPEN_ERRORS: _open_errors,
    AlertKind.MONEY_AT_RISK: _money_at_risk,
}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _orders(number: int) -> str:
    return "no order" if number == 0 else f"{number} order{'s' if number > 1 else ''}"


def _times(number: int) -> str:
    return "call" if number == 1 else f"{number} calls"


# Telling.


def tell(panel: Panel, *, web_url: str | None) -> int:
    """Send what is owed, one after the other. A target that fails waits for its next time. Returns how many were told."""
    store = panel.store
    all_rules = rules(store)
    off = tuple(kind for kind, rule in all_rules.items() if not rule.enabled)
    quiet = (*_quiet(all_rules, store.now()), *off)
    began, told = panel.parts.ticks(), 0
    failed: set[int] = set()
    while panel.parts.ticks() - began < _TELL_SECONDS:
        token = str(uuid.uuid4())
        notice = store.claim_notice(quiet=quiet, without=failed, token=token, lease_seconds=_LEASE_SECONDS)
        if notice is None:
            break
        if _tell_one(panel, notice, token=token, rule=all_rules[notice.alert.kind], web_url=web_url):
            told += 1
        else:
            failed.add(notice.target.id)
    return told


def _tell_one(panel: Panel, notice: OwedNotice, *, token: str, rule: Rule, web_url: str | None) -> bool:
    facts = {"alert": notice.alert.id, "kind": notice.alert.kind.value, "target": notice.target.name}
    try:
        outcome = panel.notifier.send(
            address_of(panel, notice.target),
            message(notice.alert, notice.what, rule=rule, now=panel.store.now(), web_url=web_url),
        )
    except OrderSyncError as error:
        # Whatever it is, the others are told, and this one is tried again.
        now = panel.store.now()
        next_at = tell_again_at(now, made_at=notice.made_at, attempts=notice.attempts)
        outcome = error.reason if next_at else f"Given up after {notice.attempts} attempts. {error.reason}"
        panel.store.settle_notice(notice.id, token=token, is_told=False, next_at=next_at, outcome=outcome)
        log.warning("alert_not_told", attempts=notice.attempts, given_up=next_at is None, **facts)
        return False
    panel.store.settle_notice(notice.id, token=token, is_told=True, next_at=None, outcome=outcome)
    log.info("alert_told", what=notice.what.value, in_part=bool(outcome), **facts)
    return True


def message(alert: AlertRow, what: What, *, rule: Rule, now: datetime, web_url: str | None) -> Message:
    """What people are told, in plain text: what, since when, with which numbers, what to do and where to look."""
    meaning = MEANINGS[alert.kind]
    about = f"{meaning.title}: {alert.subject}" if alert.subject else meaning.title
    is_over = what is What.OVER
    mark = "over" if is_over else rule.severity.value
    lines = [_plain(alert.reason)]
    if alert.closed_at is not None:
        lasted = _span(alert.closed_at - alert.opened_at)
        lines = [
            f"It began at {_moment(alert.opened_at)} and was over at {_moment(alert.closed_at)}, after {lasted}.",
            f"It was: {_plain(alert.reason)}",
        ]
    else:
        lines += [f"Since {_moment(alert.opened_at)} ({_span(now - alert.opened_at)}).", meaning.do]
    if web_url:
        lines.append(f"{web_url.rstrip('/')}/alerts")
    return Message(
        title=_plain(f"[{mark}] {about}"),
        body="\n".join(lines),
        is_good=is_over,
        is_severe=rule.severity is Severity.CRITICAL,
    )


def _plain(text: str) -> str:
    """A reason may quote what a platform said: one line, nothing that steers, and nobody called by an @."""
    clean = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(clean.split()).replace("@", "(at)")
