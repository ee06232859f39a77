"""What no row may be, whoever writes it: promised by every database's schema."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError

from app.db.migrate import is_current, migrate, take_back
from app.db.tables import steps, threads
from app.domain.road import Stage
from app.errors import Misconfigured
from tests.contracts.store import START, World
from tests.db.harness import SqlHarness, harness_on

REFUSED = {
    "an unknown state of an order": "UPDATE rm_thread SET state = 'lost'",
    "an unknown stage of an order": "UPDATE rm_thread SET stage = 'nowhere'",
    "an order in motion without a next time": "UPDATE rm_thread SET next_at = NULL",
    "a held order without a next time": "UPDATE rm_thread SET state = 'held', next_at = NULL",
    "an unknown state of a step": "UPDATE rm_step SET state = 'active'",
    "an unknown kind of step": "UPDATE rm_step SET kind = 'telegram' WHERE kind = 'export'",
    "an owed step without a next time": "UPDATE rm_step SET next_at = NULL",
    "a step in doubt without a next time": "UPDATE rm_step SET state = 'in_doubt', next_at = NULL",
    "a new order in an unknown state": (
        "INSERT INTO rm_thread (site_id, platform_order_id, order_number, version, content_hash, read_at, stage, state, reason,"
        " hold_kind, fresh, next_at, attempts, unsettled, fence, created_at, updated_at)"
        " SELECT site_id, 'x', '', 1, '', read_at, stage, 'new', '', '', fresh, next_at, 0, 0, 0, created_at, updated_at"
        " FROM rm_thread"
    ),
}


class RulesContract:
    """A subclass gives `harness`."""

    @pytest.fixture
    def harness(self) -> SqlHarness:
        raise NotImplementedError

    @pytest.mark.parametrize("_case", REFUSED)
    def test_the_database_refuses(self, harness: SqlHarness, _case: str) -> None:
        world = World(harness)
        world.at(Stage.DELIVER, "1")
        everything = "SELECT * FROM rm_thread", "SELECT * FROM rm_step"
        before = [harness.query(each) for each in everything]
        assert all(before)
        with pytest.raises(DBAPIError, match="ck_rm_"):
            harness.execute(REFUSED[_case])
        assert [harness.query(each) for each in everything] == before

    def test_an_end_needs_no_next_time(self, harness: SqlHarness) -> None:
        world = World(harness)
        world.at(Stage.DELIVER, "1")
        harness.execute("UPDATE rm_thread SET state = 'skipped', next_at = NULL")
        harness.execute("UPDATE rm_step SET state = 'closed', next_at = NULL")
        assert harness.query("SELECT state, next_at FROM rm_thread") == [("skipped", None)]


class MendingContract:
    """What becomes of rows from before the rules. A subclass gives `empty_engine`."""

    @pytest.fixture
    def empty_engine(self) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    def old(self, empty_engine: Engine) -> Engine:
        """The schema before the rules, with an order in it."""
        migrate(empty_engine)
        with harness_on(empty_engine.url.render_as_string(hide_password=False)) as harness:
            World(harness).at(Stage.DELIVER, "1")
        take_back(empty_engine, revision="0004")
        return empty_engine

    def test_an_unfinished_row_without_a_next_time_gets_one(self, old: Engine) -> None:
        with old.begin() as connection:
            connection.execute(text("UPDATE rm_thread SET next_at = NULL"))
            connection.execute(text("UPDATE rm_step SET next_at = NULL WHERE kind = 'export'"))
        migrate(old)
        assert is_current(old)
        with old.connect() as connection:
            (of_order,) = connection.execute(select(threads.c.next_at)).scalars()
            of_steps = connection.execute(select(steps.c.next_at).order_by(steps.c.kind)).scalars().all()
        untouched, mended = of_steps
        assert untouched == START
        for each in (of_order, mended):
            assert abs((datetime.now(UTC) - each).total_seconds()) < 300

    def test_a_word_that_nobody_knows_is_named_and_nothing_is_changed(self, old: Engine) -> None:
        with old.begin() as connection:
            connection.execute(text("UPDATE rm_step SET state = 'paused' WHERE kind = 'export'"))
        with pytest.raises(Misconfigured) as refused:
            migrate(old)
        assert refused.value.reason == (
            "In the table rm_step, the column state holds 'paused', which this program has never written; put these rows right "
            "by hand, then run `ordersync migrate` again. Words it knows: owed, sending, in_doubt, done, failed, closed."
        )
        assert not is_current(old)
        with old.begin() as connection:
            connection.execute(text("UPDATE rm_step SET state = 'owed' WHERE kind = 'export'"))
        migrate(old)
        assert is_current(old)

    def test_a_migration_that_was_cut_off_between_two_rules_goes_on(self, old: Engine) -> None:
        migrate(old)
        with old.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
            if old.dialect.name == "sqlite":
                connection.execute(text("DROP TRIGGER ck_rm_step_kind_update"))
            else:
                connection.execute(text("ALTER TABLE rm_step DROP CONSTRAINT ck_rm_step_kind"))
        migrate(old)
        with pytest.raises(DBAPIError, match="ck_rm_step_kind"), old.begin() as connection:
            connection.execute(text("UPDATE rm_step SET kind = 'telegram' WHERE kind = 'export'"))

    def test_the_rules_go_with_the_schema_that_brought_them(self, old: Engine) -> None:
        migrate(old)
        take_back(old, revision="0004")
        with old.begin() as connection:
            connection.execute(text("UPDATE rm_step SET kind = 'telegram' WHERE kind = 'export'"))
