"""Who a token is and what it may do here, from the Hub's `whoami-v2`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.providers.base import Identity, Right

WRITE_RIGHT = "inference.endpoints.write"


def read_identity(raw: Mapping[str, Any], namespace: str) -> Identity:
    """Return the identity as seen from one namespace, with what will stand in the way there."""
    name = _text(raw, "name")
    orgs = [org for org in _list(raw, "orgs") if isinstance(org, Mapping)]
    owner = raw if namespace == name else _org(orgs, namespace)
    can_pay = owner.get("canPay") if owner is not None else None
    token = _token(raw)
    return Identity(
        name=name,
        kind=_text(raw, "type"),
        namespaces=(name, *(_text(org, "name") for org in orgs)),
        role=_text(token, "role"),
        can_pay=can_pay if isinstance(can_pay, bool) else None,
        problems=tuple(_problems(owner, token, namespace)),
    )


def read_rights(raw: Mapping[str, Any], namespace: str) -> list[Right]:
    """Return the one right that changing endpoints takes, as the Hub tells it of the token."""
    token = _token(raw)
    orgs = [org for org in _list(raw, "orgs") if isinstance(org, Mapping)]
    owner = raw if namespace == _text(raw, "name") else _org(orgs, namespace)
    known = {"write": True, "read": False}.get(_text(token, "role"))
    if _text(token, "role") == "fineGrained" and isinstance(token.get("fineGrained"), Mapping):
        known = not _lacks_write(token, namespace)
    if owner is None or owner.get("roleInOrg") == "read":
        known = False
    return [Right(WRITE_RIGHT, known, "creating, pausing, resuming, changing and deleting")]


def _problems(
    owner: Mapping[str, Any] | None, token: Mapping[str, Any], namespace: str
) -> Iterator[str]:
    if owner is None:
        yield f"the token does not belong to {namespace}, nor to a member of it"
    elif owner.get("canPay") is False:
        yield f"{namespace} cannot pay: creating and resuming will be refused until it can"
    if owner is not None and owner.get("roleInOrg") == "read":
        yield f"the member has the role read in {namespace}, which may not change endpoints"
    if _text(token, "role") == "read":
        yield f"the token is read-only; give the account a token with the right {WRITE_RIGHT}"
    if _text(token, "role") == "fineGrained" and _lacks_write(token, namespace):
        yield f"the token lacks the right {WRITE_RIGHT} for {namespace}"


def _lacks_write(token: Mapping[str, Any], namespace: str) -> bool:
    """Return whether the rights are told and the one to write is not among them."""
    rights = token.get("fineGrained")
    if not isinstance(rights, Mapping):
        return False
    granted = {*_list(rights, "global")}
    for scope in _list(rights, "scoped"):
        entity = scope.get("entity") if isinstance(scope, Mapping) else None
        if isinstance(entity, Mapping) and _text(entity, "name") == namespace:
            granted.update(right for right in _list(scope, "permissions") if isinstance(right, str))
    return WRITE_RIGHT not in granted


def _token(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    auth = raw.get("auth")
    token = auth.get("accessToken") if isinstance(auth, Mapping) else None
    return token if isinstance(token, Mapping) else {}


def _org(orgs: list[Mapping[str, Any]], namespace: str) -> Mapping[str, Any] | None:
    return next((org for org in orgs if _text(org, "name") == namespace), None)


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""
