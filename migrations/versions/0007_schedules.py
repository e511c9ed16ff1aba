"""Days off, extra days, cron points and earlier starts of schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LISTS = ("points", "dates", "calendars")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("schedule") as batch:
        for name in LISTS:
            batch.add_column(
                sa.Column(name, sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
            )
    with op.batch_alter_table("schedule") as batch:
        for name in LISTS:
            batch.alter_column(name, existing_type=sa.JSON(), server_default=None)
    op.create_table(
        "point_firing",
        sa.Column("schedule_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("expression", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("hold_id", sa.String(), nullable=True),
        sa.Column("noted_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_point_firing_schedule_id")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_point_firing_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("schedule_id", "endpoint_id", "at", name=op.f("pk_point_firing")),
    )
    op.create_index(op.f("ix_point_firing_endpoint_id"), "point_firing", ["endpoint_id"])
    op.create_index(op.f("ix_point_firing_hold_id"), "point_firing", ["hold_id"])


def downgrade() -> None:
    """Take it back."""
    op.drop_table("point_firing")
    with op.batch_alter_table("schedule") as batch:
        for name in LISTS:
            batch.drop_column(name)
