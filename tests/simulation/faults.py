"""What may go wrong, and how often. Each seed draws its own mixture, so that some runs see one kind of trouble alone."""

from dataclasses import dataclass, fields, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances, each for one occasion, and the longest durations in seconds.

    `crash`, `pause` and `switch` are for every point: before and after each call of the store and of a peer. `away` is a call of
    the store that fails, having changed something or not. Of calls that read, `unread` fail; of calls that write, `refused` never
    begin, `lost` are done and not answered, `torn` are done in part, `dropped` are not done and not answered, and `late` are done
    up to `latest_commit` after the client gave up. Of messages `lost_message` never come, some come twice, some come late.
    A task is stopped for `longest_pause` in all at most.
    """

    crash: float = 0.0
    pause: float = 0.0
    switch: float = 0.3
    away: float = 0.0
    unread: float = 0.0
    refused: float = 0.0
    lost: float = 0.0
    torn: float = 0.0
    dropped: float = 0.0
    late: float = 0.0
    lost_message: float = 0.0
    doubled_message: float = 0.0
    late_message: float = 0.0
    longest_pause: float = 500.0
    latest_commit: float = 600.0


CALM = Faults()
"""Nothing goes wrong; processes only take turns."""

WORST = Faults(
    crash=0.02,
    pause=0.012,
    switch=0.6,
    away=0.006,
    unread=0.15,
    refused=0.06,
    lost=0.1,
    torn=0.06,
    dropped=0.06,
    late=0.2,
    lost_message=0.4,
    doubled_message=0.15,
    late_message=0.15,
)
"""As often as a run can bear and still get somewhere."""

_LONGEST = {"longest_pause", "latest_commit"}
_CHANCES = tuple(each.name for each in fields(Faults) if each.name not in _LONGEST)
_SHARES = (0.0, 0.1, 0.4, 1.0)


def drawn(random: Random, *, worst: Faults = WORST) -> Faults:
    """A mixture: of each kind nothing, a little, more, or the worst."""
    return replace(worst, **{name: getattr(worst, name) * random.choice(_SHARES) for name in _CHANCES})
