"""The fake ERP keeps the contract of the port."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from app.ports.erp import ItemKind
from tests.contracts.erp import ErpContract, Trouble
from tests.fakes.erp import FakeErp


class FakeHarness:
    """The fake, seen past the port."""

    def __init__(self) -> None:
        self.erp = FakeErp()

    def add_item(
        self, number: str, *, name: str = "", blocked: bool = False, kind: ItemKind = ItemKind.INVENTORY
    ) -> None:
        self.erp.add_item(number, name=name, blocked=blocked, kind=kind)

    def add_customer(self, *, email: str, name: str = "Somebody", blocked: str = "") -> str:
        return self.erp.add_customer(email=email, name=name, blocked=blocked)

    def customers(self, email: str) -> int:
        return sum(each.email == email for each in self.erp.customers)

    def documents(self, external_number: str) -> Sequence[tuple[int, Decimal]]:
        found = [each for each in self.erp.documents if each.external_number == external_number]
        return [(self.erp.lines[each.id], each.total) for each in found]

    def add_document(self, external_number: str) -> None:
        self.erp.add_document(external_number)

    def post_document(self, external_number: str) -> None:
        self.erp.post_document(external_number)

    def fail_next_write(self, trouble: Trouble) -> None:
        self.erp.write_troubles.append(trouble)

    def fail_next_read(self, trouble: Trouble) -> None:
        self.erp.read_troubles.append(trouble)

    def wait_until_late_writes_are_done(self) -> None:
        self.erp.commit_late_writes()

    def lock_out(self) -> None:
        self.erp.locked_out = True


class TestFakeErp(ErpContract):
    @pytest.fixture
    def harness(self) -> FakeHarness:
        return FakeHarness()
