"""Telling people through whatever service they named: mail, chat, a webhook."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """What is told, in plain text. `is_good`: it tells that something is over."""

    title: str
    body: str
    is_good: bool = False
    is_severe: bool = False


class Notifier(Protocol):
    """Sends a message to the service that an address names. No call takes longer than a minute."""

    def hint(self, url: str) -> str:
        """What may be shown of an address: the service and the host, and nothing that signs in.

        Raises `UsageError` for an address that cannot be used, which it does not quote.
        """
        ...

    def send(self, url: str, message: Message) -> str:
        """What to say of those who were not reached where others were, so that sending again would tell them twice; else nothing.

        Raises `Retry` where nobody was reached, and `Misconfigured` where the address cannot be used.
        """
        ...
