"""Users, tokens and namespaces, and who may do what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from orchestrator.sandbox.messages import ApiError

Role = Literal["write", "read", "fineGrained"]
MANAGE = "inference.endpoints.write"
INFER = "inference.endpoints.infer.write"
BILLING = "billing.read"
ALL_SCOPES = (MANAGE, INFER, BILLING)
_UNAUTHORISED = "A valid user or organization token, sent as a Bearer, is required"


@dataclass(frozen=True, slots=True)
class User:
    """A person with one access token."""

    name: str
    token: str
    role: Role
    orgs: tuple[str, ...]
    can_pay: bool
    scopes: tuple[str, ...]
    org_role: str = "admin"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The personal namespace and those of the organizations."""
        return (self.name, *self.orgs)

    def may(self, scope: str) -> bool:
        """Whether the token allows it: write all, read looking and calling, else by scope."""
        if self.role == "fineGrained":
            return scope in self.scopes
        return self.role == "write" or scope != MANAGE


@dataclass(slots=True)
class Namespace:
    """Where endpoints live; `quotas` limits accelerators by instance type, others are free."""

    name: str
    kind: str = "user"
    quotas: dict[str, int] | None = None
    can_pay: bool = True


@dataclass(slots=True)
class Accounts:
    """All users and namespaces of the cloud."""

    users: dict[str, User] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)

    def add_user(
        self,
        name: str,
        token: str,
        role: Role,
        orgs: Iterable[str],
        scopes: Iterable[str],
        *,
        can_pay: bool,
        org_role: str,
    ) -> User:
        """Register a person; the namespaces that it names are made if they are missing."""
        user = User(name, token, role, tuple(orgs), can_pay, tuple(scopes), org_role)
        self.users[token] = user
        self.namespaces.setdefault(name, Namespace(name, "user", can_pay=can_pay))
        for org in user.orgs:
            self.namespaces.setdefault(org, Namespace(org, "org"))
        return user

    def add_namespace(self, name: str, kind: str, quotas: Mapping[str, int] | None) -> Namespace:
        """Register or replace a namespace."""
        limits = None if quotas is None else dict(quotas)
        self.namespaces[name] = Namespace(name, kind, limits)
        return self.namespaces[name]

    def identify(self, token: str | None) -> User:
        """The user of a token; raises ApiError 401."""
        user = self.users.get(token or "")
        if user is None:
            raise ApiError(401, _UNAUTHORISED)
        return user

    def authorise(self, token: str | None, namespace: str, *, write: bool) -> User:
        """The user, if the token may look at or change this namespace; raises ApiError 401, 403."""
        user = self.identify(token)
        if namespace not in user.namespaces:
            raise ApiError(401, f"You have no access to the namespace {namespace}")
        if write and not user.may(MANAGE):
            raise ApiError(403, f"The token lacks the permission {MANAGE}")
        if not write and user.role == "fineGrained" and not user.may(MANAGE):
            raise ApiError(403, f"The token lacks the permission {MANAGE}")
        return user

    def require_payment(self, namespace: str) -> None:
        """Raises ApiError 403 if nobody pays for the namespace."""
        if not self.namespaces[namespace].can_pay:
            raise ApiError(403, f"The namespace {namespace} has no payment method")

    def snapshot(self) -> dict[str, Any]:
        """The accounts as JSON values; the tokens are those of a simulation."""
        return {
            "users": [asdict(user) for user in self.users.values()],
            "namespaces": [asdict(namespace) for namespace in self.namespaces.values()],
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Accounts:
        """The accounts that `snapshot` described."""
        users = [
            User(**{**row, "orgs": tuple(row["orgs"]), "scopes": tuple(row["scopes"])})
            for row in state["users"]
        ]
        namespaces = [Namespace(**row) for row in state["namespaces"]]
        return cls({user.token: user for user in users}, {ns.name: ns for ns in namespaces})


def token_id(token: str | None) -> str:
    """A short name for a token that does not give it away; empty for none."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else ""
