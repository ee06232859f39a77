"""What every sales channel promises, whatever platform it speaks to. A connector's test subclasses `SalesChannelContract`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from app.domain.balance import computed_total, expected_total
from app.domain.document import dump_text, load_text
from app.domain.order import LineType
from app.domain.reading import Position, following
from app.errors import Misconfigured, Reject, Retry, Unknown
from app.ports.sales_channel import Gone, Makes, SalesChannel, Seen

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NO_SUCH_ORDER = "99999999"


class Platform(Protocol):
    """The other side of the channel under test: what happens at the platform without our doing."""

    @property
    def now(self) -> datetime:
        """The platform's clock, whole seconds in UTC."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def add_order(self) -> str:
        """A valid, paid order that is eligible, created and modified now; its id."""
        ...

    def edit(self, order_id: str) -> None:
        """Change what the order says, as a clerk would; its modified time is now."""
        ...

    def mark_elsewhere(self, order_id: str) -> None:
        """Put our export mark on the order by other hands than the channel's."""
        ...

    def cancel(self, order_id: str) -> None:
        """Move the order to a status that is not read; its modified time is now."""
        ...

    def trash(self, order_id: str) -> None:
        """Take the order away so that it could be brought back."""
        ...

    def delete(self, order_id: str) -> None:
        """Take the order away for good."""
        ...

    def fail_next(self, failure: str, *, writing: bool = False) -> None:
        """Let the next call, or the next write, meet a failure.

        `unavailable`, `unauthorized` and `garbage` stand in place of the answer, and nothing is done; `lost` is done, but not
        answered.
        """
        ...

    def body_with(self, fault: str) -> str:
        """A body that is right but for `no_lines`, `unknown_currency`, `no_address` or `unbalanced`."""
        ...


def bodies(channel: SalesChannel, *, since: datetime | None, page_size: int) -> Iterator[Seen]:
    """Every row from `since` on, page after page, as a fetch reads them."""
    position: Position | None = Position(since=since)
    for _ in range(200):
        if position is None:
            return
        page = channel.changed(position, page_size=page_size)
        yield from page.rows
        last = page.rows[-1].modified_at if page.rows else None
        position = following(position, last_modified_at=last, more=page.more)
    raise AssertionError("the pages do not end")


def ids(rows: Iterator[Seen]) -> list[str]:
    """The ids of the rows, each once, in the order they came."""
    return list(dict.fromkeys(row.platform_order_id for row in rows))


def one(channel: SalesChannel, order_id: str) -> Seen:
    """How an order that is there stands now."""
    found = channel.read([order_id])[order_id]
    assert isinstance(found, Seen)
    return found


def acknowledged(channel: SalesChannel, order_id: str) -> Seen:
    """The order as it stands after a mark that worked."""
    outcome = channel.acknowledge([order_id])[order_id]
    assert isinstance(outcome, Seen)
    return outcome


def check_figures(channel: SalesChannel, body: str, *, prefix: str = "BGM") -> int:
    """Whether the figures of an order add up to its amounts and stand where they say; returns how many there are."""
    order = channel.normalize(body, prefix=prefix)
    figures = channel.figures(body, prefix=prefix)
    given = json.loads(body, parse_float=str, parse_int=str)
    sums: dict[tuple[int | None, Makes], Decimal] = {}
    for figure in figures:
        key = (figure.position, figure.makes)
        sums[key] = sums.get(key, Decimal(0)) + figure.value
        assert figure.name
        assert bool(figure.pointer) is bool(figure.text)
        if figure.pointer:
            assert _at(given, figure.pointer) == figure.text
            # A float of theirs may have noise far behind its digits.
            assert abs(abs(Decimal(figure.text)) - abs(figure.value)) < Decimal("0.000001")
    assert sums.pop((None, Makes.TOTAL)) == order.total
    for line in order.lines:
        listed = line.amount if line.listed is None else line.listed
        for makes, amount, default in (
            (Makes.AMOUNT, line.amount, Decimal(0)),
            (Makes.LISTED, listed, line.amount),
            (Makes.NOMINAL, line.nominal, Decimal(0)),
            (Makes.CREDIT, line.credit, Decimal(0)),
            (Makes.TAX, line.tax, Decimal(0)),
        ):
            found = sums.pop((line.position, makes), None)
            assert found == amount if amount != default else found in {None, amount}, (line, makes, found)
    assert sums == {}
    return len(figures)


def _at(given: Any, pointer: str) -> Any:
    for name in pointer.removeprefix("/").split("/"):
        given = given[int(name)] if isinstance(given, list) else given[name]
    return given


class SalesChannelContract:
    """Subclasses give the fixtures `channel` and `platform`; the platform starts without an eligible order."""

    # Reading what changed

    def test_a_platform_without_orders_gives_an_empty_last_page(self, channel: SalesChannel) -> None:
        page = channel.changed(Position(since=None), page_size=10)
        assert (page.rows, page.more) == ((), False)

    def test_a_row_tells_what_reading_needs(self, channel: SalesChannel, platform: Platform) -> None:
        order_id = platform.add_order()
        (row,) = channel.changed(Position(since=None), page_size=10).rows
        assert row.platform_order_id == order_id
        assert row.modified_at == platform.now
        assert row.created_at == platform.now
        assert row.modified_raw
        assert row.eligible
        assert not row.marked
        assert row.gross is not None
        assert row.gross > 0
        assert str(json.loads(row.body)["id"]) == order_id

    def test_an_answer_tells_its_own_time_in_utc(self, channel: SalesChannel) -> None:
        answered_at = channel.changed(Position(since=None), page_size=10).answered_at
        assert answered_at is not None
        assert answered_at.utcoffset() == timedelta(0)

    def test_orders_modified_exactly_at_since_are_included(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        before, platform_time = platform.add_order(), platform.now
        platform.advance(1)
        at = [platform.add_order(), platform.add_order()]
        assert ids(bodies(channel, since=platform.now, page_size=10)) == at
        assert ids(bodies(channel, since=platform_time, page_size=10)) == [before, *at]

    def test_a_fraction_of_a_second_in_since_leaves_nothing_out(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        since = platform.now + timedelta(microseconds=999_999)
        assert ids(bodies(channel, since=since, page_size=10)) == [order_id]

    def test_orders_modified_before_since_are_left_out(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        platform.add_order()
        platform.advance(5)
        assert ids(bodies(channel, since=platform.now, page_size=10)) == []

    @pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
    def test_every_order_is_read_at_any_page_size_also_where_many_share_a_second(
        self, channel: SalesChannel, platform: Platform, page_size: int
    ) -> None:
        added = []
        for count in (1, 4, 2):
            added += [platform.add_order() for _ in range(count)]
            platform.advance(3)
        assert ids(bodies(channel, since=None, page_size=page_size)) == added
        assert ids(bodies(channel, since=LONG_AGO, page_size=page_size)) == added

    def test_rows_ascend_by_modified_time_and_then_by_id(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        first, second, third = (platform.add_order() for _ in range(3))
        platform.advance(1)
        platform.edit(second)
        platform.edit(first)
        assert ids(bodies(channel, since=None, page_size=10)) == [third, first, second]

    def test_an_order_edited_between_two_pages_takes_none_with_it(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        added = []
        for _ in range(6):
            added.append(platform.add_order())
            platform.advance(1)
        read: list[str] = []
        for row in bodies(channel, since=None, page_size=2):
            if not read:
                platform.edit(added[0])
            read.append(row.platform_order_id)
        assert set(read) == set(added)

    def test_orders_that_are_not_eligible_are_not_listed(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        kept, cancelled, trashed, deleted = (platform.add_order() for _ in range(4))
        platform.cancel(cancelled)
        platform.trash(trashed)
        platform.delete(deleted)
        assert ids(bodies(channel, since=None, page_size=10)) == [kept]

    # Reading by id

    def test_reading_by_id_gives_one_answer_for_each_id(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        first, second = platform.add_order(), platform.add_order()
        found = channel.read([second, NO_SUCH_ORDER, first, first])
        assert set(found) == {first, second, NO_SUCH_ORDER}
        assert isinstance(found[NO_SUCH_ORDER], Gone)
        assert one(channel, first).body == next(iter(bodies(channel, since=None, page_size=1))).body

    def test_reading_no_ids_gives_no_answers(self, channel: SalesChannel) -> None:
        assert channel.read([]) == {}

    def test_a_trashed_order_is_still_there_but_not_eligible(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        platform.add_order()
        trashed = platform.add_order()
        platform.trash(trashed)
        assert not one(channel, trashed).eligible

    def test_a_cancelled_order_is_still_there_but_not_eligible(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        cancelled = platform.add_order()
        platform.cancel(cancelled)
        assert not one(channel, cancelled).eligible

    def test_a_deleted_order_is_gone(self, channel: SalesChannel, platform: Platform) -> None:
        platform.add_order()
        deleted = platform.add_order()
        platform.delete(deleted)
        assert isinstance(channel.read([deleted])[deleted], Gone)

    def test_an_order_marked_by_other_hands_is_seen_as_marked(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        platform.mark_elsewhere(order_id)
        assert one(channel, order_id).marked

    # Acknowledging

    def test_acknowledging_marks_the_order_and_answers_how_it_stands(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        platform.advance(2)
        outcome = acknowledged(channel, order_id)
        assert outcome.marked
        assert outcome == one(channel, order_id)

    def test_acknowledging_twice_does_no_harm(self, channel: SalesChannel, platform: Platform) -> None:
        order_id = platform.add_order()
        first = acknowledged(channel, order_id)
        platform.advance(2)
        second = acknowledged(channel, order_id)
        assert (second.marked, second.content_hash) == (True, first.content_hash)

    def test_acknowledging_an_order_twice_in_one_call_answers_once(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        assert list(channel.acknowledge([order_id, order_id])) == [order_id]

    def test_acknowledging_no_orders_answers_nothing(self, channel: SalesChannel) -> None:
        assert channel.acknowledge([]) == {}

    def test_an_order_that_is_gone_does_not_keep_the_others_from_being_marked(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        first, gone, second = (platform.add_order() for _ in range(3))
        platform.delete(gone)
        outcomes = channel.acknowledge([first, gone, second])
        assert set(outcomes) == {first, gone, second}
        assert isinstance(outcomes[gone], Reject)
        assert one(channel, first).marked
        assert one(channel, second).marked

    def test_a_hundred_orders_are_marked_in_one_call(self, channel: SalesChannel, platform: Platform) -> None:
        added = [platform.add_order() for _ in range(100)]
        outcomes = channel.acknowledge(added)
        assert all(isinstance(outcomes[each], Seen) for each in added)

    # The echo

    def test_the_echo_of_our_own_mark_has_the_hash_of_what_it_echoes(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        before = one(channel, order_id)
        platform.advance(2)
        assert acknowledged(channel, order_id).content_hash == before.content_hash
        assert one(channel, order_id).content_hash == before.content_hash

    def test_the_same_order_has_the_same_hash_however_it_is_read(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        (row,) = channel.changed(Position(since=None), page_size=10).rows
        assert row.content_hash == one(channel, order_id).content_hash

    def test_an_edit_changes_the_hash_and_comes_back_as_changed(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        before = one(channel, order_id)
        platform.advance(2)
        platform.edit(order_id)
        (row,) = channel.changed(Position(since=platform.now), page_size=10).rows
        assert row.content_hash != before.content_hash

    def test_two_orders_have_different_hashes(self, channel: SalesChannel, platform: Platform) -> None:
        first, second = platform.add_order(), platform.add_order()
        assert one(channel, first).content_hash != one(channel, second).content_hash

    # Normalizing

    def test_a_valid_order_normalizes_into_our_own_words(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        order = channel.normalize(one(channel, order_id).body, prefix="BGM")
        assert order.number.startswith("BGM-")
        assert order.platform_order_id == order_id
        assert order.created_at == platform.now
        assert order.of_type(LineType.PRODUCT)
        assert [line.position for line in order.lines] == list(range(1, len(order.lines) + 1))
        assert expected_total(order.lines) == order.total
        assert order.of_type(LineType.STORE_CREDIT) or computed_total(order.lines) == order.total

    def test_normalizing_is_the_same_each_time_and_survives_being_stored(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        body = one(channel, platform.add_order()).body
        order = channel.normalize(body, prefix="BGM")
        assert channel.normalize(body, prefix="BGM") == order
        assert load_text(dump_text(order)) == order
        assert channel.normalize(body, prefix="XYZ") == replace(
            order, number=f"XYZ-{order.number.removeprefix('BGM-')}"
        )

    def test_normalizing_needs_no_platform(self, channel: SalesChannel, platform: Platform) -> None:
        body = one(channel, platform.add_order()).body
        platform.fail_next("unavailable")
        channel.normalize(body, prefix="BGM")
        with pytest.raises(Retry):
            channel.probe()

    def test_our_own_mark_is_no_part_of_the_order(self, channel: SalesChannel, platform: Platform) -> None:
        order_id = platform.add_order()
        before = channel.normalize(one(channel, order_id).body, prefix="BGM")
        after = channel.normalize(acknowledged(channel, order_id).body, prefix="BGM")
        assert replace(after, status=before.status) == before

    @pytest.mark.parametrize(
        ("fault", "word"),
        [
            ("no_lines", "no line items"),
            ("unknown_currency", "currency"),
            ("no_address", "billing address"),
            ("unbalanced", "platform total"),
        ],
    )
    def test_an_order_that_cannot_pass_is_rejected_by_name(
        self, channel: SalesChannel, platform: Platform, fault: str, word: str
    ) -> None:
        with pytest.raises(Reject) as rejected:
            channel.normalize(platform.body_with(fault), prefix="BGM")
        assert word in rejected.value.reason
        assert rejected.value.field

    @pytest.mark.parametrize("body", ["", "{", "[]", "null", "<br />{}", "{}"])
    def test_a_body_that_is_no_order_is_rejected(self, channel: SalesChannel, body: str) -> None:
        with pytest.raises(Reject) as rejected:
            channel.normalize(body, prefix="BGM")
        assert rejected.value.kind == "validation"

    def test_the_figures_of_an_order_add_up_to_its_amounts_and_stand_where_they_say(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        orders = [platform.add_order() for _ in range(25)]
        platform.edit(orders[0])
        acknowledged(channel, orders[1])
        platform.mark_elsewhere(orders[2])
        platform.cancel(orders[3])
        for order_id in orders:
            body = one(channel, order_id).body
            lines = channel.normalize(body, prefix="BGM").lines
            assert check_figures(channel, body) > len([line for line in lines if line.amount])

    def test_an_order_is_worth_its_total_whether_it_can_pass_or_not(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        body = one(channel, platform.add_order()).body
        order = channel.normalize(body, prefix="BGM")
        assert channel.worth(body) == (order.total, order.currency)
        for fault in ("no_lines", "no_address"):
            found = channel.worth(platform.body_with(fault))
            assert found is not None
            assert found[1] == order.currency
        for nothing in ("", "[]", "{", '{"total": "x", "total_inc_tax": null, "currency": 1}'):
            assert channel.worth(nothing) is None

    def test_figures_are_the_same_each_time_and_need_no_platform(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        body = one(channel, platform.add_order()).body
        platform.fail_next("unavailable")
        assert channel.figures(body, prefix="BGM") == channel.figures(body, prefix="XYZ")
        with pytest.raises(Retry):
            channel.probe()

    @pytest.mark.parametrize("fault", ["no_lines", "unknown_currency", "no_address", "unbalanced"])
    def test_the_figures_of_an_order_that_cannot_pass_are_refused_for_the_same_reason(
        self, channel: SalesChannel, platform: Platform, fault: str
    ) -> None:
        body = platform.body_with(fault)
        with pytest.raises(Reject) as rejected:
            channel.normalize(body, prefix="BGM")
        with pytest.raises(Reject) as refused:
            channel.figures(body, prefix="BGM")
        assert (refused.value.reason, refused.value.field) == (rejected.value.reason, rejected.value.field)

    def test_an_order_whose_body_is_whole_is_complete_and_comes_back_as_it_is(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        body = one(channel, platform.add_order()).body
        platform.fail_next("unavailable")
        assert channel.complete([body, body]) == [body, body]
        assert channel.complete([]) == []
        # It was not even asked for.
        with pytest.raises(Retry):
            channel.probe()

    # Counting

    def test_the_census_lists_every_eligible_order_once(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        added = []
        for count in (120, 1, 140):
            added += [platform.add_order() for _ in range(count)]
            platform.advance(3)
        rows = [row for page in channel.census(since=None, until=platform.now) for row in page]
        assert sorted(int(row.platform_order_id) for row in rows if row.eligible) == sorted(map(int, added))
        assert len({row.platform_order_id for row in rows}) == len(rows)
        assert all(row.total is not None and row.created_at is not None for row in rows)

    def test_the_census_includes_both_ends_and_goes_by_the_time_an_order_was_made(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        added, times = [], []
        for _ in range(4):
            added.append(platform.add_order())
            times.append(platform.now)
            platform.advance(60)
        platform.edit(added[1])
        rows = [row for page in channel.census(since=times[1], until=times[2]) for row in page]
        assert [row.platform_order_id for row in rows] == added[1:3]
        assert rows[0].created_at == times[1]
        assert rows[0].modified_at == platform.now

    def test_the_census_tells_the_platforms_total_as_the_order_has_it(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        order = channel.normalize(one(channel, order_id).body, prefix="BGM")
        ((row,),) = channel.census(since=None, until=platform.now)
        assert row.total == order.total
        assert f"BGM-{row.number}" == order.number

    def test_what_the_census_shows_of_other_orders_is_called_not_eligible(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        kept, cancelled, trashed, deleted = (platform.add_order() for _ in range(4))
        platform.cancel(cancelled)
        platform.trash(trashed)
        platform.delete(deleted)
        rows = [row for page in channel.census(since=None, until=platform.now) for row in page]
        assert [row.platform_order_id for row in rows if row.eligible] == [kept]

    def test_an_acknowledged_order_is_still_eligible_in_the_census(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        acknowledged(channel, order_id)
        rows = [row for page in channel.census(since=None, until=platform.now) for row in page]
        assert [row.platform_order_id for row in rows if row.eligible] == [order_id]

    # Measuring

    def test_a_survey_tells_what_it_measured_and_changes_nothing(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        platform.advance(60)
        for _ in range(3):
            platform.add_order()
        before = one(channel, order_id)
        survey = channel.survey(orders=50)
        assert survey.findings
        assert all(each.what and each.found.endswith((".", "!")) for each in survey.findings)
        assert not [each.found for each in survey.findings if each.trouble]
        assert one(channel, order_id) == before

    def test_a_platform_without_orders_can_be_surveyed(self, channel: SalesChannel) -> None:
        assert channel.survey(orders=50).findings

    # Failures

    def test_the_probe_counts_the_orders(self, channel: SalesChannel, platform: Platform) -> None:
        before = channel.probe().orders
        platform.add_order()
        platform.add_order()
        assert channel.probe().orders == before + 2

    def test_an_examination_finds_no_trouble_where_there_is_none_and_changes_nothing(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        before = one(channel, order_id)
        platform.advance(60)
        examined = channel.examine()
        assert (examined.troubles, examined.found[-1]) == ((), ".")
        assert examined.answered_at is not None
        assert examined.answered_at.utcoffset() == timedelta(0)
        assert one(channel, order_id) == before

    @pytest.mark.parametrize("failure", ["unavailable", "garbage", "lost"])
    @pytest.mark.parametrize("writing", [False, True])
    def test_an_examination_that_fails_may_be_made_again(
        self, channel: SalesChannel, platform: Platform, failure: str, writing: bool
    ) -> None:
        platform.fail_next(failure, writing=writing)
        with pytest.raises(Retry):
            channel.examine()
        assert channel.examine().troubles == ()

    @pytest.mark.parametrize("writing", [False, True])
    def test_an_examination_with_refused_credentials_is_misconfigured(
        self, channel: SalesChannel, platform: Platform, writing: bool
    ) -> None:
        platform.fail_next("unauthorized", writing=writing)
        with pytest.raises(Misconfigured):
            channel.examine()

    @pytest.mark.parametrize("failure", ["unavailable", "garbage", "lost"])
    def test_a_read_that_fails_may_be_made_again(
        self, channel: SalesChannel, platform: Platform, failure: str
    ) -> None:
        order_id = platform.add_order()
        platform.fail_next(failure)
        with pytest.raises(Retry):
            channel.changed(Position(since=None), page_size=10)
        platform.fail_next(failure)
        with pytest.raises(Retry):
            channel.read([order_id])
        platform.fail_next(failure)
        with pytest.raises(Retry):
            channel.probe()
        assert ids(bodies(channel, since=None, page_size=10)) == [order_id]

    def test_refused_credentials_stop_the_site(self, channel: SalesChannel, platform: Platform) -> None:
        order_id = platform.add_order()
        for call in (
            lambda: channel.changed(Position(since=None), page_size=10),
            lambda: channel.read([order_id]),
            lambda: channel.acknowledge([order_id]),
            channel.probe,
        ):
            platform.fail_next("unauthorized")
            with pytest.raises(Misconfigured):
                call()
        assert not one(channel, order_id).marked

    def test_a_mark_that_is_not_taken_now_may_be_made_again(
        self, channel: SalesChannel, platform: Platform
    ) -> None:
        order_id = platform.add_order()
        platform.fail_next("unavailable")
        with pytest.raises(Retry):
            channel.acknowledge([order_id])
        assert not one(channel, order_id).marked

    @pytest.mark.parametrize(("failure", "done"), [("garbage", False), ("lost", True)])
    def test_a_mark_without_a_readable_answer_is_unknown_and_can_be_made_again(
        self, channel: SalesChannel, platform: Platform, failure: str, done: bool
    ) -> None:
        order_id = platform.add_order()
        platform.fail_next(failure, writing=True)
        with pytest.raises(Unknown):
            channel.acknowledge([order_id])
        assert one(channel, order_id).marked is done
        assert acknowledged(channel, order_id).marked
