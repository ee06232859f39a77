"""Webhooks at the platform: registered, looked after and taken away. Each may be done again at any time and ends the same."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from app.domain.words import counted
from app.errors import Misconfigured, OrderSyncError, Retry, Unknown, UsageError
from app.ports.deliveries import AlertKind
from app.ports.hooks import HookDesk, Hooks
from app.ports.store import Site
from app.sync.alerts import close_alert, open_alert
from app.sync.hook_keys import live_secrets, opened_secrets, stored_secrets
from app.sync.parts import Parts, site_named, site_with_id
from app.sync.policy import HOOKS_CHECKED_EVERY, LOOKS_AFTER_A_LOST_REPLY, read_again_at

log = structlog.get_logger("ordersync.hooks")

_LONGEST_BASE = 300
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


@dataclass(slots=True)
class Done:
    """What was done at the platform. `created` and `mended` are topics, `removed` counts webhooks that were too many.

    `mended`: those that the platform had stopped sending.
    """

    url: str
    topics: tuple[str, ...]
    created: set[str] = field(default_factory=set)
    mended: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


def found_sentence(done: Done, *, begin: str) -> str:
    """What was done at the platform, behind `begin`, for a person."""
    as_before = len(done.topics) - len(done.created) - len(done.mended)
    found = [
        *([f"{len(done.created)} made ({', '.join(sorted(done.created))})"] if done.created else []),
        *([f"{len(done.mended)} active again ({', '.join(sorted(done.mended))})"] if done.mended else []),
        *([f"{as_before} as before"] if as_before else []),
        *([f"{counted(len(done.removed), 'other')} of ours removed"] if done.removed else []),
    ]
    return f"{begin} {', '.join(found)}."


def installed_sentence(name: str, done: Done, *, rotate: bool) -> str:
    """What a person is told when webhooks were installed."""
    renewed = " They are signed with a new secret from now on." if rotate else ""
    return found_sentence(done, begin=f"The webhooks of {name} go to {done.url}/...:") + renewed


def checked_sentence(name: str, done: Done) -> str:
    """What a person is told when webhooks were looked after."""
    return found_sentence(done, begin=f"The webhooks of {name}, which go to {done.url}/...:")


def removal_question(name: str) -> str:
    """What a person is asked before webhooks are taken away."""
    return f"Take away the webhooks of {name}? Its orders then come by its schedule alone."


def removed_sentence(name: str, removed: int) -> str:
    """What a person is told when webhooks were taken away."""
    return (
        f"{counted(removed, 'webhook')} of {name} removed."
        if removed
        else f"The site {name} has no webhooks."
    )


def slug(topic: str) -> str:
    """A topic as the last part of an address: `order.created` as `order-created`."""
    return re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")


def install(parts: Parts, name: str, *, base_url: str, rotate: bool = False) -> Done:
    """Let the platform send its webhooks to `<base_url>/hooks/<site>/<topic>`. With `rotate` they get a new secret.

    The secrets are stored before the platform is told: a reply that is lost does no harm. Raises `UsageError` where the
    platform has no webhooks or the address is none that it can send to.
    """
    site = site_named(parts, name)
    hooks = _hooks(parts, site)
    url = f"{_checked(base_url, hooks, site, title=_title(parts, site))}/hooks/{site.name}"
    live = live_secrets(opened_secrets(parts, site), rotate=rotate)
    stored = stored_secrets(parts, live)
    # The former address stays stored until nothing is registered there any more, so that it is found again after a cut-off.
    parts.store.keep_hooks(site.id, url=site.hook_url or url, secrets=stored)
    places = {url, site.hook_url or url}
    done = _align(parts.peers.hook_desk(site), _done(url, hooks), places=places, secret=live[0], renew=True)
    parts.store.keep_hooks(site.id, url=url, secrets=stored)
    parts.store.check_hooks_at(site.id, parts.store.now() + HOOKS_CHECKED_EVERY)
    close_alert(parts, site, AlertKind.WEBHOOK_DISABLED)
    return done


def check(parts: Parts, name: str) -> Done:
    """See that the platform still sends every webhook, and set right what it does not. Raises `UsageError` where none is installed."""
    site = site_named(parts, name)
    hooks = _hooks(parts, site)
    if not site.hook_url:
        raise UsageError(
            f"The site {name} has no webhooks yet; `ordersync site hooks install {name} --url BASE` registers them."
        )
    done = _look(parts, site, hooks)
    parts.store.check_hooks_at(site.id, parts.store.now() + HOOKS_CHECKED_EVERY)
    return done


def check_due(parts: Parts, *, site_id: int) -> str:
    """The daily look at a site's webhooks, where it is due. Never raises for a failure of the platform: it is done again soon.

    Returns why they could not be looked at; nothing where they could, or where it was not due.
    """
    try:
        site = site_with_id(parts, site_id)
    except UsageError as error:
        # A message that was under way when its site was removed.
        return error.reason
    now = parts.store.now()
    if not (site.hook_url and parts.store.take_hook_check(site.id, next_check=now + HOOKS_CHECKED_EVERY)):
        return ""
    try:
        _look(parts, site, _hooks(parts, site))
    except OrderSyncError as error:
        log.warning("hooks_not_checked", site=site.name, failure=type(error).__name__)
        if not isinstance(error, Misconfigured):
            asked = error.after if isinstance(error, Retry) else None
            parts.store.check_hooks_at(site.id, read_again_at(now, asked=asked))
        return error.reason
    return ""


def remove(parts: Parts, name: str) -> int:
    """Take the webhooks away from the platform, and forget their secrets. Returns how many there were."""
    site = site_named(parts, name)
    hooks = _hooks(parts, site)
    if not site.hook_url:
        return 0
    nothing = Done(url=site.hook_url, topics=hooks.topics)
    done = _align(parts.peers.hook_desk(site), nothing, places={site.hook_url}, wanted={})
    parts.store.forget_hooks(site.id)
    return len(done.removed)


def _look(parts: Parts, site: Site, hooks: Hooks) -> Done:
    (secret, *_) = opened_secrets(parts, site)
    done = _align(
        parts.peers.hook_desk(site), _done(site.hook_url, hooks), places={site.hook_url}, secret=secret
    )
    found = sorted(done.mended | done.created)
    if found:
        open_alert(
            parts,
            site,
            AlertKind.WEBHOOK_DISABLED,
            reason=(
                f"{_title(parts, site)} had stopped sending {', '.join(found)}, and was told to go on. It stops when {site.hook_url} "
                "does not answer; see that it can be reached from outside."
            ),
        )
    else:
        close_alert(parts, site, AlertKind.WEBHOOK_DISABLED)
    return done


def _hooks(parts: Parts, site: Site) -> Hooks:
    hooks = parts.peers.connector(site.platform).hooks
    if hooks is None:
        raise UsageError(
            f"{_title(parts, site)} has no webhooks that Order Sync knows; its orders come by polling."
        )
    return hooks


def _title(parts: Parts, site: Site) -> str:
    return parts.peers.connector(site.platform).title


def _checked(base_url: str, hooks: Hooks, site: Site, *, title: str) -> str:
    """The address without its last slash. Raises `UsageError`."""
    base = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(base)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or len(base) > _LONGEST_BASE:
        raise UsageError(
            "The address for webhooks must begin with https:// and name a host, such as https://orders.example.com."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("The address for webhooks must have no user name, no ? and no #.")
    # What answers at a loopback address is no platform but its stand-in.
    is_near = site.allow_private and parts.hostname in _LOOPBACK
    if parts.scheme == "http" and hooks.needs_tls and not is_near:
        raise UsageError(
            f"{title} sends webhooks to https addresses only; give the address of the reverse proxy that ends TLS."
        )
    if parts.scheme == "http" and not site.allow_private:
        # The body of a delivery is the whole order, with its customer's address.
        raise UsageError(
            "The address for webhooks must begin with https://: they carry customers' addresses. Plain http is for sites "
            "that were added with --allow-private."
        )
    return base


def _done(url: str, hooks: Hooks) -> Done:
    return Done(url=url, topics=hooks.topics)


def _align(
    desk: HookDesk,
    done: Done,
    *,
    places: Collection[str],
    secret: str = "",
    wanted: Mapping[str, str] | None = None,
    renew: bool = False,
) -> Done:
    """Bring what the platform has under `places` to one webhook for each wanted topic; with `renew` all get the secret.

    Where a reply is lost, what became of it is looked up and the rest is done.
    """
    goal = {topic: f"{done.url}/{slug(topic)}" for topic in done.topics} if wanted is None else wanted

    def once() -> None:
        found = {hook.id: hook for place in sorted(places) for hook in desk.installed(prefix=f"{place}/")}
        for topic, url in goal.items():
            same = [hook for hook in found.values() if (hook.topic, hook.url) == (topic, url)]
            kept = min(same, key=lambda hook: (not hook.active, hook.id), default=None)
            if kept is None:
                done.created.add(topic)
                desk.install(topic=topic, url=url, secret=secret)
                continue
            del found[kept.id]
            if not kept.active:
                done.mended.add(topic)
            if renew or not kept.active:
                desk.renew(kept, secret=secret)
        for hook in found.values():
            done.removed.add(hook.id)
            desk.remove(hook)

    _until_known(once)
    return done


def _until_known(act: Callable[[], None]) -> None:
    for _ in range(LOOKS_AFTER_A_LOST_REPLY):
        try:
            act()
        except Unknown:
            continue
        return
    act()
