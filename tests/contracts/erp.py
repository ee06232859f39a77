"""What every ERP behind the port promises. A connector's tests, and the fake's, inherit `ErpContract` and give it a harness."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import pytest

from app.domain.order import Address, Line, LineType, Order, Payment
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.erp import Draft, Erp, ErpDocument, ErpItem, Exchange, ItemKind

CREATED = datetime(2026, 3, 17, 23, 30, tzinfo=UTC)


class Trouble(StrEnum):
    """What can befall the next call that writes, or reads."""

    LOST_REPLY = "it is carried out, its answer is lost"
    LOST_REQUEST = "it is not carried out, and no answer comes"
    LATE = "it is answered with a timeout and carried out a moment later"
    REFUSED_CONNECTION = "nothing listens"
    BUSY = "it is answered with 503"


class Harness(Protocol):
    """The world behind an ERP, seen past the connector."""

    erp: Erp

    def add_item(
        self, number: str, *, name: str = "", blocked: bool = False, kind: ItemKind = ItemKind.INVENTORY
    ) -> None: ...

    def add_customer(self, *, email: str, name: str = "Somebody", blocked: str = "") -> str:
        """The new customer's number."""
        ...

    def customers(self, email: str) -> int:
        """How many customers have this address, exactly."""
        ...

    def documents(self, external_number: str) -> Sequence[tuple[int, Decimal]]:
        """Number of lines and total with tax of every document with this external number."""
        ...

    def add_document(self, external_number: str) -> None:
        """A document written by somebody else."""
        ...

    def post_document(self, external_number: str) -> None:
        """The open order becomes an invoice."""
        ...

    def fail_next_write(self, trouble: Trouble) -> None: ...

    def fail_next_read(self, trouble: Trouble) -> None: ...

    def wait_until_late_writes_are_done(self) -> None: ...

    def lock_out(self) -> None:
        """From now on the ERP refuses the client altogether."""
        ...


def address(**more: str) -> Address:
    """A complete address."""
    parts = {
        "first_name": "Ada",
        "last_name": "Byron",
        "address1": "1 Main St",
        "city": "Springfield",
        "state": "IL",
    }
    return Address(**{**parts, "postcode": "62701", "country": "US", "email": "ada@example.test", **more})


def product(sku: str = "WID-1", amount: str = "20.00", *, quantity: str = "1", credit: str = "0.00") -> Line:
    """A product line; positions are given by `order`."""
    return Line(
        position=0,
        type=LineType.PRODUCT,
        name=f"Product {sku}",
        sku=sku,
        quantity=Decimal(quantity),
        amount=Decimal(amount),
        listed=Decimal(amount),
        credit=Decimal(credit),
    )


def other(line_type: LineType, amount: str, *, credit: str = "0.00", name: str = "") -> Line:
    """A line that is no goods."""
    return Line(
        position=0,
        type=line_type,
        name=name or line_type.name,
        amount=Decimal(amount),
        credit=Decimal(credit),
    )


def order(number: str, *lines: Line, currency: str = "USD", bill: Address | None = None) -> Order:
    """A balanced order of these lines; with none, one product, shipping and tax."""
    given = lines or (product(), other(LineType.SHIPPING, "7.95"), other(LineType.TAX, "2.05"))
    placed = tuple(replace(line, position=at) for at, line in enumerate(given, start=1))
    total = sum((line.amount - line.credit for line in placed), Decimal("0.00"))
    return Order(
        number=number,
        platform_order_id=number,
        currency=currency,
        total=total,
        created_at=CREATED,
        created_raw="2026-03-17T23:30:00",
        bill=bill or address(),
        ship=bill or address(),
        payment=Payment(method="stripe"),
        lines=placed,
    )


def draft(number: str, *lines: Line, customer: str, items: Sequence[ErpItem] = ()) -> Draft:
    """A draft of `order(number, *lines)`."""
    return Draft(
        external_number=number,
        customer_number=customer,
        order=order(number, *lines),
        items={item.number: item for item in items},
    )


def unheard(external_number: str, exchange: Exchange) -> None:
    """For a test that does not look at what was sent."""


class Heard:
    """Keeps what was told, by external number."""

    def __init__(self) -> None:
        self.exchanges: dict[str, list[Exchange]] = {}

    def __call__(self, external_number: str, exchange: Exchange) -> None:
        self.exchanges.setdefault(external_number, []).append(exchange)

    def requests(self) -> dict[str, list[str]]:
        return {number: [each.request for each in found] for number, found in self.exchanges.items()}


def document(result: ErpDocument | OrderSyncError) -> ErpDocument:
    """The document, or the failure raised."""
    assert isinstance(result, ErpDocument), f"no document but {result!r}"
    return result


class ErpContract:
    """Inherit, and define a fixture `harness`. The world begins empty but for what a test adds."""

    @pytest.fixture
    def customer(self, harness: Harness) -> str:
        harness.add_item("WID-1", name="Widget")
        return harness.add_customer(email="ada@example.test")

    def test_items_are_found_whatever_the_case_they_are_asked_in(self, harness: Harness) -> None:
        harness.add_item("ABC-1", name="Widget")
        found = harness.erp.find_items(["abc-1"])
        assert {number: (item.number, item.name) for number, item in found.items()} == {
            "ABC-1": ("ABC-1", "Widget")
        }

    def test_items_that_are_not_there_are_left_out(self, harness: Harness) -> None:
        harness.add_item("ABC-1")
        assert set(harness.erp.find_items(["ABC-1", "ABC", "ABC-12", "", "X" * 21, "ÜNI-商品"])) == {"ABC-1"}

    def test_what_the_erp_says_of_an_item_is_told(self, harness: Harness) -> None:
        harness.add_item("BLOCKED-1", blocked=True)
        for kind in ItemKind:
            harness.add_item(f"KIND-{kind.name}", kind=kind)
        found = harness.erp.find_items(["BLOCKED-1", *(f"KIND-{kind.name}" for kind in ItemKind)])
        assert found["BLOCKED-1"].blocked
        assert {kind: found[f"KIND-{kind.name}"].kind for kind in ItemKind} == {
            kind: kind for kind in ItemKind
        }
        assert not found["KIND-SERVICE"].blocked

    def test_numbers_with_every_kind_of_sign_are_found(self, harness: Harness) -> None:
        numbers = ["O'NEIL 5", "A&B+C", "50% OFF #1", "ÜNI-商品", "A/B C.D_#1", "(X) OR Y"]
        for number in numbers:
            harness.add_item(number)
        assert set(harness.erp.find_items(numbers)) == set(numbers)

    def test_a_hundred_items_are_found_at_once(self, harness: Harness) -> None:
        numbers = [f"SKU-{at:04}" for at in range(100)]
        for number in numbers[::2]:
            harness.add_item(number)
        assert set(harness.erp.find_items(numbers)) == set(numbers[::2])

    def test_changed_items_are_those_modified_after_the_moment(self, harness: Harness) -> None:
        harness.add_item("OLD-1")
        [old] = [item for page in harness.erp.changed_items(None) for item in page]
        assert old.number == "OLD-1"
        assert old.modified_at is not None
        assert old.modified_at.utcoffset() == timedelta(0)
        assert [
            item for page in harness.erp.changed_items(old.modified_at + timedelta(days=1)) for item in page
        ] == []
        before = old.modified_at - timedelta(seconds=1)
        assert [item.number for page in harness.erp.changed_items(before) for item in page] == ["OLD-1"]

    def test_customers_are_found_whatever_the_case_of_their_address(self, harness: Harness) -> None:
        number = harness.add_customer(email="Ada.Byron@Example.test", name="Ada Byron")
        found = harness.erp.find_customers(["ADA.byron@example.TEST", "nobody@example.test"])
        assert {email: [each.number for each in customers] for email, customers in found.items()} == {
            "ada.byron@example.test": [number],
            "nobody@example.test": [],
        }
        assert found["ada.byron@example.test"][0].blocked == ""

    def test_two_customers_with_one_address_are_both_shown(self, harness: Harness) -> None:
        numbers = {harness.add_customer(email=email) for email in ("twin@example.test", "Twin@example.test")}
        found = harness.erp.find_customers(["twin@example.test"])
        assert {customer.number for customer in found["twin@example.test"]} == numbers
        assert len(numbers) == 2

    def test_a_blocked_customer_comes_with_the_erps_word_for_it(self, harness: Harness) -> None:
        harness.add_customer(email="blocked@example.test", blocked="All")
        assert (
            harness.erp.find_customers(["blocked@example.test"])["blocked@example.test"][0].blocked == "All"
        )

    def test_an_address_with_a_quote_finds_its_own_customer_only(self, harness: Harness) -> None:
        number = harness.add_customer(email="o'neil+shop&co@example.test")
        harness.add_customer(email="neil@example.test")
        found = harness.erp.find_customers(["o'neil+shop&co@example.test"])
        assert [customer.number for customer in found["o'neil+shop&co@example.test"]] == [number]

    def test_a_created_customer_is_found_by_its_address(self, harness: Harness) -> None:
        made = harness.erp.create_customer(order("BGM-1"), in_time=lambda: True, told=unheard)
        assert made.number
        assert harness.erp.find_customers(["ada@example.test"])["ada@example.test"] == (made,)

    def test_a_lost_reply_to_a_new_customer_is_unknown_and_the_customer_is_found(
        self, harness: Harness
    ) -> None:
        harness.fail_next_write(Trouble.LOST_REPLY)
        with pytest.raises(Unknown):
            harness.erp.create_customer(order("BGM-1"), in_time=lambda: True, told=unheard)
        assert len(harness.erp.find_customers(["ada@example.test"])["ada@example.test"]) == 1

    def test_a_customer_is_not_made_where_the_connection_is_refused(self, harness: Harness) -> None:
        harness.fail_next_write(Trouble.REFUSED_CONNECTION)
        with pytest.raises(Retry):
            harness.erp.create_customer(order("BGM-1"), in_time=lambda: True, told=unheard)
        assert harness.customers("ada@example.test") == 0

    def test_a_customer_is_not_made_where_there_is_no_time_left(self, harness: Harness) -> None:
        with pytest.raises(Retry):
            harness.erp.create_customer(order("BGM-1"), in_time=lambda: False, told=unheard)
        assert harness.customers("ada@example.test") == 0

    def test_every_number_asked_for_is_a_key_of_the_documents_found(self, harness: Harness) -> None:
        assert harness.erp.find_documents(["BGM-1", "X" * 36, ""]) == {"BGM-1": (), "X" * 36: (), "": ()}

    def test_a_document_is_written_with_all_its_lines_and_read_back(
        self, harness: Harness, customer: str
    ) -> None:
        written = document(
            harness.erp.create_documents(
                [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
            )["BGM-1"]
        )
        assert harness.documents("BGM-1") == [(3, Decimal("30.00"))]
        assert (written.external_number, written.customer_number, written.total) == (
            "BGM-1",
            customer,
            Decimal("30.00"),
        )
        assert (written.currency, written.posted) == ("USD", False)
        assert written.number
        assert harness.erp.find_documents(["bgm-1"]) == {"bgm-1": (written,)}

    def test_a_posted_document_is_found(self, harness: Harness, customer: str) -> None:
        document(
            harness.erp.create_documents(
                [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
            )["BGM-1"]
        )
        harness.post_document("BGM-1")
        [found] = harness.erp.find_documents(["BGM-1"])["BGM-1"]
        assert (found.posted, found.total, found.customer_number) == (True, Decimal("30.00"), customer)

    def test_two_documents_with_one_number_are_both_shown(self, harness: Harness) -> None:
        harness.add_document("BGM-1")
        harness.add_document("BGM-1")
        assert len(harness.erp.find_documents(["BGM-1"])["BGM-1"]) == 2

    def test_a_number_that_is_taken_leads_to_unknown_not_to_a_guess(
        self, harness: Harness, customer: str
    ) -> None:
        harness.add_document("BGM-1")
        result = harness.erp.create_documents(
            [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
        )["BGM-1"]
        assert isinstance(result, Unknown)

    def test_many_documents_are_written_each_once(self, harness: Harness, customer: str) -> None:
        numbers = [f"BGM-{at}" for at in range(1, 41)]
        results = harness.erp.create_documents(
            [draft(number, customer=customer) for number in numbers], in_time=lambda: True, told=unheard
        )
        assert [document(results[number]).external_number for number in numbers] == numbers
        assert [len(harness.documents(number)) for number in numbers] == [1] * 40

    def test_a_slice_is_at_least_one_document_and_is_written_whole(
        self, harness: Harness, customer: str
    ) -> None:
        written = 0
        while written < 30:
            size = harness.erp.slice_size
            assert size >= 1
            numbers = [f"BGM-{written + at}" for at in range(1, size + 1)]
            results = harness.erp.create_documents(
                [draft(number, customer=customer) for number in numbers], in_time=lambda: True, told=unheard
            )
            assert [document(results[number]).external_number for number in numbers] == numbers
            written += size

    def test_a_refused_order_leaves_nothing_and_the_others_go_through(
        self, harness: Harness, customer: str
    ) -> None:
        harness.add_item("BLOCKED-1", blocked=True)
        drafts = [draft("BGM-1", customer=customer), draft("BGM-2", product("BLOCKED-1"), customer=customer)]
        results = harness.erp.create_documents(
            [*drafts, draft("BGM-3", customer=customer)], in_time=lambda: True, told=unheard
        )
        refused = results["BGM-2"]
        assert isinstance(refused, Reject)
        assert refused.kind == "bad_sku"
        assert harness.documents("BGM-2") == []
        assert [document(results[number]).external_number for number in ("BGM-1", "BGM-3")] == [
            "BGM-1",
            "BGM-3",
        ]

    def test_an_unknown_item_is_a_bad_sku(self, harness: Harness, customer: str) -> None:
        lines = (product("WID-1"), product("NOWHERE-1"))
        refused = harness.erp.create_documents(
            [draft("BGM-1", *lines, customer=customer)], in_time=lambda: True, told=unheard
        )["BGM-1"]
        assert isinstance(refused, Reject)
        assert refused.kind == "bad_sku"
        assert harness.documents("BGM-1") == []

    def test_a_lost_reply_is_unknown_and_what_was_written_is_then_found(
        self, harness: Harness, customer: str
    ) -> None:
        harness.fail_next_write(Trouble.LOST_REPLY)
        results = harness.erp.create_documents(
            [draft(f"BGM-{at}", customer=customer) for at in (1, 2)], in_time=lambda: True, told=unheard
        )
        assert isinstance(results["BGM-1"], Unknown)
        for number, documents in harness.erp.find_documents(["BGM-1", "BGM-2"]).items():
            # An ERP that takes orders one by one has not tried the second.
            written = [Decimal("30.00")] if isinstance(results[number], Unknown) else []
            assert [each.total for each in documents] == written
            assert isinstance(results[number], (Unknown, Retry))

    def test_a_lost_request_is_unknown_too(self, harness: Harness, customer: str) -> None:
        harness.fail_next_write(Trouble.LOST_REQUEST)
        result = harness.erp.create_documents(
            [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
        )["BGM-1"]
        assert isinstance(result, Unknown)
        assert harness.erp.find_documents(["BGM-1"]) == {"BGM-1": ()}

    def test_a_write_that_commits_late_is_unknown_and_found_later(
        self, harness: Harness, customer: str
    ) -> None:
        harness.fail_next_write(Trouble.LATE)
        result = harness.erp.create_documents(
            [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
        )["BGM-1"]
        assert isinstance(result, Unknown)
        harness.wait_until_late_writes_are_done()
        assert len(harness.erp.find_documents(["BGM-1"])["BGM-1"]) == 1

    def test_orders_behind_a_lost_call_are_not_tried(self, harness: Harness, customer: str) -> None:
        numbers = [f"BGM-{at}" for at in range(1, 201)]
        harness.fail_next_write(Trouble.LOST_REQUEST)
        results = harness.erp.create_documents(
            [draft(number, customer=customer) for number in numbers], in_time=lambda: True, told=unheard
        )
        assert set(results) == set(numbers)
        assert {type(result) for result in results.values()} <= {Unknown, Retry}
        assert isinstance(results["BGM-1"], Unknown)
        assert isinstance(results["BGM-200"], Retry)
        assert [number for number in numbers if harness.documents(number)] == []

    def test_nothing_is_written_where_there_is_no_time(self, harness: Harness, customer: str) -> None:
        drafts = [draft(f"BGM-{at}", customer=customer) for at in (1, 2)]
        results = harness.erp.create_documents(drafts, in_time=lambda: False, told=unheard)
        assert [type(result) for result in results.values()] == [Retry, Retry]
        assert [harness.documents(number) for number in results] == [[], []]

    def test_what_is_not_begun_when_the_time_runs_out_is_a_retry(
        self, harness: Harness, customer: str
    ) -> None:
        numbers = [f"BGM-{at}" for at in range(1, 31)]
        results = harness.erp.create_documents(
            [draft(number, customer=customer) for number in numbers],
            in_time=lambda: not harness.documents("BGM-1"),
            told=unheard,
        )
        assert set(results) == set(numbers)
        assert document(results["BGM-1"]).external_number == "BGM-1"
        assert isinstance(results["BGM-30"], Retry)
        assert {type(result) for result in results.values()} == {ErpDocument, Retry}
        for number, result in results.items():
            # What was begun is also read back, and nothing else was written.
            assert len(harness.documents(number)) == isinstance(result, ErpDocument)

    def test_time_that_ran_out_does_not_come_back_within_a_call(
        self, harness: Harness, customer: str
    ) -> None:
        answers = iter([True, True, False])
        numbers = [f"BGM-{at}" for at in range(1, 31)]
        results = harness.erp.create_documents(
            [draft(number, customer=customer) for number in numbers],
            in_time=lambda: next(answers, True),
            told=unheard,
        )
        assert isinstance(results["BGM-30"], Retry)
        assert harness.documents("BGM-30") == []

    def test_the_plan_of_a_draft_is_what_is_sent_for_it_and_adds_up_to_its_document(
        self, harness: Harness, customer: str
    ) -> None:
        lines = (
            product(amount="20.00", quantity="3", credit="1.99"),
            other(LineType.SHIPPING, "7.95", credit="0.40"),
            other(LineType.FEE, "-1.00"),
            other(LineType.TAX, "2.05"),
            other(LineType.GIFT_CARD, "0.00", credit="5.00"),
            other(LineType.ROUNDING, "0.01"),
        )
        drafts = [draft("BGM-1", *lines, customer=customer), draft("BGM-2", customer=customer)]
        plans = {each.external_number: harness.erp.plan(each) for each in drafts}
        heard = Heard()
        results = harness.erp.create_documents(drafts, in_time=lambda: True, told=heard)
        assert heard.requests() == {number: [plan.request] for number, plan in plans.items()}
        for number, plan in plans.items():
            assert sum(each.net for each in plan.lines) == document(results[number]).total
        planned = sorted(position for each in plans["BGM-1"].lines for position in each.positions)
        assert planned == [1, 2, 3, 4, 5, 6]

    def test_a_planned_line_is_quantity_times_price_less_discount(
        self, harness: Harness, customer: str
    ) -> None:
        lines = (product(amount="32.40", quantity="2", credit="3.60"), other(LineType.TAX, "2.05"))
        plan = harness.erp.plan(draft("BGM-1", *lines, customer=customer))
        goods, tax = plan.lines
        assert (goods.kind, goods.number, goods.quantity, goods.net) == (
            "item",
            "WID-1",
            Decimal(2),
            Decimal("28.80"),
        )
        assert goods.quantity * goods.unit_price - goods.discount == goods.net
        assert (tax.kind, tax.positions, tax.net) == ("account", (2,), Decimal("2.05"))
        assert harness.documents("BGM-1") == []

    def test_the_lines_of_a_request_can_be_read_back_and_they_are_those_of_its_plan(
        self, harness: Harness, customer: str
    ) -> None:
        lines = (
            product(amount="20.00", quantity="3", credit="1.99"),
            other(LineType.SHIPPING, "7.95", credit="0.40"),
            other(LineType.FEE, "-1.00"),
            other(LineType.TAX, "2.05"),
            other(LineType.GIFT_CARD, "0.00", credit="5.00"),
            other(LineType.ROUNDING, "0.01", name=""),
        )
        plan = harness.erp.plan(draft("BGM-1", *lines, customer=customer))
        assert harness.erp.sent_lines(plan.request, currency="USD") == tuple(
            replace(line, positions=()) for line in plan.lines
        )

    @pytest.mark.parametrize("request_text", ["", "{}", "[1]", '{"lines": 1, "salesOrderLines": [{}]}'])
    def test_a_request_that_cannot_be_read_is_refused(self, harness: Harness, request_text: str) -> None:
        with pytest.raises(Reject):
            harness.erp.sent_lines(request_text, currency="USD")

    def test_a_draft_that_cannot_be_planned_is_refused_for_the_same_reason_and_nothing_is_told(
        self, harness: Harness, customer: str
    ) -> None:
        nameless = draft("BGM-1", replace(product(), sku=None), customer=customer)
        with pytest.raises(Reject) as refused:
            harness.erp.plan(nameless)
        heard = Heard()
        result = harness.erp.create_documents([nameless], in_time=lambda: True, told=heard)["BGM-1"]
        assert isinstance(result, Reject)
        assert (result.reason, result.kind) == (refused.value.reason, refused.value.kind)
        assert heard.exchanges == {}
        assert harness.documents("BGM-1") == []

    def test_what_was_sent_of_a_refused_order_is_told_with_the_answer(
        self, harness: Harness, customer: str
    ) -> None:
        refused = draft("BGM-1", product("NOWHERE-1"), customer=customer)
        heard = Heard()
        result = harness.erp.create_documents([refused], in_time=lambda: True, told=heard)["BGM-1"]
        assert isinstance(result, Reject)
        ((number, (exchange,)),) = heard.exchanges.items()
        assert (number, exchange.request) == ("BGM-1", harness.erp.plan(refused).request)
        assert "NOWHERE-1" in exchange.request
        assert exchange.answer

    @pytest.mark.parametrize("trouble", [Trouble.LOST_REPLY, Trouble.LOST_REQUEST])
    def test_what_got_no_answer_is_told_without_one(
        self, harness: Harness, customer: str, trouble: Trouble
    ) -> None:
        harness.fail_next_write(trouble)
        lost = draft("BGM-1", customer=customer)
        heard = Heard()
        result = harness.erp.create_documents([lost], in_time=lambda: True, told=heard)["BGM-1"]
        assert isinstance(result, Unknown)
        ((number, (exchange,)),) = heard.exchanges.items()
        assert (number, exchange.request, exchange.answer) == ("BGM-1", harness.erp.plan(lost).request, "")

    def test_what_was_never_sent_is_not_told(self, harness: Harness, customer: str) -> None:
        heard = Heard()
        harness.fail_next_write(Trouble.REFUSED_CONNECTION)
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=heard)
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: False, told=heard)
        harness.fail_next_write(Trouble.REFUSED_CONNECTION)
        with pytest.raises(Retry):
            harness.erp.create_customer(order("BGM-1"), in_time=lambda: True, told=heard)
        assert heard.exchanges == {}

    def test_what_was_sent_for_a_new_customer_is_told_under_the_orders_number(self, harness: Harness) -> None:
        heard = Heard()
        made = harness.erp.create_customer(order("bgm-1"), in_time=lambda: True, told=heard)
        harness.fail_next_write(Trouble.LOST_REPLY)
        with pytest.raises(Unknown):
            harness.erp.create_customer(
                order("bgm-2", bill=address(email="eve@example.test")), in_time=lambda: True, told=heard
            )
        ((first, (created,)), (second, (lost,))) = heard.exchanges.items()
        assert (first, second) == ("BGM-1", "BGM-2")
        assert "ada@example.test" in created.request
        assert made.number in created.answer
        assert "eve@example.test" in lost.request
        assert lost.answer == ""

    def test_a_question_asked_again_is_answered_anew(self, harness: Harness) -> None:
        harness.erp.find_documents(["BGM-1"])
        harness.erp.find_customers(["ada@example.test"])
        harness.erp.find_items(["WID-1"])
        harness.add_document("BGM-1")
        harness.add_customer(email="ada@example.test")
        harness.add_item("WID-1")
        assert len(harness.erp.find_documents(["BGM-1"])["BGM-1"]) == 1
        assert len(harness.erp.find_customers(["ada@example.test"])["ada@example.test"]) == 1
        assert set(harness.erp.find_items(["WID-1"])) == {"WID-1"}

    def test_a_refused_connection_is_a_retry_for_every_order(self, harness: Harness, customer: str) -> None:
        harness.fail_next_write(Trouble.REFUSED_CONNECTION)
        results = harness.erp.create_documents(
            [draft(f"BGM-{at}", customer=customer) for at in (1, 2)], in_time=lambda: True, told=unheard
        )
        assert [type(result) for result in results.values()] == [Retry, Retry]
        assert harness.documents("BGM-1") == []

    @pytest.mark.parametrize("trouble", [Trouble.LOST_REPLY, Trouble.LOST_REQUEST, Trouble.BUSY])
    def test_any_failure_of_a_read_is_a_retry(self, harness: Harness, trouble: Trouble) -> None:
        harness.add_item("WID-1")
        harness.fail_next_read(trouble)
        with pytest.raises(Retry):
            harness.erp.find_items(["WID-1"])
        assert set(harness.erp.find_items(["WID-1"])) == {"WID-1"}

    def test_a_client_that_is_locked_out_is_misconfigured_and_writes_nothing(
        self, harness: Harness, customer: str
    ) -> None:
        harness.lock_out()
        with pytest.raises(Misconfigured):
            harness.erp.find_items(["WID-1"])
        with pytest.raises(Misconfigured):
            harness.erp.create_documents(
                [draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard
            )
        assert harness.documents("BGM-1") == []

    def test_an_examination_finds_no_trouble_where_there_is_none_and_changes_nothing(
        self, harness: Harness, customer: str
    ) -> None:
        harness.erp.create_documents([draft("BGM-1", customer=customer)], in_time=lambda: True, told=unheard)
        before = harness.erp.find_documents(["BGM-1"])
        examined = harness.erp.examine(customer=customer)
        assert (examined.troubles, examined.found[-1]) == ((), ".")
        assert examined.answered_at is not None
        assert examined.answered_at.utcoffset() == timedelta(0)
        assert harness.erp.examine(customer="").troubles == ()
        assert harness.erp.find_documents(["BGM-1"]) == before

    def test_an_examination_names_a_default_customer_that_is_missing_or_blocked(
        self, harness: Harness
    ) -> None:
        blocked = harness.add_customer(email="ada@example.test", blocked="All")
        for number in ("NOBODY", blocked):
            (trouble,) = harness.erp.examine(customer=number).troubles
            assert (trouble.mend, trouble.stops) == (("set default_customer",), True)
            assert number in trouble.reason

    @pytest.mark.parametrize("trouble", [Trouble.LOST_REPLY, Trouble.LOST_REQUEST, Trouble.BUSY])
    def test_an_examination_that_fails_is_a_retry_and_one_that_is_locked_out_misconfigured(
        self, harness: Harness, trouble: Trouble
    ) -> None:
        harness.fail_next_read(trouble)
        with pytest.raises(Retry):
            harness.erp.examine(customer="")
        assert harness.erp.examine(customer="").troubles == ()
        harness.lock_out()
        with pytest.raises(Misconfigured):
            harness.erp.examine(customer="")
