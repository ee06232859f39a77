"""The rules of alerts: what each kind means, how it is unless people say otherwise, and whom alerts are told."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import Retry, UsageError
from app.ports.alerting import Rule, Severity, Target
from app.ports.deliveries import EVENTS, AlertKind
from app.ports.notifier import Message
from app.ports.panel import PanelStore
from app.sync.panel.parts import Panel

WATCHED = tuple(kind for kind in AlertKind if kind not in EVENTS)
_LONGEST_MINUTES = 7 * 24 * 60
_MOST = Decimal(10) ** 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind is called, when it begins, what to do, and what its threshold is; empty where it has none."""

    title: str
    when: str
    do: str
    threshold: str = ""


MEANINGS: Mapping[AlertKind, Meaning] = {
    AlertKind.NOT_FRESH: Meaning(
        "Site not fresh",
        "The last complete reading of a site (one that did not stop at max_orders_per_run) is older than its schedule's longest gap "
        "and 15 minutes, or than its setting fresh_minutes. A site that is switched off, or whose ERP is in maintenance, is left out.",
        "See its runs for the reason, and that workers and beat are alive.",
    ),
    AlertKind.UNUSUALLY_QUIET: Meaning(
        "Unusually quiet",
        "In the last full hour no more orders came than the threshold's share of what is usual in this hour of the week (the "
        "median of the last 8 weeks, where that is 5 or more).",
        "Place a test order, or ask the shop whether it sells; if it does, compare it with what was read.",
        "Percent of the usual number",
    ),
    AlertKind.PAUSED: Meaning(
        "Paused for its settings",
        "A site or an ERP is left alone because its settings or credentials do not work.",
        "Put right what the reason names, then check the connection.",
    ),
    AlertKind.BREAKER_OPEN: Meaning(
        "Account not called",
        "The calls of an account failed again and again, so that it is left alone for a while.",
        "See that the system answers; once it does, it is called again by itself.",
    ),
    AlertKind.STUCK: Meaning(
        "Nobody comes",
        "Orders are due at a place of the road for more than five minutes and no worker takes them.",
        "See that workers run and answer.",
    ),
    AlertKind.OPEN_ERRORS: Meaning(
        "Many open errors",
        "More orders than the threshold wait for a person.",
        "Look at the kinds of errors; one cause often has stopped many orders.",
        "Orders",
    ),
    AlertKind.MONEY_AT_RISK: Meaning(
        "Money at risk",
        "The orders that wait for a person are worth more than the threshold, in the currency named or in any.",
        "Begin with the orders that are worth most.",
        "Amount",
    ),
    AlertKind.WEBHOOK_SILENT: Meaning(
        "Webhooks silent",
        "Polling finds orders that no webhook has announced.",
        "See that the webhooks' address can be reached from outside.",
    ),
    AlertKind.WEBHOOK_DISABLED: Meaning(
        "Webhooks disabled",
        "The platform had stopped sending its webhooks; they were switched on again.",
        "See why deliveries failed: the log's delivery_refused, and the proxy's log.",
    ),
    AlertKind.NOT_COMPLETE: Meaning(
        "Not complete",
        "The nightly comparison found orders that are missing, doubled or different, or could not be made.",
        "See the site's comparison for the list.",
    ),
}

_DEFAULTS: Mapping[AlertKind, Rule] = {
    each.kind: each
    for each in (
        Rule(AlertKind.NOT_FRESH, for_minutes=5, severity=Severity.CRITICAL),
        Rule(AlertKind.UNUSUALLY_QUIET, threshold=Decimal(10)),
        Rule(AlertKind.PAUSED, for_minutes=10, severity=Severity.CRITICAL),
        Rule(AlertKind.BREAKER_OPEN, for_minutes=10),
        Rule(AlertKind.STUCK, for_minutes=5, severity=Severity.CRITICAL),
        Rule(AlertKind.OPEN_ERRORS, threshold=Decimal(100), for_minutes=5),
        Rule(AlertKind.MONEY_AT_RISK, threshold=Decimal(10_000), for_minutes=5),
        Rule(AlertKind.WEBHOOK_SILENT),
        Rule(AlertKind.WEBHOOK_DISABLED),
        Rule(AlertKind.NOT_COMPLETE),
    )
}


def rules(store: PanelStore) -> Mapping[AlertKind, Rule]:
    """Every kind's rule, in the order of their meanings."""
    changed = store.alert_rules()
    return {kind: changed.get(kind, _DEFAULTS[kind]) for kind in MEANINGS}


def kind_named(word: str) -> AlertKind:
    """Raises `UsageError` naming the kinds there are."""
    try:
        return AlertKind(word)
    except ValueError:
        raise UsageError(f"There is no kind of alert {word!r}; there are: {', '.join(MEANINGS)}.") from None


def set_rule(panel: Panel, kind: AlertKind, given: Mapping[str, str]) -> Rule:
    """Change a rule by what a person typed, by its fields' names; what is not given stays. Raises `UsageError`."""
    rule = _read(rules(panel.store)[kind], given)
    panel.store.save_alert_rule(rule)
    return rule


def texts(rule: Rule) -> dict[str, Any]:
    """A rule as a person would type it."""
    return {
        "enabled": rule.enabled,
        "threshold": "" if rule.threshold is None else f"{rule.threshold:.{_places(rule.kind)}f}",
        "currency": rule.currency,
        "for_minutes": str(rule.for_minutes),
        "severity": rule.severity.value,
        "quiet_from": rule.quiet_from,
        "quiet_to": rule.quiet_to,
        "quiet_zone": rule.quiet_zone,
    }


def _read(rule: Rule, given: Mapping[str, str]) -> Rule:
    now = {**texts(rule), **{name: value.strip() for name, value in given.items()}}
    begin, end = _clock(now["quiet_from"]), _clock(now["quiet_to"])
    if bool(begin) != bool(end) or (begin and begin == end):
        raise UsageError(
            "Quiet hours have a begin and an end that differ, such as 22:00 and 06:00; or neither."
        )
    return Rule(
        kind=rule.kind,
        enabled=now["enabled"] in {True, "true", "on", "yes", "1"},
        threshold=_threshold(rule.kind, now["threshold"]),
        currency=_currency(rule.kind, now["currency"].upper()),
        for_minutes=_minutes(now["for_minutes"]),
        severity=_severity(now["severity"]),
        quiet_from=begin,
        quiet_to=end,
        quiet_zone=_zone(now["quiet_zone"] or "UTC") if begin else "",
    )


def _places(kind: AlertKind) -> int:
    """Digits behind the point of its threshold."""
    return 2 if kind is AlertKind.MONEY_AT_RISK else 0


def _threshold(kind: AlertKind, text: str) -> Decimal | None:
    if not MEANINGS[kind].threshold:
        if text:
            raise UsageError(f"The rule {kind.value} has no threshold.")
        return None
    most = Decimal(100) if kind is AlertKind.UNUSUALLY_QUIET else _MOST
    places = _places(kind)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value < most or value != value.quantize(Decimal(1).scaleb(-places)):
        kind_of_number = "an amount with two digits at most behind the point" if places else "a whole number"
        raise UsageError(f"The threshold {text!r} must be {kind_of_number}, from 0 to below {most:,f}.")
    return value


def _currency(kind: AlertKind, text: str) -> str:
    if not text:
        return ""
    if kind is not AlertKind.MONEY_AT_RISK or not _CURRENCY.fullmatch(text):
        raise UsageError(
            f"The currency {text!r} must be three letters such as EUR, or empty for any; only money_at_risk has one."
        )
    return text


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LONGEST_MINUTES))):
        raise UsageError(f"The minutes {text!r} must be a whole number from 0 to {_LONGEST_MINUTES}.")
    if int(text) > _LONGEST_MINUTES:
        raise UsageError(f"The minutes {text!r} must be a whole number from 0 to {_LONGEST_MINUTES}.")
    return int(text)


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise UsageError(f"The severity {text!r} must be one of: {', '.join(Severity)}.") from None


def _clock(text: str) -> str:
    if not text:
        return ""
    if not _CLOCK.fullmatch(text):
        raise UsageError(f"The time {text!r} must look like 22:00.")
    return time.fromisoformat(text).strftime("%H:%M")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise UsageError(f"There is no time zone {name!r}; it looks like Europe/Berlin.") from None
    return name


# Whom alerts are told.


def add_target(panel: Panel, *, name: str, url: str, kinds: Iterable[str], by: str) -> Target:
    """A new target. Its address is stored encrypted and shown nowhere. Raises `UsageError`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a target's name: take up to 64 letters, digits, blanks and . _ -."
        )
    hint = panel.notifier.hint(url.strip())
    stored = panel.parts.peers.encrypt({"url": url.strip()})
    wanted = _kinds(kinds)
    if panel.store.add_alert_target(name, url=stored, hint=hint, kinds=wanted, by=by) is None:
        raise UsageError(f"There is a target {name!r} already.")
    return target_named(panel, name)


def target_named(panel: Panel, name: str) -> Target:
    """Raises `UsageError` naming those there are."""
    found = {each.name: each for each in panel.store.alert_targets()}
    if name not in found:
        known = ", ".join(found) or "none yet; add one with `ordersync alerts target add`"
        raise UsageError(f"There is no target {name!r} (there are: {known}).")
    return found[name]


def change_target(
    panel: Panel, name: str, *, enabled: bool | None = None, kinds: Iterable[str] | None = None
) -> None:
    """Raises `UsageError`."""
    target = target_named(panel, name)
    panel.store.change_alert_target(
        target.id, enabled=enabled, kinds=None if kinds is None else _kinds(kinds)
    )


def remove_target(panel: Panel, name: str) -> None:
    """Forget it with its address. Raises `UsageError`."""
    panel.store.remove_alert_target(target_named(panel, name).id)


def test_target(panel: Panel, name: str, *, by: str) -> None:
    """Send a message that says that it is a test. Raises `UsageError`, `Retry` and `Misconfigured`."""
    target = target_named(panel, name)
    body = f"{by} has sent this to see that alerts of Order Sync arrive here. There is nothing to do."
    missed = panel.notifier.send(
        address_of(panel, target), Message(title="Order Sync: a test", body=body, is_good=True)
    )
    if missed:
        raise Retry(missed)


def address_of(panel: Panel, target: Target) -> str:
    """The address of a target. Raises `Misconfigured` where the secret key is another."""
    return panel.parts.peers.decrypt(target.url, name=target.name)["url"]


def _kinds(words: Iterable[str]) -> Sequence[AlertKind]:
    wanted = {kind_named(each) for each in words}
    return tuple(kind for kind in MEANINGS if kind in wanted)
