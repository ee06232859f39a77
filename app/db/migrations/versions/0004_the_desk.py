"""The desk: sealed events with their payloads apart, repairs, what held orders wait for, and the archive."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import types

revision = "0004"
down_revision = "0003"

_COLUMNS: dict[str, tuple[tuple[str, Any], ...]] = {
    "rm_error_orders": (
        ("resolved_by", sa.String(64)),
        ("resumed", sa.Integer()),
        ("assignee", sa.String(64)),
        ("checked_at", types.UtcTime()),
    ),
    "rm_event": (
        ("number", sa.Integer()),
        ("digest", sa.String(64)),
        ("mac", sa.String(64)),
    ),
    "rm_thread": (
        ("event_count", sa.Integer()),
        ("event_head", sa.String(64)),
        ("skipped_by", sa.String(64)),
        ("archived_at", types.UtcTime()),
        ("erased_at", types.UtcTime()),
    ),
}
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
    tables = set(inspector.get_table_names())
    for name, make in _TABLES.items():
        if name not in tables:
            make()


def downgrade() -> None:
    """Take the schema back."""
    for name in reversed(_TABLES):
        op.drop_table(name)
    for table, columns in _COLUMNS.items():
        for name, _ in columns:
            op.drop_column(table, name)


def _address_archive() -> None:
    op.create_table(
        "rm_address_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(4), nullable=False),
        sa.Column("first_name", sa.String(255), nullable=False),
        sa.Column("last_name", sa.String(255), nullable=False),
        sa.Column("company", sa.String(255), nullable=False),
        sa.Column("address1", sa.String(255), nullable=False),
        sa.Column("address2", sa.String(255), nullable=False),
        sa.Column("city", sa.String(255), nullable=False),
        sa.Column("state", sa.String(255), nullable=False),
        sa.Column("postcode", sa.String(64), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("phone", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_address_archive")),
        sa.Index(op.f("ix_rm_address_archive_order_id"), "order_id"),
        **_OPTIONS,
    )


def _error_orders_archive() -> None:
    op.create_table(
        "rm_error_orders_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.String(80), nullable=False),
        sa.Column("platform_order_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("reason", types.LongText, nullable=False),
        sa.Column("field", sa.String(255), nullable=True),
        sa.Column("document", types.LongText, nullable=True),
        sa.Column("value", types.Exact(), nullable=True),
        sa.Column("currency", sa.String(3), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("opened_at", types.UtcTime(), nullable=False),
        sa.Column("resolved_at", types.UtcTime(), nullable=True),
        sa.Column("resolution", sa.String(255), nullable=True),
        sa.Column("open_key", sa.String(64), nullable=True),
        sa.Column("resolved_by", sa.String(64), nullable=True),
        sa.Column("resumed", sa.Integer(), nullable=True),
        sa.Column("assignee", sa.String(64), nullable=True),
        sa.Column("checked_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_error_orders_archive")),
        sa.Index(op.f("ix_rm_error_orders_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _event_archive() -> None:
    op.create_table(
        "rm_event_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("stage", sa.String(24), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(64), nullable=True),
        sa.Column("mac", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_event_archive")),
        sa.Index(op.f("ix_rm_event_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _inbox_archive() -> None:
    op.create_table(
        "rm_inbox_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("platform_order_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("modified_raw", sa.String(64), nullable=False),
        sa.Column("modified_at", types.UtcTime(), nullable=True),
        sa.Column("read_at", types.UtcTime(), nullable=False),
        sa.Column("body", types.LongText, nullable=False),
        sa.Column("completed", types.LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_inbox_archive")),
        sa.Index(op.f("ix_rm_inbox_archive_site_id_platform_order_id"), "site_id", "platform_order_id"),
        **_OPTIONS,
    )


def _lineitems_archive() -> None:
    op.create_table(
        "rm_lineitems_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_type", sa.SmallInteger(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("sku", sa.String(255), nullable=True),
        sa.Column("name", types.LongText, nullable=False),
        sa.Column("quantity", types.Exact(19, 5), nullable=False),
        sa.Column("listed", types.Exact(), nullable=True),
        sa.Column("amount", types.Exact(), nullable=False),
        sa.Column("credit", types.Exact(), nullable=False),
        sa.Column("nominal", types.Exact(), nullable=False),
        sa.Column("tax", types.Exact(), nullable=False),
        sa.Column("platform_line_id", sa.String(64), nullable=False),
        sa.Column("detail", types.LongText, nullable=False),
        sa.Column("verdict", sa.String(24), nullable=True),
        sa.Column("verified_at", types.UtcTime(), nullable=True),
        sa.Column("imported", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_lineitems_archive")),
        sa.Index(op.f("ix_rm_lineitems_archive_order_id"), "order_id"),
        **_OPTIONS,
    )


def _order_archive() -> None:
    op.create_table(
        "rm_order_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("erp_id", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.String(80), nullable=False),
        sa.Column("external_number", sa.String(80), nullable=False),
        sa.Column("platform_order_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("order_date", types.UtcTime(), nullable=False),
        sa.Column("order_date_raw", sa.String(64), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("subtotal", types.Exact(), nullable=False),
        sa.Column("shipping_total", types.Exact(), nullable=False),
        sa.Column("tax_total", types.Exact(), nullable=False),
        sa.Column("discount_total", types.Exact(), nullable=False),
        sa.Column("store_credit", types.Exact(), nullable=False),
        sa.Column("total", types.Exact(), nullable=False),
        sa.Column("bill_first_name", sa.String(255), nullable=False),
        sa.Column("bill_last_name", sa.String(255), nullable=False),
        sa.Column("bill_email", sa.String(255), nullable=False),
        sa.Column("ship_first_name", sa.String(255), nullable=False),
        sa.Column("ship_last_name", sa.String(255), nullable=False),
        sa.Column("ship_address1", sa.String(255), nullable=False),
        sa.Column("ship_city", sa.String(255), nullable=False),
        sa.Column("ship_state", sa.String(255), nullable=False),
        sa.Column("ship_postcode", sa.String(64), nullable=False),
        sa.Column("ship_country", sa.String(2), nullable=False),
        sa.Column("payment_method", sa.String(100), nullable=False),
        sa.Column("payment_title", sa.String(255), nullable=False),
        sa.Column("trans_id", sa.String(255), nullable=False),
        sa.Column("paid_at", types.UtcTime(), nullable=True),
        sa.Column("klarna", sa.Boolean(), nullable=False),
        sa.Column("stripe", sa.Boolean(), nullable=False),
        sa.Column("paypal", sa.Boolean(), nullable=False),
        sa.Column("customer_note", types.LongText, nullable=False),
        sa.Column("imported", sa.SmallInteger(), nullable=False),
        sa.Column("acknowledged_at", types.UtcTime(), nullable=True),
        sa.Column("exported_at", types.UtcTime(), nullable=True),
        sa.Column("erp_document_id", sa.String(64), nullable=False),
        sa.Column("erp_document_number", sa.String(64), nullable=False),
        sa.Column("erp_customer_number", sa.String(64), nullable=False),
        sa.Column("erp_total", types.Exact(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_order_archive")),
        sa.Index(op.f("ix_rm_order_archive_external_number"), "external_number"),
        sa.Index(op.f("ix_rm_order_archive_order_number"), "order_number"),
        sa.Index(op.f("ix_rm_order_archive_site_id_order_date"), "site_id", "order_date"),
        sa.Index(op.f("ix_rm_order_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _payload_archive() -> None:
    op.create_table(
        "rm_payload_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", types.LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_payload_archive")),
        sa.Index(op.f("ix_rm_payload_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _repair_archive() -> None:
    op.create_table(
        "rm_repair_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.String(8), nullable=False),
        sa.Column("pointer", sa.String(255), nullable=False),
        sa.Column("before", types.LongText, nullable=False),
        sa.Column("after", types.LongText, nullable=False),
        sa.Column("context", sa.String(64), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("reason", types.LongText, nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("ended_at", types.UtcTime(), nullable=True),
        sa.Column("ended", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_repair_archive")),
        sa.Index(op.f("ix_rm_repair_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _secret() -> None:
    op.create_table(
        "rm_secret",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", types.LongText, nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_secret")),
        sa.UniqueConstraint("name", name=op.f("uq_rm_secret_name")),
        **_OPTIONS,
    )


def _step_archive() -> None:
    op.create_table(
        "rm_step_archive",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("waiting_since", types.UtcTime(), nullable=True),
        sa.Column("intent_at", types.UtcTime(), nullable=True),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("document_number", sa.String(64), nullable=False),
        sa.Column("done_at", types.UtcTime(), nullable=True),
        sa.Column("next_at", types.UtcTime(), nullable=True),
        sa.Column("rung_at", types.UtcTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("unsettled", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", types.UtcTime(), nullable=True),
        sa.Column("lease_token", sa.String(36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_step_archive")),
        sa.Index(op.f("ix_rm_step_archive_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _payload() -> None:
    op.create_table(
        "rm_payload",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", types.LongText, nullable=True),
        sa.ForeignKeyConstraint(["thread_id"], ["rm_thread.id"], name=op.f("fk_rm_payload_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_payload")),
        sa.UniqueConstraint("thread_id", "number", name=op.f("uq_rm_payload_thread_id_number")),
        **_OPTIONS,
    )


def _repair() -> None:
    op.create_table(
        "rm_repair",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.String(8), nullable=False),
        sa.Column("pointer", sa.String(255), nullable=False),
        sa.Column("before", types.LongText, nullable=False),
        sa.Column("after", types.LongText, nullable=False),
        sa.Column("context", sa.String(64), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("reason", types.LongText, nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("ended_at", types.UtcTime(), nullable=True),
        sa.Column("ended", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["rm_thread.id"], name=op.f("fk_rm_repair_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_repair")),
        sa.Index(op.f("ix_rm_repair_thread_id"), "thread_id"),
        **_OPTIONS,
    )


def _wait() -> None:
    op.create_table(
        "rm_wait",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("erp_id", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["erp_id"], ["rm_erps.id"], name=op.f("fk_rm_wait_erp_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["rm_thread.id"], name=op.f("fk_rm_wait_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rm_wait")),
        sa.UniqueConstraint("thread_id", "sku", name=op.f("uq_rm_wait_thread_id_sku")),
        sa.Index(op.f("ix_rm_wait_erp_id_sku"), "erp_id", "sku"),
        **_OPTIONS,
    )


_TABLES: dict[str, Callable[[], None]] = {
    "rm_address_archive": _address_archive,
    "rm_error_orders_archive": _error_orders_archive,
    "rm_event_archive": _event_archive,
    "rm_inbox_archive": _inbox_archive,
    "rm_lineitems_archive": _lineitems_archive,
    "rm_order_archive": _order_archive,
    "rm_payload_archive": _payload_archive,
    "rm_repair_archive": _repair_archive,
    "rm_secret": _secret,
    "rm_step_archive": _step_archive,
    "rm_payload": _payload,
    "rm_repair": _repair,
    "rm_wait": _wait,
}
