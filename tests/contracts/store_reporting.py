"""What the store promises of lists, sums, exports and reports of errors. A database's tests inherit it beside `StoreContract`."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.road import Stage, State
from app.ports.desk import ErrorFilter, ErrorSort, ErrorSums
from app.ports.reporting import Counted, OrderFilter
from app.ports.sales_channel import Seen
from app.ports.store import Failed
from tests.contracts.store import LEASE, START, World, order, seen
from tests.contracts.store_systems import fail, finish, new_site

HOUR = timedelta(hours=1)


def worth(
    world: World, order_id: str, value: str | None, *, currency: str = "USD", kind: str = "kit"
) -> None:
    """An order in error that is worth so much; None where it could not be read."""
    batch_id = world.batch(order_id)
    token = world.token()
    (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
    so_far = None
    if value is not None:
        so_far = replace(order(order_id), total=Decimal(value), currency=currency)
    failed = Failed(id=claimed.thread_id, reason=f"Wrong: 100% of {order_id}.", kind=kind, order=so_far)
    world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[failed])


def changed(world: World, order_id: str, at: datetime) -> Seen:
    return replace(seen(order_id, shows=f"changed {at}"), modified_at=at)


def resolve(world: World, *order_ids: str) -> None:
    """A new version arrives, which closes the error of the one before it."""
    for each in order_ids:
        world.read(changed(world, each, world.clock()))


def listed(world: World, wanted: ErrorFilter | None = None, **how: object) -> list[str]:
    found = world.store.error_orders(wanted or ErrorFilter(), **how)  # type: ignore[arg-type]
    return [each.platform_order_id for each in found]


class ReportingContract:
    """Lists of many errors, exports, and the monthly report."""

    def test_errors_are_sorted_by_age_money_number_and_attempts(self, world: World) -> None:
        for order_id, value in (("2", "9.50"), ("10", "100.00"), ("1", None), ("3", "-5.00")):
            worth(world, order_id, value)
            world.clock.advance(60)
        world.harness.execute("UPDATE rm_error_orders SET attempts = 7 WHERE platform_order_id = '1'")
        world.harness.execute(
            "UPDATE rm_error_orders SET order_number = 'BGM-1' WHERE platform_order_id = '1'"
        )
        assert listed(world) == ["2", "10", "1", "3"]
        assert listed(world, reverse=True) == ["3", "1", "10", "2"]
        assert listed(world, sort=ErrorSort.MONEY) == ["10", "2", "3", "1"]
        assert listed(world, sort=ErrorSort.MONEY, reverse=True) == ["3", "2", "10", "1"]
        assert listed(world, sort=ErrorSort.ORDER) == ["1", "2", "3", "10"]
        assert listed(world, sort=ErrorSort.ATTEMPTS)[0] == "1"
        assert listed(world, sort=ErrorSort.ATTEMPTS, reverse=True)[-1] == "1"

    def test_errors_are_listed_page_by_page(self, world: World) -> None:
        for order_id in ("1", "2", "3"):
            worth(world, order_id, "1.00")
        assert listed(world, limit=2) == ["1", "2"]
        assert listed(world, limit=2, offset=2) == ["3"]
        assert listed(world, offset=1) == ["2", "3"]
        assert listed(world, limit=2, offset=9) == []
        first = world.store.error_orders_after(ErrorFilter(), after=0, limit=2)
        (last,) = world.store.error_orders_after(ErrorFilter(), after=first[-1].id, limit=2)
        assert [each.platform_order_id for each in (*first, last)] == ["1", "2", "3"]
        assert first[0].document is None

    def test_errors_are_found_by_text_person_and_time(self, world: World) -> None:
        worth(world, "1", "1.00")
        world.clock.advance(3600)
        worth(world, "2", "1.00")
        world.harness.execute("UPDATE rm_error_orders SET assignee = 'anna' WHERE platform_order_id = '2'")
        for wanted, expected in (
            (ErrorFilter(text="wrong: 100% OF 2"), ["2"]),
            (ErrorFilter(text="bgm-1"), ["1"]),
            (ErrorFilter(text="%"), ["1", "2"]),
            (ErrorFilter(text="_"), []),
            (ErrorFilter(text="' OR 1=1 --"), []),
            (ErrorFilter(assignee="anna"), ["2"]),
            (ErrorFilter(unassigned=True), ["1"]),
            (ErrorFilter(since=START + HOUR), ["2"]),
            (ErrorFilter(site="bgm", kind="kit", stage="normalize", text="2"), ["2"]),
        ):
            assert listed(world, wanted) == expected, wanted
            assert world.store.error_sums(wanted).errors == len(expected)
        (found,) = world.store.error_orders(ErrorFilter(assignee="anna"))
        assert (found.assignee, found.resumed, found.resolved_by, found.checked_at) == ("anna", 0, None, None)

    def test_money_at_risk_is_added_up_to_the_cent_by_currency(self, world: World) -> None:
        assert world.store.error_sums(ErrorFilter()) == ErrorSums(errors=0, money={})
        values = ("0.10", "0.20", "0.70", "12345678901.01", "-1.00")
        for number, value in enumerate(values):
            worth(world, f"1{number}", value)
        worth(world, "20", "0.1000", currency="EUR")
        worth(world, "21", None)
        assert world.store.error_sums(ErrorFilter()) == ErrorSums(
            errors=7, money={"EUR": Decimal("0.10"), "USD": Decimal("12345678901.01")}
        )

    def test_numbers_of_open_errors_are_found_by_their_beginning(self, world: World) -> None:
        for order_id in ("1", "12", "2"):
            worth(world, order_id, "1.00")
        world.clock.advance(60)
        resolve(world, "2")
        assert world.store.open_error_numbers("BGM-", limit=10) == ("BGM-1", "BGM-12")
        assert world.store.open_error_numbers("BGM-", limit=1) == ("BGM-1",)
        assert world.store.open_error_numbers("BGM_", limit=10) == ()

    # Exports.

    def test_orders_are_exported_page_by_page_as_they_stand(self, world: World) -> None:
        finish(world, "1")
        fail(world, "2")
        world.clock.advance(3600)
        world.batch("3")
        everything = world.store.orders_after(OrderFilter(), after=0, limit=10)
        assert [(each.platform_order_id, each.state) for each in everything] == [
            ("1", State.DONE), ("2", State.REJECTED), ("3", State.ACTIVE),
        ]  # fmt: skip
        first = everything[0]
        assert (first.order_number, first.site, first.total, first.currency) == (
            "BGM-1", "bgm", Decimal("119.00"), "USD",
        )  # fmt: skip
        assert (first.erp_document, first.acknowledged_at, first.exported_at) == ("S-1", START, START)
        pages = [
            world.store.orders_after(OrderFilter(), after=after, limit=2) for after in (0, everything[1].id)
        ]
        assert pages == [everything[:2], everything[2:]]
        for wanted, expected in (
            (OrderFilter(state=State.DONE), ["1"]),
            (OrderFilter(site="other"), []),
            (OrderFilter(site="bgm", since=START + HOUR), ["3"]),
            (OrderFilter(text="bgm-1"), ["1"]),
            (OrderFilter(text="order 2 is WRONG"), ["2"]),
        ):
            found = world.store.orders_after(wanted, after=0, limit=10)
            assert [each.platform_order_id for each in found] == expected, wanted

    # The report.

    def test_a_month_counts_what_was_opened_resolved_and_left_open_by_site_and_kind(
        self, world: World
    ) -> None:
        since, until = START + HOUR, START + 10 * HOUR
        worth(world, "1", "10.00")
        worth(world, "2", "20.00", kind="totals")
        world.clock.now = since
        resolve(world, "1")
        worth(world, "3", "30.00", currency="EUR")
        worth(world, "4", "40.00", kind="totals")
        world.clock.advance(1800)
        resolve(world, "3")
        site_id, run_id = world.site_id, world.run_id
        world.site_id = world.store.add_site(new_site("other", prefix="OTH", erp_id=world.erp_id))
        world.run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        worth(world, "5", None, kind="gone")
        world.site_id, world.run_id = site_id, run_id
        world.clock.now = until
        resolve(world, "4")
        worth(world, "6", "60.00")
        found = world.store.error_report(since=since, until=until, oldest=2)
        assert found.counted == (
            Counted(site="bgm", kind="kit", opened=1, resolved=2, still_open=0),
            Counted(site="bgm", kind="totals", opened=1, resolved=0, still_open=2),
            Counted(site="other", kind="gone", opened=1, resolved=0, still_open=1),
        )
        assert found.resolutions == {"a new version arrived": 2}
        assert found.at_risk == {"USD": Decimal("60.00")}
        assert [each.platform_order_id for each in found.oldest] == ["2", "4"]
        assert found.median_seconds == 2700
        assert found.longest_seconds == 3600

    def test_a_month_without_errors_is_empty(self, world: World) -> None:
        found = world.store.error_report(since=START, until=START + HOUR, oldest=5)
        assert (found.counted, found.oldest, found.at_risk, found.resolutions) == ((), (), {}, {})
        assert (found.median_seconds, found.longest_seconds) == (None, None)

    def test_errors_of_archived_orders_count_in_the_report(self, world: World) -> None:
        worth(world, "1", "10.00")
        world.clock.advance(60)
        resolve(world, "1")
        columns = "id, thread_id, site_id, order_number, platform_order_id, stage, kind, reason, attempts, opened_at"
        names = f"{columns}, resolved_at, resolution, value, currency"
        world.harness.execute(
            f"INSERT INTO rm_error_orders_archive ({names}) SELECT {names} FROM rm_error_orders"
        )
        world.harness.execute("DELETE FROM rm_error_orders")
        found = world.store.error_report(since=START, until=START + HOUR, oldest=5)
        assert found.counted == (Counted(site="bgm", kind="kit", opened=1, resolved=1, still_open=0),)
        assert found.median_seconds == 60
