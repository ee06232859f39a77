"""Failures, named by what is done next. Connectors raise these and no others; `app.sync.policy` is the only table that acts on them."""

from datetime import datetime
from decimal import Decimal


class OrderSyncError(Exception):
    """Base of every named failure. `reason` is one sentence a warehouse clerk understands."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(OrderSyncError):
    """Nothing was done, or only read; the same call may simply be made again later.

    `after` is the number of seconds the peer asked us to wait (Retry-After), where it did.
    """

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Held(Retry):
    """A hold of our own: the account has no room for the call, nothing was sent, and nothing is wrong with the peer.

    `after` is the number of seconds until there is room. Raised by the HTTP client alone; connectors hand it on.
    """


class Hold(OrderSyncError):
    """The order is fine, the world is not ready: it waits for an event or for `until` (aware UTC).

    `waits_for` are the items it waits for: the ERP's id and the SKU in upper case.
    """

    def __init__(
        self,
        reason: str,
        *,
        kind: str,
        until: datetime | None = None,
        waits_for: tuple[tuple[int, str], ...] = (),
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.until = until
        self.waits_for = waits_for


class Unknown(OrderSyncError):
    """A write was sent and its outcome is not known: wait, look it up by our key, and only then send again."""


class Reject(OrderSyncError):
    """This order cannot pass; a person has to look. `kind` is the desk's word, `field` a JSON pointer where one is known.

    `worth` is the order's total and currency, where it has no document yet that tells them.
    """

    def __init__(self, reason: str, *, kind: str = "validation", field: str | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.field = field
        self.worth: tuple[Decimal, str] | None = None


class Misconfigured(OrderSyncError):
    """This site or ERP cannot pass (credentials, unknown status, missing account): it pauses and someone is told.

    `mend` names the options of `site set` or `erp set` that put it right, as in `url`, `credential secret` or `set statuses`;
    it is empty where that is done elsewhere.
    """

    def __init__(self, reason: str, *, mend: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.mend = mend


class UsageError(OrderSyncError):
    """A person or a script asked for something that cannot be done; nothing was changed."""


class Overtaken(UsageError):
    """What was asked for was meant for how something stood before; somebody else was faster, and nothing was changed."""
