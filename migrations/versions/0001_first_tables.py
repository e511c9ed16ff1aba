"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.store.types import BIG_ID, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("credential_ref", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.Column("frozen_at", UtcDateTime(), nullable=True),
        sa.Column("frozen_by", sa.String(), nullable=False),
        sa.Column("frozen_reason", sa.String(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("observed_at", UtcDateTime(), nullable=True),
        sa.Column("next_observe_at", UtcDateTime(), nullable=True),
        sa.Column("rates_at", UtcDateTime(), nullable=True),
        sa.Column("health", sa.String(), nullable=False),
        sa.Column("health_detail", sa.String(), nullable=False),
        sa.Column("health_since", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("endpoint_count", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_token_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_api_token_name")),
    )
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("endpoint_id", sa.String(), nullable=True),
        sa.Column("operation_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_at"), ["at"], unique=False)
        batch_op.create_index("ix_event_endpoint", ["endpoint_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_kind"), ["kind"], unique=False)

    op.create_table(
        "idempotent_answer",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=True),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotent_answer")),
    )
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotent_answer_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "idle_policy",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timeout_minutes", sa.Integer(), nullable=False),
        sa.Column("min_awake_minutes", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("effective_from", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idle_policy")),
        sa.UniqueConstraint("name", name=op.f("uq_idle_policy_name")),
    )
    op.create_table(
        "schedule",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("windows", sa.JSON(), nullable=False),
        sa.Column("drain_minutes", sa.Integer(), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("applied_now", sa.JSON(), nullable=False),
        sa.Column("effective_from", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("name", name=op.f("uq_schedule_name")),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "endpoint",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("managed_since", UtcDateTime(), nullable=True),
        sa.Column("observe_only", sa.String(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("cloud_state", sa.String(), nullable=False),
        sa.Column("status_since", UtcDateTime(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("hardware_key", sa.String(), nullable=False),
        sa.Column("accelerator", sa.String(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("access", sa.String(), nullable=False),
        sa.Column("min_replicas", sa.Integer(), nullable=True),
        sa.Column("max_replicas", sa.Integer(), nullable=True),
        sa.Column("scale_to_zero_minutes", sa.Integer(), nullable=True),
        sa.Column("ready_replicas", sa.Integer(), nullable=True),
        sa.Column("target_replicas", sa.Integer(), nullable=True),
        sa.Column("billed_low", sa.Integer(), nullable=False),
        sa.Column("billed_expected", sa.Integer(), nullable=False),
        sa.Column("billed_high", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=False),
        sa.Column("missing_since", UtcDateTime(), nullable=True),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("cloud_created_at", UtcDateTime(), nullable=True),
        sa.Column("cloud_created_by", sa.String(), nullable=False),
        sa.Column("cloud_updated_at", UtcDateTime(), nullable=True),
        sa.Column("cloud_updated_by", sa.String(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("ready_at", UtcDateTime(), nullable=True),
        sa.Column("resumed_at", UtcDateTime(), nullable=True),
        sa.Column("wish", sa.String(), nullable=False),
        sa.Column("wish_reason", sa.String(), nullable=False),
        sa.Column("wish_actor", sa.String(), nullable=False),
        sa.Column("wish_at", UtcDateTime(), nullable=True),
        sa.Column("spec_version", sa.Integer(), nullable=False),
        sa.Column("asleep_rule", sa.String(), nullable=False),
        sa.Column("asleep_since", UtcDateTime(), nullable=True),
        sa.Column("scaling_before_pause", sa.JSON(), nullable=False),
        sa.Column("decided_wish", sa.String(), nullable=False),
        sa.Column("decided_rule", sa.String(), nullable=False),
        sa.Column("decided_reason", sa.String(), nullable=False),
        sa.Column("next_edge_at", UtcDateTime(), nullable=True),
        sa.Column("next_edge_wish", sa.String(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opposed", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_endpoint_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
        sa.UniqueConstraint("account_id", "name", "generation", name="uq_endpoint_name"),
    )
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_endpoint_account_id"), ["account_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_endpoint_hardware_key"), ["hardware_key"], unique=False
        )
        batch_op.create_index("ix_endpoint_live", ["account_id", "deleted_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_endpoint_name"), ["name"], unique=False)
        batch_op.create_index("ix_endpoint_status", ["status"], unique=False)

    op.create_table(
        "offer",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("hardware_key", sa.String(), nullable=False),
        sa.Column("accelerator", sa.String(), nullable=False),
        sa.Column("accelerators", sa.Integer(), nullable=False),
        sa.Column("memory_gb", sa.String(), nullable=False),
        sa.Column("accelerator_memory_gb", sa.String(), nullable=False),
        sa.Column("architecture", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("nano_per_hour", sa.BigInteger(), nullable=True),
        sa.Column("quota_max", sa.Integer(), nullable=True),
        sa.Column("quota_used", sa.Integer(), nullable=True),
        sa.Column("read_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_offer_account_id")),
        sa.PrimaryKeyConstraint("account_id", "hardware_key", name=op.f("pk_offer")),
    )
    op.create_table(
        "rate",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("hardware_key", sa.String(), nullable=False),
        sa.Column("nano_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_rate_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate")),
        sa.UniqueConstraint("account_id", "hardware_key", "effective_at", name="uq_rate"),
    )
    with op.batch_alter_table("rate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rate_account_id"), ["account_id"], unique=False)

    op.create_table(
        "web_session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("csrf_digest", sa.String(), nullable=False),
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"], ["api_token.id"], name=op.f("fk_web_session_token_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
    )
    with op.batch_alter_table("web_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_web_session_token_id"), ["token_id"], unique=False)

    op.create_table(
        "binding",
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("rule_kind", sa.String(), nullable=False),
        sa.Column("matched_at", UtcDateTime(), nullable=False),
        sa.Column("acts_from", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_binding_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("rule_id", "endpoint_id", name=op.f("pk_binding")),
    )
    with op.batch_alter_table("binding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_binding_endpoint_id"), ["endpoint_id"], unique=False)

    op.create_table(
        "hold",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("wish", sa.String(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name=op.f("fk_hold_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hold_endpoint_id"), ["endpoint_id"], unique=False)

    op.create_table(
        "label",
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_label_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "key", name=op.f("pk_label")),
    )
    with op.batch_alter_table("label", schema=None) as batch_op:
        batch_op.create_index("ix_label_key_value", ["key", "value"], unique=False)

    op.create_table(
        "meter_interval",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("hardware_key", sa.String(), nullable=False),
        sa.Column("rate_id", sa.String(), nullable=True),
        sa.Column("replicas_low", sa.Integer(), nullable=False),
        sa.Column("replicas", sa.Integer(), nullable=False),
        sa.Column("replicas_high", sa.Integer(), nullable=False),
        sa.Column("burn_low", sa.BigInteger(), nullable=True),
        sa.Column("burn", sa.BigInteger(), nullable=True),
        sa.Column("burn_high", sa.BigInteger(), nullable=True),
        sa.Column("rounding_nano", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_meter_interval_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_meter_interval_endpoint_id")
        ),
        sa.ForeignKeyConstraint(["rate_id"], ["rate.id"], name=op.f("fk_meter_interval_rate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_interval")),
    )
    with op.batch_alter_table("meter_interval", schema=None) as batch_op:
        batch_op.create_index(
            "ix_meter_endpoint_start", ["endpoint_id", "started_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_meter_interval_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index("ix_meter_span", ["started_at", "ended_at"], unique=False)
        batch_op.create_index(
            "uq_meter_open",
            ["endpoint_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "operation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=True),
        sa.Column("endpoint_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("superseded_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_operation_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_operation_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        sa.UniqueConstraint("actor", "idempotency_key", name="uq_operation_idempotency"),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index("ix_operation_account_status", ["account_id", "status"], unique=False)
        batch_op.create_index(batch_op.f("ix_operation_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_operation_endpoint_id"), ["endpoint_id"], unique=False)
        batch_op.create_index(
            "uq_operation_active",
            ["endpoint_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('pending', 'running', 'confirming')"),
            postgresql_where=sa.text("status IN ('pending', 'running', 'confirming')"),
        )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_operation_active",
            sqlite_where=sa.text("status IN ('pending', 'running', 'confirming')"),
            postgresql_where=sa.text("status IN ('pending', 'running', 'confirming')"),
        )
        batch_op.drop_index(batch_op.f("ix_operation_endpoint_id"))
        batch_op.drop_index(batch_op.f("ix_operation_created_at"))
        batch_op.drop_index("ix_operation_account_status")

    op.drop_table("operation")
    with op.batch_alter_table("meter_interval", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_meter_open",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_meter_span")
        batch_op.drop_index(batch_op.f("ix_meter_interval_account_id"))
        batch_op.drop_index("ix_meter_endpoint_start")

    op.drop_table("meter_interval")
    with op.batch_alter_table("label", schema=None) as batch_op:
        batch_op.drop_index("ix_label_key_value")

    op.drop_table("label")
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hold_endpoint_id"))

    op.drop_table("hold")
    with op.batch_alter_table("binding", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_binding_endpoint_id"))

    op.drop_table("binding")
    with op.batch_alter_table("web_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_web_session_token_id"))

    op.drop_table("web_session")
    with op.batch_alter_table("rate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rate_account_id"))

    op.drop_table("rate")
    op.drop_table("offer")
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.drop_index("ix_endpoint_status")
        batch_op.drop_index(batch_op.f("ix_endpoint_name"))
        batch_op.drop_index("ix_endpoint_live")
        batch_op.drop_index(batch_op.f("ix_endpoint_hardware_key"))
        batch_op.drop_index(batch_op.f("ix_endpoint_account_id"))

    op.drop_table("endpoint")
    op.drop_table("setting")
    op.drop_table("schedule")
    op.drop_table("idle_policy")
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotent_answer_created_at"))

    op.drop_table("idempotent_answer")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_kind"))
        batch_op.drop_index("ix_event_endpoint")
        batch_op.drop_index(batch_op.f("ix_event_at"))
        batch_op.drop_index(batch_op.f("ix_event_account_id"))

    op.drop_table("event")
    op.drop_table("api_token")
    op.drop_table("account")
