"""What the store promises of orders that are read by their ids, of bodies that come in parts, and of certificates.

A database's tests inherit this beside `StoreContract`, which gives it its world.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from app.domain.reading import Bookmark, Position
from app.domain.road import Owed, Stage, State, StepState
from app.domain.trail import digest
from app.ports.certificates import NewCertificate
from app.ports.sales_channel import Seen
from app.ports.store import Failed, Sighting, StepDone, Stored
from app.ports.systems import Removal
from tests.contracts.store import LEASE, MODIFIED, START, World, at_once, seen
from tests.contracts.store_systems import finish, wait

LATER = MODIFIED + timedelta(minutes=5)


def cancelled(order_id: str = "1", *, shows: str = "cancelled") -> Seen:
    return replace(seen(order_id, shows=shows, at=LATER, status="cancelled"), eligible=False)


def read_by_id(world: World, *rows: Seen) -> Stored:
    world.clock.advance(1)
    return world.store.store_read(
        world.site_id, [Sighting(seen=row, order_number="BGM-1") for row in rows], read_at=world.clock()
    )


class ReadByIdContract:
    """Reading by id, versions, the clock's note, and failures in a row."""

    def test_an_order_that_is_read_by_its_id_begins_the_road(self, world: World) -> None:
        stored = read_by_id(world, seen())
        assert (stored.new, stored.batch_id is not None) == (1, True)
        assert world.site().cursor is None
        assert (world.thread()["stage"], world.thread()["state"]) == (Stage.NORMALIZE, State.ACTIVE)
        assert read_by_id(world, seen()) == Stored(batch_id=None, known=1)

    def test_an_unknown_order_that_is_not_eligible_is_left_alone(self, world: World) -> None:
        assert read_by_id(world, cancelled()) == Stored(batch_id=None)
        assert world.store.order_details("1") is None

    def test_an_order_that_is_not_wanted_any_more_is_closed_with_all_that_is_owed_for_it(
        self, world: World
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        assert read_by_id(world, cancelled()).closed == 1
        thread = world.thread()
        assert (thread["state"], thread["next_at"], thread["version"]) == (State.CLOSED, None, 2)
        assert "'cancelled'" in thread["reason"]
        for kind in Owed:
            assert world.step(kind)["state"] == StepState.CLOSED
            claimed = world.store.claim_steps(
                kind, batch_id=batch_id, token="late", lease_seconds=LEASE, limit=10
            )
            assert claimed == ()
        assert world.harness.query("SELECT imported FROM rm_order") == [(2,)]
        # What was seen of it is kept, version by version.
        assert world.harness.query("SELECT version, status FROM rm_inbox ORDER BY version") == [
            (1, "processing"),
            (2, "cancelled"),
        ]
        assert read_by_id(world, cancelled()).closed == 0

    def test_an_order_in_error_that_is_not_wanted_any_more_is_closed_and_its_error_with_it(
        self, world: World
    ) -> None:
        batch_id = world.batch("1")
        (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token="t", lease_seconds=LEASE)
        failed = Failed(id=claimed.thread_id, reason="No.", kind="validation")
        world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token="t", outcomes=[failed])
        assert len(world.open_errors()) == 1
        assert read_by_id(world, cancelled()).closed == 1
        assert world.open_errors() == []
        assert world.thread()["state"] == State.CLOSED

    def test_an_order_that_is_held_is_closed_too_and_begins_again_when_it_comes_back(
        self, world: World
    ) -> None:
        wait(world, "1")
        assert read_by_id(world, cancelled()).closed == 1
        back = replace(seen(shows="back"), modified_at=LATER + timedelta(minutes=1))
        assert read_by_id(world, back).again == 1
        assert (world.thread()["state"], world.thread()["version"]) == (State.ACTIVE, 3)

    def test_an_order_that_was_exported_is_not_closed_but_amended(self, world: World) -> None:
        finish(world)
        stored = read_by_id(world, cancelled())
        assert (stored.closed, stored.amended, stored.batch_id) == (0, 1, None)
        thread = world.thread()
        assert (thread["state"], thread["version"], thread["amended_version"]) == (State.DONE, 1, 2)
        found = world.store.order_summaries(site=None, state=None, limit=10, amended=True)
        assert [(each.platform_order_id, each.amended) for each in found] == [("1", True)]

    def test_an_order_in_error_of_which_something_may_have_been_sent_is_not_closed_but_amended(
        self, world: World
    ) -> None:
        batch_id, token, step = world.sent()
        failed = Failed(id=step.step_id, reason="Two documents.", kind="duplicate")
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        stored = read_by_id(world, cancelled())
        assert (stored.closed, stored.amended) == (0, 1)
        assert len(world.open_errors()) == 1
        assert (world.thread()["state"], world.thread()["amended_version"]) == (State.REJECTED, 2)

    def test_an_order_that_is_gone_is_closed_where_nothing_was_sent_and_noted_where_something_was(
        self, world: World
    ) -> None:
        finish(world, "1")
        world.batch("2")

        def gone(*ids: str) -> Stored:
            return world.store.store_read(world.site_id, [], read_at=world.clock(), gone=ids)

        assert gone("1", "2", "3").closed == 1
        assert world.thread("2")["state"] == State.CLOSED
        assert world.thread("2")["reason"] == "It is no longer on the platform."
        assert world.thread("1")["state"] == State.DONE
        assert gone("1", "2", "3").closed == 0
        for order_id in ("1", "2"):
            told = [each["event"] for each in world.details(order_id)["events"]]
            assert told.count("gone") == 1

    def test_an_order_that_is_read_twice_at_once_is_stored_once(self, world: World) -> None:
        for order_id in map(str, range(1, 9)):
            row = [Sighting(seen=seen(order_id))]
            found = at_once(
                lambda row=row: world.store.store_read(world.site_id, row, read_at=START),  # type: ignore[misc]
                lambda row=row: world.other.store_read(world.site_id, row, read_at=START),  # type: ignore[misc]
                lambda row=row: world.read(*row, read_at=START),  # type: ignore[misc]
            )
            assert sorted(each.new for each in found) == [0, 0, 1]

    def test_a_process_that_works_on_an_order_that_is_closed_settles_nothing(self, world: World) -> None:
        batch_id = world.batch("1")
        (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token="t", lease_seconds=LEASE)
        read_by_id(world, cancelled())
        failed = Failed(id=claimed.thread_id, reason="No.", kind="validation")
        world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token="t", outcomes=[failed])
        assert world.thread()["state"] == State.CLOSED
        assert world.open_errors() == []

    def test_an_order_whose_body_is_not_stored_any_more_is_claimed_without_one(self, world: World) -> None:
        batch_id = world.batch("1")
        world.harness.execute("DELETE FROM rm_inbox")
        (claimed,) = world.claim(Stage.NORMALIZE, batch_id)
        assert (claimed.body, claimed.completed) == (None, False)

    def test_an_edit_after_the_platforms_clock_was_set_back_is_a_new_version(self, world: World) -> None:
        world.batch("1")
        world.clock.advance(120)
        edited = seen(shows="edited", at=MODIFIED - timedelta(hours=1))
        assert world.read(edited).again == 1
        assert world.thread()["version"] == 2

    def test_an_answer_from_a_moment_ago_that_shows_less_is_not_believed(self, world: World) -> None:
        world.batch("1")
        world.clock.advance(5)
        assert world.read(seen(shows="stale", at=MODIFIED - timedelta(seconds=1))).known == 1
        assert world.thread()["version"] == 1

    def test_the_platforms_clock_is_noted_by_whoever_reads_the_site_and_by_nobody_else(
        self, world: World
    ) -> None:
        token = world.store.claim_site(world.site_id, lease_seconds=LEASE)
        assert token is not None
        world.store.note_clock(world.site_id, "another's", clock_ahead=9.0, wide_at=START)
        assert (world.site().clock_ahead, world.site().wide_read_at) == (None, None)
        world.store.note_clock(world.site_id, token, clock_ahead=-3.5)
        assert (world.site().clock_ahead, world.site().wide_read_at) == (-3.5, None)
        world.store.note_clock(world.site_id, token, clock_ahead=-3.5, wide_at=START)
        assert world.site().wide_read_at == START

    def test_an_order_counts_as_acknowledged_since_its_platform_was_told(self, world: World) -> None:
        """And not since that was stored: a process may stand still in between, and the order be cancelled meanwhile."""
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        asked_at = world.clock()
        world.clock.advance(100)
        done = StepDone(step.step_id, asked_at=asked_at)
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[done])
        _, (export,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert export.acknowledged_at == asked_at

    def test_where_a_reading_goes_on_is_kept_with_its_page_and_only_with_a_whole_one(
        self, world: World
    ) -> None:
        at = START + timedelta(microseconds=250_000)
        marks = [
            Bookmark(Position(since=None), begun=START),
            Bookmark(Position(since=at, page=7), begun=at),
            Bookmark(Position(since=START, page=3, back=True, resume=at), begun=START),
        ]
        for mark in marks:
            world.read(seen("1"), bookmark=mark)
            assert (world.site().bookmark, world.site().wide_bookmark) == (mark, None)
        assert world.read(seen("2"), seen("3"), limit=1).full
        assert world.site().bookmark == marks[-1]
        world.read(seen("1"), bookmark=marks[1], wide=True)
        assert (world.site().bookmark, world.site().wide_bookmark) == (marks[-1], marks[1])
        world.read(seen("1"))
        assert (world.site().bookmark, world.site().wide_bookmark) == (None, marks[1])

    def test_a_look_far_back_that_is_over_goes_on_nowhere(self, world: World) -> None:
        kept, wide = (
            Bookmark(Position(since=START), begun=START),
            Bookmark(Position(since=START, page=2), begun=START),
        )
        world.read(seen("1"), bookmark=kept)
        world.read(seen("1"), bookmark=wide, wide=True)
        token = world.store.claim_site(world.site_id, lease_seconds=LEASE)
        assert token is not None
        world.store.note_clock(world.site_id, token, clock_ahead=0.0)
        assert world.site().wide_bookmark == wide
        world.store.note_clock(world.site_id, "another's", clock_ahead=0.0, wide_at=START)
        assert world.site().wide_bookmark == wide
        world.store.note_clock(world.site_id, token, clock_ahead=0.0, wide_at=START)
        assert (world.site().bookmark, world.site().wide_bookmark) == (kept, None)

    def test_failures_are_counted_in_a_row(self, world: World) -> None:
        counted = [
            world.store.count_failure(world.site_id, failed=each) for each in (True, True, False, True)
        ]
        assert counted == [1, 2, 0, 1]
        assert world.site().failures == 1

    # Comparing

    def test_the_next_comparison_is_planned(self, world: World) -> None:
        assert world.site().reconcile_next_run is None
        world.store.plan_reconciliation(world.site_id, at=START + timedelta(days=1))
        assert world.site().reconcile_next_run == START + timedelta(days=1)


class ReadingContract(ReadByIdContract):
    """The same; bodies that come in parts, comparing, and certificates."""

    def test_nothing_is_stored_for_a_site_that_was_removed(self, world: World) -> None:
        finish(world, "1")
        assert world.store.remove_site(world.site_id) is Removal.KEPT
        assert read_by_id(world, seen("2")) == Stored(batch_id=None)
        assert world.store.order_details("2") is None

    def test_a_completed_body_is_kept_beside_what_was_received_and_is_claimed_instead(
        self, world: World
    ) -> None:
        batch_id = world.batch("1", "2")
        world.store.keep_completed(world.site_id, {("1", 1): "whole", ("9", 1): "nobody's"})
        world.store.keep_completed(world.site_id, {})
        claimed = {each.platform_order_id: each for each in world.claim(Stage.NORMALIZE, batch_id)}
        assert (claimed["1"].body, claimed["1"].completed, claimed["1"].version) == ("whole", True, 1)
        assert (claimed["2"].body, claimed["2"].completed) == (seen("2").body, False)
        assert world.harness.query("SELECT body FROM rm_inbox WHERE platform_order_id = '1'") == [
            (seen("1").body,)
        ]
        trail = world.store.trail_of(claimed["1"].thread_id)
        assert trail.completed == {1: digest("whole")}
        assert trail.events[-1].event == "completed"
        assert trail.events[-1].detail == {"version": 1, "completed_sha256": digest("whole")}

    def test_a_stored_order_tells_what_comparing_needs(self, world: World) -> None:
        finish(world)
        world.batch("2")
        found = world.store.stored_orders(world.site_id, ["1", "2", "3"])
        assert set(found) == {"1", "2"}
        done, begun = found["1"], found["2"]
        assert (done.state, done.export, done.total, done.external_number) == (
            State.DONE,
            StepState.DONE,
            Decimal("119.00"),
            "BGM-1",
        )
        assert (done.document_id, done.document_number, done.has_body) == ("id-1", "S-1", True)
        assert (begun.state, begun.export, begun.total, begun.external_number, begun.erp_id) == (
            State.ACTIVE,
            None,
            None,
            "",
            None,
        )
        world.harness.execute("DELETE FROM rm_inbox WHERE platform_order_id = '2'")
        assert not world.store.stored_orders(world.site_id, ["2"])["2"].has_body

    def test_written_orders_are_paged_by_their_date(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        world.at(Stage.DELIVER, "2")

        def page(after: int = 0, since: timedelta | None = None) -> list[str]:
            rows = world.store.written_between(
                world.site_id,
                since=None if since is None else MODIFIED + since,
                until=MODIFIED,
                after=after,
                limit=1,
            )
            return [each.platform_order_id for _, each in rows]

        ((first, _),) = world.store.written_between(
            world.site_id, since=MODIFIED, until=MODIFIED, after=0, limit=1
        )
        assert (page(), page(first), page(first + 1)) == (["1"], ["2"], [])
        assert page(since=timedelta(seconds=1)) == []

    def test_a_body_is_restored_only_where_it_is_missing_and_shows_the_same(self, world: World) -> None:
        world.batch("1", "2", "3")
        world.harness.execute("DELETE FROM rm_inbox WHERE platform_order_id IN ('1', '2')")
        rows = [seen("1"), seen("2", shows="another"), seen("3"), seen("4")]
        assert world.store.restore_bodies(world.site_id, rows, read_at=START) == 1
        assert world.store.restore_bodies(world.site_id, rows, read_at=START) == 0
        assert world.harness.query("SELECT platform_order_id FROM rm_inbox ORDER BY platform_order_id") == [
            ("1",),
            ("3",),
        ]
        assert world.details("1")["events"][-1]["event"] == "body_restored"

    def test_certificates_come_back_as_they_were_stored_the_newest_first(self, world: World) -> None:
        first = NewCertificate(
            site_id=world.site_id,
            from_at=None,
            until_at=MODIFIED,
            complete=True,
            counts={"stored": 3},
            findings=[],
        )
        second = NewCertificate(
            site_id=world.site_id,
            from_at=MODIFIED,
            until_at=START,
            complete=False,
            counts={},
            findings=[{"kind": "missing", "order": "BGM-1", "reason": "Né."}],
        )
        ids = []
        for each in (first, second):
            ids.append(world.store.add_certificate(each))
            world.clock.advance(60)
        found = world.store.certificates(world.site_id, limit=5)
        assert [each.id for each in found] == [ids[1], ids[0]]
        assert (found[0].complete, found[0].findings, found[0].from_at) == (False, second.findings, MODIFIED)
        assert (found[1].complete, found[1].counts, found[1].until_at) == (True, {"stored": 3}, MODIFIED)
        assert [each.id for each in world.store.certificates(world.site_id, limit=1)] == [ids[1]]

    def test_a_site_without_orders_is_removed_with_its_certificates(self, world: World) -> None:
        made = NewCertificate(
            site_id=world.site_id, from_at=None, until_at=MODIFIED, complete=True, counts={}, findings=[]
        )
        world.store.add_certificate(made)
        assert world.store.remove_site(world.site_id) is Removal.DELETED
        assert world.harness.query("SELECT COUNT(*) FROM rm_certificate") == [(0,)]
