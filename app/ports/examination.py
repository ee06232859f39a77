"""What a harmless look at a site or an ERP found: sentences for people."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that a person should put right, in a sentence. `mend` is that of `Misconfigured`.

    `stops`: orders cannot pass as long as it stays.
    """

    reason: str
    mend: tuple[str, ...] = ()
    stops: bool = True


@dataclass(frozen=True, slots=True)
class Examination:
    """What works, in one sentence, and what does not. `answered_at` is the Date header of the first answer, UTC."""

    found: str
    answered_at: datetime | None
    troubles: tuple[Trouble, ...] = ()
