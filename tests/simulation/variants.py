"""The circumstances under which the protocol is tried: those that it promises to survive, and those beyond."""

from dataclasses import dataclass, replace

from tests.simulation.faults import WORST
from tests.simulation.simulation import Variant

PROMISED = "promised"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`promised`: nothing may go wrong. Where it is not, what goes wrong is counted and shown, and fails nothing."""

    says: str
    variant: Variant
    promised: bool = True


_ENDLESS = replace(WORST, longest_pause=3600.0, pause=0.03)

VARIANTS = {
    PROMISED: Circumstances("what the program promises to survive", Variant()),
    "sweeper-alone": Circumstances("every message between the steps is lost", Variant(sweeper_alone=True)),
    "long-pauses": Circumstances(
        "processes stop for longer than T_LATE and wake up, and the ERP refuses no duplicate",
        Variant(worst=_ENDLESS),
        promised=False,
    ),
    "long-pauses-unique": Circumstances(
        "the same, and the ERP refuses a second document of a number and a second customer of an address; documents of orders that"
        " were cancelled meanwhile are counted",
        Variant(worst=_ENDLESS, unique=True),
    ),
}
"""By name."""
