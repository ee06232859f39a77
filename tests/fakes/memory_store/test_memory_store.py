from collections.abc import Iterator

import pytest

from tests.contracts.store import StoreContract
from tests.contracts.store_deliveries import TakenDeliveriesContract
from tests.contracts.store_reading import ReadByIdContract
from tests.fakes.memory_store.harness import MemoryHarness


class TestMemoryStore(StoreContract, TakenDeliveriesContract, ReadByIdContract):
    @pytest.fixture
    def harness(self) -> Iterator[MemoryHarness]:
        harness = MemoryHarness()
        yield harness
        harness.dispose()
