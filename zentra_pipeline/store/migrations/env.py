"""What Alembic runs to migrate: on the connection it is handed, in that connection's transaction, and nothing else."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
