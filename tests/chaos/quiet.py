"""Waiting until nothing is in motion any more, and saying for what."""

import time
from collections.abc import Mapping

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.chaos.middleware import T_LATE

PATIENCE = 90.0 + 2 * T_LATE
"""Seconds without any progress after which waiting is in vain."""

_QUESTIONS: Mapping[str, str] = {
    "orders": "SELECT COUNT(*) FROM rm_thread WHERE state IN ('active', 'held')",
    "steps": "SELECT COUNT(*) FROM rm_step WHERE state IN ('owed', 'sending', 'in_doubt')",
    "deliveries": "SELECT COUNT(*) FROM rm_delivery WHERE done_at IS NULL",
}
_READ = """
    SELECT site_id, COUNT(*) FROM rm_run
    WHERE kind = 'orders' AND read_at IS NOT NULL AND state NOT IN ('failed', 'paused') GROUP BY site_id
"""


class Quiet:
    """Looks whether everything has come to its end. `reads` are full readings of each site since the faults ended that are wanted."""

    def __init__(self, url: str, *, reads: int = 2, patience: float = PATIENCE) -> None:
        self._url = url
        self._reads = reads
        self._patience = patience
        self._first_runs: dict[int, int] | None = None
        self._left: dict[str, int] = {}
        self._moved_at = time.monotonic()

    def look(self) -> dict[str, int]:
        """What is still in motion, by kind; empty once it is quiet."""
        try:
            found = self._ask()
        except SQLAlchemyError:
            found = {"database": 1}
        if found != self._left:
            self._left, self._moved_at = found, time.monotonic()
        return found

    def in_vain(self) -> bool:
        """Whether nothing has moved for so long that nothing will."""
        return time.monotonic() - self._moved_at > self._patience

    def _ask(self) -> dict[str, int]:
        engine = create_engine(self._url, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                left = {
                    name: int(connection.execute(text(query)).scalar_one())
                    for name, query in _QUESTIONS.items()
                }
                runs = {site: int(count) for site, count in connection.execute(text(_READ))}
        finally:
            engine.dispose()
        if self._first_runs is None:
            self._first_runs = runs
        read = min((count - self._first_runs.get(site, 0) for site, count in runs.items()), default=0)
        left["readings"] = max(0, self._reads - read)
        return {name: count for name, count in left.items() if count}
