"""Expiry of endpoints, and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("endpoint") as batch:
        batch.add_column(sa.Column("expires_at", UtcDateTime(), nullable=True))
        batch.add_column(
            sa.Column("expiry", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
        )
    with op.batch_alter_table("endpoint") as batch:
        batch.alter_column("expiry", existing_type=sa.JSON(), server_default=None)
    with op.batch_alter_table("hold") as batch:
        batch.add_column(
            sa.Column("renewals", sa.Integer(), nullable=False, server_default=sa.text("0"))
        )
        batch.add_column(sa.Column("longest_until", UtcDateTime(), nullable=True))
        batch.add_column(sa.Column("noted_at", UtcDateTime(), nullable=True))
    with op.batch_alter_table("hold") as batch:
        batch.alter_column("renewals", existing_type=sa.Integer(), server_default=None)
    # Holds that ended long ago are no news.
    op.execute(
        "UPDATE hold SET noted_at = until WHERE ended_at IS NULL AND until <= CURRENT_TIMESTAMP"
    )
    op.create_table(
        "expiry_policy",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("default_ttl", sa.String(), nullable=False),
        sa.Column("max_ttl", sa.String(), nullable=False),
        sa.Column("max_extension", sa.String(), nullable=False),
        sa.Column("max_extensions", sa.Integer(), nullable=True),
        sa.Column("warn_before", sa.JSON(), nullable=False),
        sa.Column("delete_grace", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("calendars", sa.JSON(), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("name"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("expiry_policy")
    with op.batch_alter_table("hold") as batch:
        for name in ("renewals", "longest_until", "noted_at"):
            batch.drop_column(name)
    with op.batch_alter_table("endpoint") as batch:
        for name in ("expires_at", "expiry"):
            batch.drop_column(name)
