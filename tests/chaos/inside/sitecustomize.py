"""Put on the PYTHONPATH of the middleware's processes by the chaos test: a faster pace, and a deliberate fault where one is asked for.

The product's own waits are made for real systems: minutes between attempts, a quarter of an hour at most. A run of a minute cannot
wait for them, so they are shortened here, all in proportion to the short limits that the run sets, and never in the product.
A deliberate fault shows that the checker notices what it is there to notice. What happens is done to each module as it is imported.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

_TICK_SECONDS = 5.0
_SCHEDULE = timedelta(seconds=8)


def _policy(module: Any) -> None:
    module._FIRST, module._CAP = 0.5, 5.0
    # Longer waits are gathered by the sweeper, which a wait as short as these would never come to.
    module.SHORT = timedelta(seconds=1.5)
    module._FIRST_BY_HOLD = dict.fromkeys(module._FIRST_BY_HOLD, 2.0)
    module._PAUSE = timedelta(seconds=5)
    module._LONGEST_ASKED = 5.0
    module._READ_AGAIN = 2.0
    module.HOOKS_CHECKED_EVERY = timedelta(seconds=20)


def _limits(module: Any) -> None:
    # Before `app.limits` is imported, which writes them into its script.
    module.FIRST_OPEN, module.LONGEST_OPEN = 1.0, 5.0
    module.FIRST_BACK_OFF, module.LONGEST_BACK_OFF = 1.0, 5.0
    named_wait = module.named_wait

    def shorter(seconds: float | None) -> float | None:
        """A WordPress in maintenance asks for ten minutes."""
        wait: float | None = named_wait(seconds)
        return wait if wait is None else min(wait, 5.0)

    module.named_wait = shorter


def _supervisor(module: Any) -> None:
    module.LONGEST_PAUSE = 2.0


def _schedule(module: Any) -> None:
    def soon(_cron: str, *, after: datetime) -> datetime:
        return after + _SCHEDULE

    module.next_time = soon


def _beat(module: Any) -> None:
    configuration = module._configuration

    def faster(settings: Any) -> dict[str, Any]:
        made: dict[str, Any] = configuration(settings)
        made["beat_schedule"]["tick"] |= {"schedule": _TICK_SECONDS, "options": {"expires": _TICK_SECONDS}}
        made["beat_schedule"]["recheck"] |= {"schedule": 15.0, "options": {"expires": 15.0}}
        return made

    module._configuration = faster


def _blind(module: Any) -> None:
    """The look before the write sees nothing, whatever is there."""

    def nothing(_erp: Any, external_numbers: Sequence[str]) -> dict[str, tuple[()]]:
        return dict.fromkeys(external_numbers, ())

    for made in vars(module).values():
        if isinstance(made, type) and "find_documents" in vars(made):
            made.find_documents = nothing  # type: ignore[attr-defined]


_FAULTS: Mapping[str, Mapping[str, Callable[[Any], None]]] = {
    "": {},
    "blind": {"app.connectors.business_central.erp": _blind},
}
_CHANGES = {
    "app.sync.policy": _policy,
    "app.transport.limits": _limits,
    "app.runtime.supervisor": _supervisor,
    "app.sync.schedule": _schedule,
    "workers.application": _beat,
    **_FAULTS[os.environ.get("CHAOS_FAULT", "")],
}


class _Changed(importlib.abc.Loader):
    """Loads a module as its own loader does, and then changes it."""

    def __init__(self, loader: importlib.abc.Loader, change: Callable[[Any], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = _CHANGES.get(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path) if change else None
        if spec is None or spec.loader is None or change is None:
            return None
        spec.loader = _Changed(spec.loader, change)
        return spec


sys.meta_path.insert(0, _Finder())
