"""What was read of requests, kept; quiet hours of idle policies; what is held awake."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ADDED: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str]]] = {
    "endpoint": [("held_awake", sa.JSON(), "'{}'")],
    "idle_policy": [
        ("quiet_timezone", sa.String(), "''"),
        ("quiet_windows", sa.JSON(), "'[]'"),
    ],
}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "usage_sample",
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("covered_s", sa.Integer(), nullable=False),
        sa.Column("last_request_at", UtcDateTime(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"]),
        sa.PrimaryKeyConstraint("endpoint_id", "start"),
    )
    op.create_index("ix_usage_sample_start", "usage_sample", ["start"])
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, default in columns:
                batch.add_column(
                    sa.Column(name, kind, nullable=False, server_default=sa.text(default))
                )
        with op.batch_alter_table(table) as batch:
            for name, kind, _ in columns:
                batch.alter_column(name, existing_type=kind, server_default=None)


def downgrade() -> None:
    """Take it back."""
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, _, _ in columns:
                batch.drop_column(name)
    op.drop_table("usage_sample")
