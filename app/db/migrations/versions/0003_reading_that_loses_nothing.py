"""Webhook deliveries, certificates and alerts; how a site's clock and readings stand; bodies with their further parts."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import types

revision = "0003"
down_revision = "0002"

_COLUMNS: dict[str, tuple[tuple[str, Any], ...]] = {
    "rm_sites": (
        ("clock_ahead", sa.Float()),
        ("wide_read_at", types.UtcTime()),
        ("failures", sa.Integer()),
        ("hook_url", sa.String(500)),
        ("hook_secrets", types.LongText),
        ("hooks_next_check", types.UtcTime()),
        ("reconcile_next_run", types.UtcTime()),
    ),
    "rm_inbox": (("completed", types.LongText),),
}
_INDEX = "ix_rm_order_site_id_order_date"
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    """Bring the schema forward."""
    inspector = sa.inspect(op.get_bind())
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    for table, columns in _COLUMNS.items():
        there = {each["name"] for each in inspector.get_columns(table)}
        for name, kind in columns:
            if name not in there:
                op.add_column(table, sa.Column(name, kind, nullable=True))
    if _INDEX not in {each["name"] for each in inspector.get_indexes("rm_order")}:
        op.create_index(_INDEX, "rm_order", ["site_id", "order_date"])
    tables = set(inspector.get_table_names())
    for name, make in (
        ("rm_delivery", _deliveries),
        ("rm_certificate", _certificates),
        ("rm_alert", _alerts),
    ):
        if name not in tables:
            make()


def downgrade() -> None:
    """Take the schema back."""
    for table in ("rm_alert", "rm_certificate", "rm_delivery"):
        op.drop_table(table)
    if op.get_bind().dialect.name not in {"mysql", "mariadb"}:
        # There the foreign key has taken it for its own.
        op.drop_index(_INDEX, "rm_order")
    for table, columns in _COLUMNS.items():
        for name, _ in columns:
            op.drop_column(table, name)


def _deliveries() -> None:
    op.create_table(
        "rm_delivery",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.String(128), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("platform_order_id", sa.String(64), nullable=False),
        sa.Column("received_at", types.UtcTime(), nullable=False),
        sa.Column("next_at", types.UtcTime(), nullable=True),
        sa.Column("rung_at", types.UtcTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", types.UtcTime(), nullable=True),
        sa.Column("lease_token", sa.String(36), nullable=True),
        sa.Column("done_at", types.UtcTime(), nullable=True),
        sa.Column("outcome", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["rm_sites.id"], name=op.f("fk_rm_delivery_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_delivery")),
        sa.UniqueConstraint("site_id", "delivery_id", name=op.f("uq_rm_delivery_site_id_delivery_id")),
        sa.Index(op.f("ix_rm_delivery_next_at"), "next_at"),
        sa.Index(op.f("ix_rm_delivery_site_id_received_at"), "site_id", "received_at"),
        **_OPTIONS,
    )


def _certificates() -> None:
    op.create_table(
        "rm_certificate",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("from_at", types.UtcTime(), nullable=True),
        sa.Column("until_at", types.UtcTime(), nullable=False),
        sa.Column("made_at", types.UtcTime(), nullable=False),
        sa.Column("complete", types.Flag(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["rm_sites.id"], name=op.f("fk_rm_certificate_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_certificate")),
        sa.Index(op.f("ix_rm_certificate_site_id_made_at"), "site_id", "made_at"),
        **_OPTIONS,
    )


def _alerts() -> None:
    op.create_table(
        "rm_alert",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("opened_at", types.UtcTime(), nullable=False),
        sa.Column("closed_at", types.UtcTime(), nullable=True),
        sa.Column("open_key", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["rm_sites.id"], name=op.f("fk_rm_alert_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_alert")),
        sa.UniqueConstraint("open_key", name=op.f("uq_rm_alert_open_key")),
        sa.Index(op.f("ix_rm_alert_closed_at"), "closed_at"),
        **_OPTIONS,
    )
