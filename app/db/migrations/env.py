"""Alembic's entry: runs the migrations on the connection it was handed."""

from alembic import context

from app.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, transactional_ddl=False, user_module_prefix="types."
)
with context.begin_transaction():
    context.run_migrations()
