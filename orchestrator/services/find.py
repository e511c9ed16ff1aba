"""From what a person writes, an id or a name, to the row; or an error that says what to try."""

from __future__ import annotations

from sqlmodel import Session

from orchestrator.services.errors import not_found
from orchestrator.store import accounts, endpoints, operations
from orchestrator.store.tables import Account, Endpoint, Operation


def account(session: Session, ref: str) -> Account:
    """Return an account by id or name. Raises ServiceError 404."""
    found = accounts.get(session, ref) or accounts.by_name(session, ref)
    if found is None:
        raise not_found("account", ref, "List them with GET /v1/accounts.")
    return found


def endpoint(session: Session, ref: str) -> Endpoint:
    """Return an endpoint by id or `account/name`, deleted ones too. Raises ServiceError 404."""
    account_name, slash, name = ref.rpartition("/")
    named = endpoints.by_name(session, account_name, name) if slash else None
    found = named if slash else endpoints.get(session, ref)
    if found is None:
        raise not_found("endpoint", ref, "Give its id, or account-name/endpoint-name.")
    return found


def operation(session: Session, ref: str) -> Operation:
    """Return an operation by id. Raises ServiceError 404."""
    found = operations.get(session, ref)
    if found is None:
        raise not_found("operation", ref, "List them with GET /v1/operations.")
    return found
