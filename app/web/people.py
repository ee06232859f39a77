"""What the pages and the API for people and programs work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.bootstrap import Bell
from app.celery_door import Processes
from app.ports.measures import Counted
from app.settings import Settings
from app.sync.panel import Panel


class Doors(Protocol):
    """The way to broker and workers. Nothing here raises: what could not be sent is stored, and the sweeper comes for it."""

    def ring(self, bell: Bell) -> bool:
        """Tell the workers of a batch. Returns whether the broker took it."""
        ...

    def send(self, task: str, **arguments: Any) -> bool:
        """Send a task by its name; ids and names of sites only. Returns whether the broker took it."""
        ...

    def queues(self) -> Mapping[str, Any]:
        """How many messages wait in each queue (`queues`), how many were taken (`unacknowledged`), or why not known (`fault`)."""
        ...

    def counted(self) -> Counted:
        """What all workers have counted, or why not known (`fault`)."""
        ...

    def processes(self) -> Processes:
        """Who is alive."""
        ...


@dataclass(frozen=True, slots=True)
class People:
    """The use-cases' parts, the way to the workers, the key that signs cookies, and the settings of this process."""

    panel: Panel
    doors: Doors
    key: bytes
    settings: Settings
