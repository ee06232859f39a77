"""Alembic's entry: runs the migrations on the connection it was handed."""

from typing import Any

from alembic import context
from alembic.operations import ops

from app.db.tables import metadata


def _tables_take_their_indexes_along(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Leave out of a new revision the dropping of indexes whose table is dropped: MariaDB refuses it where a foreign key needs one."""
    for script in directives:
        changes = script.downgrade_ops.ops
        dropped = {each.table_name for each in changes if isinstance(each, ops.DropTableOp)}
        script.downgrade_ops.ops = [
            each
            for each in changes
            if not isinstance(each, ops.ModifyTableOps) or each.table_name not in dropped
        ]


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=False,
    user_module_prefix="types.",
    process_revision_directives=_tables_take_their_indexes_along,
)
with context.begin_transaction():
    context.run_migrations()
