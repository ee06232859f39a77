"""Alerts by rules of people, whom they are told, and an index of when orders were first seen.

An alert need not be about a site any more. SQLite cannot change that in place, so there the table, which nobody points to yet, is
made anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import types

revision = "0008"
down_revision = "0007"

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("subject", sa.String(255)),
    ("clear_since", types.UtcTime()),
    ("told_at", types.UtcTime()),
    ("told_over_at", types.UtcTime()),
)
_INDEX = "ix_rm_thread_created_at_site_id"


def upgrade() -> None:
    """Bring the schema forward."""
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    inspector = sa.inspect(op.get_bind())
    there = {each["name"]: each for each in inspector.get_columns("rm_alert")}
    for name, kind in _COLUMNS:
        if name not in there:
            op.add_column("rm_alert", sa.Column(name, kind, nullable=True))
    if not there["site_id"]["nullable"]:
        _let_site_be_empty(nullable=True)
    if _INDEX not in {each["name"] for each in inspector.get_indexes("rm_thread")}:
        op.create_index(_INDEX, "rm_thread", ["created_at", "site_id"])
    tables = set(inspector.get_table_names())
    for name, (columns, constraints, indexes) in _tables().items():
        if name not in tables:
            op.create_table(
                name,
                sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
                *columns,
                sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
                *constraints,
                **_OPTIONS,
            )
        found = {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(name)}
        for column in indexes:
            if op.f(f"ix_{name}_{column}") not in found:
                op.create_index(op.f(f"ix_{name}_{column}"), name, [column])


def downgrade() -> None:
    """Take the schema back."""
    for name in reversed(_tables()):
        op.drop_table(name)
    op.drop_index(_INDEX, "rm_thread")
    # What is not about a site cannot be said any more.
    op.execute("DELETE FROM rm_alert WHERE site_id IS NULL")
    _let_site_be_empty(nullable=False)
    for name, _ in _COLUMNS:
        op.drop_column("rm_alert", name)


def _let_site_be_empty(*, nullable: bool) -> None:
    op.execute("DROP TABLE IF EXISTS _alembic_tmp_rm_alert")
    with op.batch_alter_table("rm_alert") as table:
        table.alter_column("site_id", existing_type=sa.Integer(), nullable=nullable)


def _tables() -> dict[str, tuple[list[Any], list[Any], list[str]]]:
    return {
        "rm_alert_rule": (
            [
                sa.Column("kind", sa.String(32), nullable=False),
                sa.Column("enabled", types.Flag(), nullable=False),
                sa.Column("threshold", types.Exact(places=0), nullable=True),
                sa.Column("currency", sa.String(3), nullable=False),
                sa.Column("for_minutes", sa.Integer(), nullable=False),
                sa.Column("severity", sa.String(16), nullable=False),
                sa.Column("quiet_from", sa.String(5), nullable=False),
                sa.Column("quiet_to", sa.String(5), nullable=False),
                sa.Column("quiet_zone", sa.String(64), nullable=False),
            ],
            [sa.UniqueConstraint("kind", name=op.f("uq_rm_alert_rule_kind"))],
            [],
        ),
        "rm_alert_target": (
            [
                sa.Column("name", sa.String(64), nullable=False),
                sa.Column("url", types.LongText, nullable=False),
                sa.Column("hint", sa.String(255), nullable=False),
                sa.Column("enabled", types.Flag(), nullable=False),
                sa.Column("kinds", sa.String(500), nullable=False),
                sa.Column("created_at", types.UtcTime(), nullable=False),
                sa.Column("created_by", sa.String(64), nullable=False),
            ],
            [sa.UniqueConstraint("name", name=op.f("uq_rm_alert_target_name"))],
            [],
        ),
        "rm_alert_notice": (
            [
                sa.Column("alert_id", sa.Integer(), nullable=False),
                sa.Column("target_id", sa.Integer(), nullable=True),
                sa.Column("target", sa.String(64), nullable=False),
                sa.Column("what", sa.String(8), nullable=False),
                sa.Column("made_at", types.UtcTime(), nullable=False),
                sa.Column("next_at", types.UtcTime(), nullable=True),
                sa.Column("told_at", types.UtcTime(), nullable=True),
                sa.Column("attempts", sa.Integer(), nullable=False),
                sa.Column("outcome", sa.String(1000), nullable=False),
                sa.Column("lease_until", types.UtcTime(), nullable=True),
                sa.Column("lease_token", sa.String(36), nullable=True),
            ],
            [
                sa.ForeignKeyConstraint(
                    ["alert_id"], ["rm_alert.id"], name=op.f("fk_rm_alert_notice_alert_id_rm_alert")
                ),
                sa.ForeignKeyConstraint(
                    ["target_id"],
                    ["rm_alert_target.id"],
                    name=op.f("fk_rm_alert_notice_target_id_rm_alert_target"),
                ),
                sa.UniqueConstraint(
                    "alert_id", "target_id", "what", name=op.f("uq_rm_alert_notice_alert_id_target_id_what")
                ),
            ],
            ["next_at", "target_id"],
        ),
    }
