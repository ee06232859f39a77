"""The record of what people and programs do: noted before it is tried, and again with what came of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.errors import OrderSyncError
from app.ports.panel import PanelStore

DONE = "done"
REFUSED = "refused"

_OF_ORDERS = ("errors.", "held.", "order")
"""How the names of actions begin that are about orders."""


@dataclass(slots=True)
class Acted:
    """What is being done; `outcome` may be set to one sentence that tells more than `done`."""

    action: str
    outcome: str = DONE

    def refuse(self, sentence: str) -> None:
        """It is not done, and why: but for orders, of which a sentence may quote the buyer's data. Those have trails of their own."""
        self.outcome = REFUSED if self.action.startswith(_OF_ORDERS) else f"{REFUSED}: {sentence}"


@contextmanager
def acting(
    store: PanelStore,
    *,
    by: str,
    via: str,
    action: str,
    target: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Iterator[Acted]:
    """Note an action of `by` through the door `via` (panel, api or cli) and what became of it.

    `detail` must hold no secret. An action without outcome was cut off: what it was to do may have been done or not.
    """
    number = store.begin_action(by=by, via=via, action=action, target=target, detail=detail or {})
    acted = Acted(action)
    try:
        yield acted
    except OrderSyncError as error:
        acted.refuse(error.reason)
        store.end_action(number, acted.outcome)
        raise
    except BaseException as error:
        store.end_action(number, f"failed: {type(error).__name__}")
        raise
    store.end_action(number, acted.outcome)
