"""Run by Alembic for every command; `orchestrator.store.migrate` opens the connection."""

from __future__ import annotations

from alembic import context

from orchestrator.store.metadata import metadata
from orchestrator.store.migrate import comparison


def run() -> None:
    """Run the migrations in the transaction of the connection that was handed over."""
    connection = context.config.attributes.get("connection")
    if connection is None or context.is_offline_mode():
        raise RuntimeError("start migrations with: orchestrator db upgrade")
    # Batch mode is written for both databases and rebuilds tables on SQLite alone.
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, **comparison()
    )
    with context.begin_transaction():
        context.run_migrations()


run()
