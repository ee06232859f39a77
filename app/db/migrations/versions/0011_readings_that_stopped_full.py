"""Whether a reading stopped at the most orders that a run may bring."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Bring the schema forward."""
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    if "is_full" not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns("rm_run")}:
        op.add_column("rm_run", sa.Column("is_full", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take the schema back."""
    op.drop_column("rm_run", "is_full")
