"""Indexes for what people look for: the platform's id, the ERP's document, and the orders that were amended."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_INDEXES = (
    ("rm_thread", "platform_order_id"),
    ("rm_thread", "amended_version"),
    ("rm_order", "erp_document_number"),
    ("rm_order_archive", "erp_document_number"),
)


def upgrade() -> None:
    """Bring the schema forward."""
    for table, column in _INDEXES:
        name = op.f(f"ix_{table}_{column}")
        # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
        if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(name, table, [column])


def downgrade() -> None:
    """Take the schema back."""
    for table, column in _INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
