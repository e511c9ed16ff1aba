"""What a database itself says of its schema, in a form that two databases can be compared by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Inspector, inspect

from orchestrator.store.database import Database


def describe_schema(database: Database) -> dict[str, dict[str, Any]]:
    """Return server types, defaults, keys, constraints and indexes of every table."""
    inspector = inspect(database.engine)
    return {name: _describe(inspector, name) for name in inspector.get_table_names()}


def _describe(inspector: Inspector, table: str) -> dict[str, Any]:
    return {
        "columns": {column["name"]: _column(column) for column in inspector.get_columns(table)},
        "primary key": inspector.get_pk_constraint(table),
        "foreign keys": _by_name(inspector.get_foreign_keys(table)),
        "unique": _by_name(inspector.get_unique_constraints(table)),
        "checks": _by_name(inspector.get_check_constraints(table)),
        "indexes": _by_name(inspector.get_indexes(table)),
    }


def _column(column: Any) -> tuple[str, bool, str]:
    return repr(column["type"]), column["nullable"], str(column["default"])


def _by_name(found: Any) -> dict[str, dict[str, str]]:
    return {str(one["name"]): {key: _said(value) for key, value in one.items()} for one in found}


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return str({key: str(part) for key, part in sorted(value.items())})
    return str(value)
