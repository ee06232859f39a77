"""Telling people through Apprise: mail, chats, webhooks. The one place that imports it.

An admin says where to; the address is called as it is, also where it leads into this machine's own network. What would only
show something on this machine is refused, nothing is attached, and no redirection is followed. What Apprise logs holds
addresses with their passwords, so nothing of it comes into our log; its last word on a failure is shown to people without them.
"""

import logging
import re
import warnings
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from app.errors import Misconfigured, Retry, UsageError
from app.ports.notifier import Message

_SERVICE_SECONDS = 50.0
_SOCKET_SECONDS = 40.0
"""A mail server may look into a mail for a while before it takes it; who gives up sooner sends what has arrived once more."""
_HERE = frozenset(("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"))
"""What shows or keeps a message on this machine, where nobody looks."""

_LONGEST_REASON = 300
_SECRET_FROM = 6
"""Parts of an address from this length on are not shown where a reason holds them."""


class AppriseNotifier:
    """Sends to whatever Apprise knows how to reach over a network."""

    def hint(self, url: str) -> str:
        """What may be shown of an address. Raises `UsageError`."""
        service = _service(url)
        if service is None:
            raise UsageError(
                "This is no address that alerts can be sent to. It looks like mailto://NAME:PASSWORD@HOST?to=PERSON, "
                "ntfys://HOST/TOPIC or jsons://HOST/PATH; see https://appriseit.com/services/ for others."
            )
        host = _shown_host(service)
        return f"{service.service_name}: {service.schema}://{host}{'' if host else '...'}"

    def send(self, url: str, message: Message) -> str:
        """What to say of those who were not reached, where others were. Raises `Retry` and `Misconfigured`."""
        service = _service(url)
        if service is None:
            raise Misconfigured(
                "The address of this target cannot be used any more; remove it and add it anew."
            )
        apprise = _apprise()
        sender = apprise.Apprise(asset=service.asset)
        sender.add(service)
        reached = _noting(service)
        kind = apprise.NotifyType.FAILURE if message.is_severe else apprise.NotifyType.WARNING
        result = sender.notify(
            title=message.title,
            body=message.body,
            notify_type=apprise.NotifyType.SUCCESS if message.is_good else kind,
            body_format=apprise.NotifyFormat.TEXT,
        )
        if result:
            return ""
        said = [str(each.message) for each in result.logs()]
        reason = _reason(said, url=url, host=_shown_host(service))
        if reached:
            return f"Not everybody at this address was reached. {reason}"
        raise Retry(reason)


@cache
def _apprise() -> ModuleType:
    import apprise  # noqa: PLC0415 - it takes half a second, which no other command should wait for

    with warnings.catch_warnings():
        # What its services import is not ours to mend.
        warnings.simplefilter("ignore")
        apprise.NotificationManager().load_modules()  # type: ignore[no-untyped-call] # the library's own
    # Nothing of what it says goes to our log.
    logging.getLogger("apprise").propagate = False
    return apprise


def _service(url: str) -> Any:  # noqa: ANN401 - one of the library's many classes
    """What sends to this address, or None where nothing does."""
    apprise = _apprise()
    if not url.isprintable() or url.partition(":")[0].strip().lower() in _HERE:
        return None
    asset = apprise.AppriseAsset(
        app_id="Order Sync",
        app_desc="Order Sync",
        app_url="",
        async_mode=False,
        http_redirects=False,
        interpret_emojis=False,
        pem_autogen=False,
        pgp_autogen=False,
        service_timeout=_SERVICE_SECONDS,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    try:
        found = apprise.Apprise.instantiate(url.strip(), asset=asset)
    except Exception:  # noqa: BLE001 - whatever some service's reader makes of a wrong address
        return None
    if found is not None:
        found.socket_connect_timeout = min(found.socket_connect_timeout, _SOCKET_SECONDS)
        found.socket_read_timeout = min(found.socket_read_timeout, _SOCKET_SECONDS)
    return found


def _noting(service: Any) -> list[Any]:  # noqa: ANN401 - one of the library's many classes
    """Whoever a service that has several recipients has reached, as it sends: each tells so by itself."""
    reached: list[Any] = []
    mark = service.mark_delivered

    def marked(key: Any, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the library's own
        reached.append(key)
        mark(key, *arguments, **named)

    service.mark_delivered = marked
    return reached


def _shown_host(service: Any) -> str:  # noqa: ANN401 - one of the library's many classes
    """The host, where the address has one there: many services have a token in its place."""
    return str(service.host or "") if any("{host}" in each for each in service.templates) else ""


def _reason(said: list[str], *, url: str, host: str) -> str:
    """The last that it said, without any part of the address but the host."""
    text = " ".join(said[-1].split()) if said else "It did not take the message and said nothing about it."
    parts = {part for form in (url, unquote(url)) for part in re.split(r"[/:@?&=+,;#]+", form)}
    for part in sorted(parts - {host}, key=len, reverse=True):
        if len(part) >= _SECRET_FROM:
            text = text.replace(part, "***")
    return text[:_LONGEST_REASON]
