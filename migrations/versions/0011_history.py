"""What rules were at any time, and what was known of endpoints when they were decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import BIG_ID, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rule_revision",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rule_id", "digest", name="uq_rule_revision"),
    )
    op.create_table(
        "endpoint_facts",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_endpoint_facts_at", "endpoint_facts", ["endpoint_id", "at"])


def downgrade() -> None:
    """Take it back."""
    op.drop_table("endpoint_facts")
    op.drop_table("rule_revision")
