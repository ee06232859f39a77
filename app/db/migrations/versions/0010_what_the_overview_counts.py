"""An index for what the overview counts: the orders that were exported in the last hours. When they were first seen has one already."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_INDEX = "ix_rm_order_exported_at"


def upgrade() -> None:
    """Bring the schema forward."""
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    if not _is_there():
        op.create_index(_INDEX, "rm_order", ["exported_at"])


def downgrade() -> None:
    """Take the schema back."""
    if _is_there():
        op.drop_index(_INDEX, "rm_order")


def _is_there() -> bool:
    return _INDEX in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes("rm_order")}
