"""People with accounts, programs with tokens, and the record of what they did."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import types

revision = "0007"
down_revision = "0006"

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    """Bring the schema forward."""
    # MariaDB commits each change by itself: a migration that was cut off goes on where it stopped.
    there = set(sa.inspect(op.get_bind()).get_table_names())
    for name, (columns, constraints, indexes) in _tables().items():
        if name not in there:
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


def _tables() -> dict[str, tuple[list[Any], list[Any], list[str]]]:
    return {
        "rm_user": (
            [
                sa.Column("name", sa.String(64), nullable=False),
                sa.Column("role", sa.String(16), nullable=False),
                sa.Column("is_active", types.Flag(), nullable=False),
                sa.Column("password", sa.String(255), nullable=True),
                sa.Column("failures", sa.Integer(), nullable=False),
                sa.Column("locked_until", types.UtcTime(), nullable=True),
                sa.Column("created_at", types.UtcTime(), nullable=False),
                sa.Column("created_by", sa.String(64), nullable=False),
                sa.Column("last_login_at", types.UtcTime(), nullable=True),
            ],
            [sa.UniqueConstraint("name", name=op.f("uq_rm_user_name"))],
            [],
        ),
        "rm_session": (
            [
                sa.Column("user_id", sa.Integer(), nullable=False),
                sa.Column("kind", sa.String(16), nullable=False),
                sa.Column("digest", sa.String(64), nullable=False),
                sa.Column("created_at", types.UtcTime(), nullable=False),
                sa.Column("seen_at", types.UtcTime(), nullable=False),
                sa.Column("expires_at", types.UtcTime(), nullable=False),
            ],
            [
                sa.ForeignKeyConstraint(
                    ["user_id"], ["rm_user.id"], name=op.f("fk_rm_session_user_id_rm_user")
                ),
                sa.UniqueConstraint("digest", name=op.f("uq_rm_session_digest")),
            ],
            ["user_id", "expires_at"],
        ),
        "rm_token": (
            [
                sa.Column("name", sa.String(64), nullable=False),
                sa.Column("digest", sa.String(64), nullable=False),
                sa.Column("hint", sa.String(16), nullable=False),
                sa.Column("scopes", sa.String(255), nullable=False),
                sa.Column("created_at", types.UtcTime(), nullable=False),
                sa.Column("created_by", sa.String(64), nullable=False),
                sa.Column("expires_at", types.UtcTime(), nullable=True),
                sa.Column("last_used_at", types.UtcTime(), nullable=True),
                sa.Column("revoked_at", types.UtcTime(), nullable=True),
                sa.Column("open_name", sa.String(64), nullable=True),
            ],
            [
                sa.UniqueConstraint("digest", name=op.f("uq_rm_token_digest")),
                sa.UniqueConstraint("open_name", name=op.f("uq_rm_token_open_name")),
            ],
            [],
        ),
        "rm_action": (
            [
                sa.Column("at", types.UtcTime(), nullable=False),
                sa.Column("by", sa.String(80), nullable=False),
                sa.Column("via", sa.String(8), nullable=False),
                sa.Column("action", sa.String(64), nullable=False),
                sa.Column("target", sa.String(255), nullable=False),
                sa.Column("detail", sa.JSON(), nullable=False),
                sa.Column("outcome", sa.String(1000), nullable=False),
            ],
            [],
            [],
        ),
        "rm_idempotency": (
            [
                sa.Column("token_id", sa.Integer(), nullable=False),
                sa.Column("key", sa.String(64), nullable=False),
                sa.Column("request", sa.String(64), nullable=False),
                sa.Column("status", sa.Integer(), nullable=True),
                sa.Column("body", types.LongText, nullable=False),
                sa.Column("expires_at", types.UtcTime(), nullable=False),
            ],
            [
                sa.ForeignKeyConstraint(
                    ["token_id"], ["rm_token.id"], name=op.f("fk_rm_idempotency_token_id_rm_token")
                ),
                sa.UniqueConstraint("token_id", "key", name=op.f("uq_rm_idempotency_token_id_key")),
            ],
            ["expires_at"],
        ),
    }
