"""Every table of the store in one place, for migrations and for tests that make a fresh one."""

from __future__ import annotations

from sqlmodel import SQLModel

from orchestrator.store import idempotency, tables

TABLE_MODULES = (tables, idempotency)

metadata = SQLModel.metadata
