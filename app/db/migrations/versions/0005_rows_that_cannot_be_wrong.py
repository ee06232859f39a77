"""States, stages and kinds are words of the program, and an unfinished order or owed step always has a next time.

What is asked for by hand in SQL is refused by the database too. SQLite cannot add a constraint to a table that is there, and a
table that others point to is not to be made anew: there triggers say the same.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.errors import Misconfigured

revision = "0005"
down_revision = "0004"

_STATES = {
    "rm_thread": ("active", "held", "rejected", "skipped", "closed", "done"),
    "rm_step": ("owed", "sending", "in_doubt", "done", "failed", "closed"),
}
_UNFINISHED = {"rm_thread": ("active", "held"), "rm_step": ("owed", "sending", "in_doubt")}
_PLACES = {
    "rm_thread": (
        "stage",
        ("normalize", "verify_skus", "expand_kits", "apply_store_credit", "write", "deliver"),
    ),
    "rm_step": ("kind", ("acknowledge", "export")),
}


def upgrade() -> None:
    """Bring the schema forward."""
    connection = op.get_bind()
    for table, (place, places) in _PLACES.items():
        for column, words in (("state", _STATES[table]), (place, places)):
            _check(connection, table, column, words)
        # Nobody would ever have taken up such a row again; from now on somebody does.
        now = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "timezone('UTC', now())"}
        connection.execute(
            sa.text(
                f"UPDATE {table} SET next_at = {now.get(connection.dialect.name, 'UTC_TIMESTAMP(6)')}"  # noqa: S608
                f" WHERE next_at IS NULL AND state IN ({_list(_UNFINISHED[table])})"
            )
        )
    for table, rules in _rules().items():
        for name, rule in rules.items():
            if connection.dialect.name == "sqlite":
                _forbid(table, name, rule)
            elif name not in _there(connection, table):
                # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
                op.create_check_constraint(name, table, rule)


def downgrade() -> None:
    """Take the schema back."""
    for table, rules in _rules().items():
        for name in rules:
            if op.get_bind().dialect.name == "sqlite":
                for moment in ("insert", "update"):
                    op.execute(f"DROP TRIGGER IF EXISTS {name}_{moment}")
            else:
                op.drop_constraint(name, table, type_="check")


def _rules() -> dict[str, dict[Any, str]]:
    return {
        table: {
            op.f(f"ck_{table}_state"): f"state IN ({_list(_STATES[table])})",
            op.f(f"ck_{table}_{place}"): f"{place} IN ({_list(places)})",
            op.f(f"ck_{table}_next_at"): f"next_at IS NOT NULL OR state NOT IN ({_list(_UNFINISHED[table])})",
        }
        for table, (place, places) in _PLACES.items()
    }


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _check(connection: sa.Connection, table: str, column: str, words: tuple[str, ...]) -> None:
    """Refuse what cannot be mended by a guess."""
    others = f"SELECT DISTINCT {column} FROM {table} WHERE {column} NOT IN ({_list(words)})"  # noqa: S608
    found = [row[0] for row in connection.execute(sa.text(others))]
    if found:
        raise Misconfigured(
            f"In the table {table}, the column {column} holds {', '.join(map(repr, found))}, which this program has never written; "
            f"put these rows right by hand, then run `ordersync migrate` again. Words it knows: {', '.join(words)}."
        )


def _forbid(table: str, name: str, rule: str) -> None:
    for column in ("state", "stage", "kind", "next_at"):
        rule = rule.replace(f"{column} ", f"NEW.{column} ")
    for moment in ("insert", "update"):
        op.execute(
            f"CREATE TRIGGER IF NOT EXISTS {name}_{moment} BEFORE {moment.upper()} ON {table} WHEN NOT ({rule})"
            f" BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {name}'); END"
        )


def _there(connection: sa.Connection, table: str) -> set[str]:
    return {str(each["name"]) for each in sa.inspect(connection).get_check_constraints(table)}
