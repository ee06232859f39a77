"""The words of the road: its stages in order, and the states an order or an owed step can be in."""

from enum import StrEnum


class Stage(StrEnum):
    """Where on the road an order stands. `DELIVER`: stored; the platform and the ERP are still owed."""

    NORMALIZE = "normalize"
    VERIFY_SKUS = "verify_skus"
    EXPAND_KITS = "expand_kits"
    APPLY_STORE_CREDIT = "apply_store_credit"
    WRITE = "write"
    DELIVER = "deliver"


class Owed(StrEnum):
    """What is owed to the outside once an order is stored, in this order."""

    ACKNOWLEDGE = "acknowledge"
    EXPORT = "export"


Link = Stage | Owed

LINKS: tuple[Link, ...] = (
    Stage.NORMALIZE,
    Stage.VERIFY_SKUS,
    Stage.EXPAND_KITS,
    Stage.APPLY_STORE_CREDIT,
    Stage.WRITE,
    Owed.ACKNOWLEDGE,
    Owed.EXPORT,
)
"""The links of the chain a batch goes through."""


class State(StrEnum):
    """How an order is. `ACTIVE` and `HELD` are unfinished and always have a next time; the others are ends."""

    ACTIVE = "active"
    HELD = "held"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    CLOSED = "closed"
    DONE = "done"


class StepState(StrEnum):
    """How an owed step is. `SENDING`: the intent is stored and the write may be on its way; `IN_DOUBT`: it got no answer."""

    OWED = "owed"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    FAILED = "failed"
    CLOSED = "closed"


UNFINISHED = (State.ACTIVE, State.HELD)
STEP_UNFINISHED = (StepState.OWED, StepState.SENDING, StepState.IN_DOUBT)
SENT = (StepState.SENDING, StepState.IN_DOUBT, StepState.DONE)
"""States of the export step after which the document may exist, so that a new version of the order must not restart it."""


HOLD_SKU = "sku"
"""The kind of a hold that ends once its items are known."""


def stage_after(stage: Stage) -> Stage:
    """The stage that follows; `DELIVER` is the last."""
    stages = tuple(Stage)
    return stages[min(stages.index(stage) + 1, len(stages) - 1)]


def holds_up(link: Link) -> bool:
    """Whether orders that wait at this link cannot go on to the next: a mark that fails does not hold up the export."""
    return link is not Owed.ACKNOWLEDGE


def links_from(link: Link) -> tuple[Link, ...]:
    """The links from `link` to the end, it included."""
    return LINKS[LINKS.index(link) :]
