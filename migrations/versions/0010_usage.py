"""What was read of requests, kept; quiet hours of idle policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    """Take it back."""
    op.drop_table("usage_sample")
