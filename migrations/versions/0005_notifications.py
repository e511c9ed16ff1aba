"""An outbox for notifications, and where they are sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import BIG_ID, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WAITING = sa.text("expanded_at IS NULL")


def upgrade() -> None:
    """Apply."""
    _create_target()
    _create_notice()
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("notice_seq", sa.BigInteger(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["notice_seq"], ["notice.seq"]),
        sa.ForeignKeyConstraint(["target_id"], ["notification_target.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("notice_seq", "target_id", name="uq_delivery_once"),
    )
    op.create_index("ix_delivery_queue", "delivery", ["target_id", "status", "notice_seq"])
    op.create_index("ix_delivery_sent", "delivery", ["target_id", "delivered_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("delivery")
    op.drop_table("notice")
    op.drop_table("notification_target")


def _create_target() -> None:
    op.create_table(
        "notification_target",
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("id", "name", "kind", "address", "secret_ref", "old_secret_ref")
        ),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("least_severity", sa.String(), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("failing_since", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("blocked_until", UtcDateTime(), nullable=True),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def _create_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("seq", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("endpoint_id", sa.String(), nullable=True),
        sa.Column("operation_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("expanded_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(op.f("ix_notice_at"), "notice", ["at"])
    op.create_index("ix_notice_endpoint", "notice", ["endpoint_id", "seq"])
    op.create_index(
        "ix_notice_waiting", "notice", ["seq"], sqlite_where=WAITING, postgresql_where=WAITING
    )
