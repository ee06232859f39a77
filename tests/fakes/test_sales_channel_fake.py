"""The fake keeps the promises of the port, so that tests that use it prove something about the real ones."""

import json

import pytest

from app.domain.credit import apply_store_credit
from app.domain.money import smallest_unit
from app.domain.order import LineType
from tests.contracts.sales_channel import SalesChannelContract
from tests.fakes.sales_channel import FakeSalesChannel, fake_body


class TestFakeSalesChannel(SalesChannelContract):
    @pytest.fixture
    def platform(self) -> FakeSalesChannel:
        return FakeSalesChannel()

    @pytest.fixture
    def channel(self, platform: FakeSalesChannel) -> FakeSalesChannel:
        return platform


def test_the_store_credit_of_a_fake_order_can_be_spread() -> None:
    body = fake_body(lines=[("A", 1, "100.00")], shipping="10.00", tax="9.00", store_credit="11.90")
    order = FakeSalesChannel().normalize(json.dumps(body), prefix="BGM")
    spread = apply_store_credit(order, unit=smallest_unit("USD"))
    assert [
        str(line.credit) for line in spread.of_type(LineType.PRODUCT, LineType.SHIPPING, LineType.TAX)
    ] == ["10.00", "1.00", "0.90"]
    assert str(order.total) == "107.10"
