"""A removed site or ERP that has orders is kept for explanation: `removed_at` says since when. Errors are found by their order."""

import sqlalchemy as sa
from alembic import op

from app.db import types

revision = "0002"
down_revision = "0001"

_INDEX = "ix_rm_error_orders_thread_id"
_TABLES = ("rm_erps", "rm_sites")


def upgrade() -> None:
    """Bring the schema forward."""
    for table in _TABLES:
        # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
        if "removed_at" not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
            op.add_column(table, sa.Column("removed_at", types.UtcTime(), nullable=True))
    if _INDEX not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes("rm_error_orders")}:
        op.create_index(_INDEX, "rm_error_orders", ["thread_id"])


def downgrade() -> None:
    """Take the schema back. What was removed stays inactive, so that nobody reads it again."""
    if op.get_bind().dialect.name not in {"mysql", "mariadb"}:
        # There the foreign key has taken it for its own.
        op.drop_index(_INDEX, "rm_error_orders")
    for table in _TABLES:
        op.drop_column(table, "removed_at")
