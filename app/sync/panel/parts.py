"""What the use-cases of people's doors work with."""

from collections.abc import Callable
from dataclasses import dataclass

from app.ports.limiters import Limiters
from app.ports.notifier import Notifier
from app.ports.panel import PanelStore, Passwords
from app.sync.parts import Parts


@dataclass(frozen=True, slots=True)
class Panel:
    """The parts of all use-cases, and what is for people only. `store` is that of `parts`, seen whole."""

    parts: Parts
    store: PanelStore
    passwords: Passwords
    limiters: Callable[[], Limiters]
    notifier: Notifier
