"""Ended holds and leases are found by their end, so that many of them cost a pass nothing."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_hold_ends", "hold", ["endpoint_id", "ended_at", "until"])
    op.create_index("ix_hold_lapsing", "hold", ["ended_at", "noted_at", "until"])
    op.drop_index("ix_hold_endpoint_id", table_name="hold")


def downgrade() -> None:
    """Take it back."""
    op.create_index("ix_hold_endpoint_id", "hold", ["endpoint_id"])
    op.drop_index("ix_hold_lapsing", table_name="hold")
    op.drop_index("ix_hold_ends", table_name="hold")
