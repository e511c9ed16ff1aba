"""Several clouds: stops by deletion, cost components, calls and what looking costs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Compulsory columns by table, with what the rows that are there already hold in them.
ADDED: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str]]] = {
    "account": [("call_counts", sa.JSON(), "'{}'"), ("usage_watch", sa.JSON(), "'{}'")],
    "endpoint": [
        ("stop", sa.String(), "'pause'"),
        ("to_zero", sa.Boolean(), "true"),
        ("restless", sa.Boolean(), "false"),
        ("extras", sa.JSON(), "'[]'"),
        ("unfinished", sa.String(), "''"),
        ("allow_recreate", sa.Boolean(), "false"),
        ("recreate_terms", sa.JSON(), "'{}'"),
        ("kept", sa.JSON(), "'{}'"),
    ],
    "meter_interval": [("units", sa.Integer(), "1")],
    "offer": [
        ("quota_each", sa.Integer(), "0"),
        ("source", sa.String(), "''"),
        ("component", sa.String(), "'compute'"),
    ],
}
OPTIONAL: dict[str, list[str]] = {
    "account": ["calls_since", "recovered_at"],
    "endpoint": ["looked_at", "kept_at", "stop_sent_at", "gone_at"],
    "meter_interval": [],
    "offer": [],
}
OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Apply."""
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, default in columns:
                batch.add_column(
                    sa.Column(name, kind, nullable=False, server_default=sa.text(default))
                )
            for name in OPTIONAL[table]:
                batch.add_column(sa.Column(name, UtcDateTime(), nullable=True))
        with op.batch_alter_table(table) as batch:
            for name, kind, _ in columns:
                batch.alter_column(name, existing_type=kind, server_default=None)
    _open_index(["endpoint_id", "component"])


def downgrade() -> None:
    """Take back."""
    # The schema before knows no component but compute.
    op.execute("DELETE FROM meter_interval WHERE component <> 'compute'")
    _open_index(["endpoint_id"])
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name in [name for name, _, _ in columns] + OPTIONAL[table]:
                batch.drop_column(name)


def _open_index(columns: list[str]) -> None:
    op.drop_index("uq_meter_open", table_name="meter_interval")
    op.create_index(
        "uq_meter_open",
        "meter_interval",
        columns,
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
