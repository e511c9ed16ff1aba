"""Accounts in requests and answers."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.store import freeze
from orchestrator.store.freeze import Freeze
from orchestrator.store.tables import Account

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/\S{1,400}|hf-cli")


def _check_reference(value: str) -> str:
    """Refuse what is no reference, such as a pasted secret, without repeating it."""
    if _REFERENCE.fullmatch(value) is None:
        raise ValueError("give a reference to credentials: env:NAME, file:/path or hf-cli")
    return value


CredentialRef = Annotated[
    str,
    AfterValidator(_check_reference),
    Field(examples=["env:HF_TOKEN"], description="Where the server finds the credentials."),
]
Options = Annotated[dict[str, str], Field(max_length=20, examples=[{}])]


class FreezeOut(Answer):
    """Since when, by whom and why nothing is changed."""

    at: Instant
    by: str
    reason: str


class AccountOut(Answer):
    """A place where endpoints live, and how well it can be read."""

    id: str = Field(examples=["acc_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str = Field(examples=["acme"])
    provider: str = Field(examples=["huggingface"])
    namespace: str = Field(examples=["acme-corp"])
    region: str
    credential_ref: str = Field(examples=["env:HF_TOKEN"])
    options: dict[str, str]
    frozen: FreezeOut | None
    health: str = Field(examples=["ok"])
    health_detail: str
    health_since: Instant | None
    observed_at: Instant | None
    endpoint_count: int
    created_at: Instant


class AccountBody(Body):
    """A new account; its endpoints are observed and nothing in it is changed."""

    name: Name
    provider: Literal["huggingface"] = "huggingface"
    namespace: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$", examples=["acme-corp"])
    ]
    credential_ref: CredentialRef
    options: Options = Field(default_factory=dict)


class AccountPatch(Body):
    """What may change of an account; what is left out stays."""

    name: Name | None = None
    credential_ref: CredentialRef | None = None
    options: Options | None = None


def freeze_out(found: Freeze | None) -> FreezeOut | None:
    """Return a freeze as it is answered."""
    return None if found is None else FreezeOut(at=found.at, by=found.by, reason=found.reason)


def account_out(row: Account) -> AccountOut:
    """Return an account as it is answered."""
    return AccountOut(
        id=row.id,
        name=row.name,
        provider=row.provider,
        namespace=row.namespace,
        region=row.region,
        credential_ref=row.credential_ref,
        options={key: str(value) for key, value in row.options.items()},
        frozen=freeze_out(freeze.of_account(row)),
        health=row.health,
        health_detail=row.health_detail,
        health_since=row.health_since,
        observed_at=row.observed_at,
        endpoint_count=row.endpoint_count,
        created_at=row.created_at,
    )
