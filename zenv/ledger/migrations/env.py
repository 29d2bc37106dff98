"""Alembic's entry: the connection comes from `migrations.upgrade`, already inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
