"""The store in memory: what the road, reading, deliveries and upkeep ask of it, under the contract of the real one, and fast.

It has no archive, no desk, no reports and no seals: what a use-case of those would ask for is not there.
"""

from tests.fakes.memory_store.base import Tables
from tests.fakes.memory_store.configuration import Configuration, Items
from tests.fakes.memory_store.deliveries import Deliveries
from tests.fakes.memory_store.looking import Looking
from tests.fakes.memory_store.owed import OwedSteps
from tests.fakes.memory_store.reading import Reading


class MemoryStore(Configuration, Items, Deliveries, OwedSteps, Reading, Looking):
    """Stands in for `app.db.store.SqlStore` over tables of plain rows."""


__all__ = ["MemoryStore", "Tables"]
