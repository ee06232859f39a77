"""Where a reading that was cut off goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS = ("bookmark", "wide_bookmark")


def upgrade() -> None:
    """Bring the schema forward."""
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    there = {each["name"] for each in sa.inspect(op.get_bind()).get_columns("rm_sites")}
    for name in _COLUMNS:
        if name not in there:
            op.add_column("rm_sites", sa.Column(name, sa.String(255), nullable=True))


def downgrade() -> None:
    """Take the schema back."""
    for name in _COLUMNS:
        op.drop_column("rm_sites", name)
