"""What alembic runs; the connection is handed over by `serving.store.migrate`."""

from alembic import context

from serving.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional once BEGIN is ours; alembic assumes it is not.
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
