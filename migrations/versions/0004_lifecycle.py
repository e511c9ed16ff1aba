"""Deletions with grace, calls that may still land, operations that are stuck."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Compulsory columns by table, with what the rows that are there already hold in them.
ADDED: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str]]] = {
    "endpoint": [("tombstone", sa.JSON(), "'{}'")],
    "operation": [("cloud_state", sa.String(), "''"), ("cloud_message", sa.String(), "''")],
}
OPTIONAL: dict[str, list[tuple[str, sa.types.TypeEngine[Any]]]] = {
    "endpoint": [("landing_until", UtcDateTime()), ("delete_after", UtcDateTime())],
    "operation": [
        ("stuck_since", UtcDateTime()),
        ("usual_s", sa.Integer()),
        ("bulk_id", sa.String()),
    ],
}


def upgrade() -> None:
    """Apply."""
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, default in columns:
                batch.add_column(
                    sa.Column(name, kind, nullable=False, server_default=sa.text(default))
                )
            for name, kind in OPTIONAL[table]:
                batch.add_column(sa.Column(name, kind, nullable=True))
        with op.batch_alter_table(table) as batch:
            for name, kind, _ in columns:
                batch.alter_column(name, existing_type=kind, server_default=None)
    op.create_index("ix_operation_bulk_id", "operation", ["bulk_id"])
    op.create_table(
        "bulk_preview",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
    )
    op.create_index("ix_bulk_preview_made_at", "bulk_preview", ["made_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("bulk_preview")
    op.drop_index("ix_operation_bulk_id", table_name="operation")
    for table, columns in ADDED.items():
        names = [name for name, *_ in columns] + [name for name, _ in OPTIONAL[table]]
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.drop_column(name)
