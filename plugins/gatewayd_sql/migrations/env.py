"""What Alembic runs: the steps inside the transaction that it is given."""

from alembic import context

from gatewayd_sql.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
