"""What is wrong with one order, fault by fault, as every sales channel's mapping names it."""

from dataclasses import dataclass

from app.errors import Reject

_SHOWN = 10
"""How many faults a rejection spells out; an order of 60 lines may have one on each."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: the desk's word for it, a sentence, and where in the body it stands."""

    kind: str
    reason: str
    field: str


def rejection(faults: list[Fault]) -> Reject:
    """All the faults as one `Reject`, which has the kind and the field of the first."""
    shown = [fault.reason for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        shown.append(f"There are {len(faults) - _SHOWN} more faults.")
    return Reject(" ".join(shown), kind=faults[0].kind, field=faults[0].field)
