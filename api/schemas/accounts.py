"""Accounts in requests and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.api.schemas.money import Price, price
from orchestrator.api.schemas.texts import like
from orchestrator.store import freeze
from orchestrator.store.freeze import Freeze
from orchestrator.store.tables import Account

CredentialRef = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        examples=["env:HF_TOKEN"],
        description="Where the server finds the credentials, never these themselves: env:NAME, "
        "file:/path, hf-cli, aws-default, aws-profile:NAME, aws-role:ARN.",
    ),
]
Options = Annotated[dict[str, str], Field(max_length=20, examples=[{}])]


class FreezeOut(Answer):
    """Since when, by whom and why nothing is changed."""

    at: Instant
    by: str
    reason: str


class UsageOut(Answer):
    """How request counts are read, and what that costs a month where the cloud charges for it.

    `endpoints` are those that idle policies watch, `recorded` those read for the record alone.
    """

    endpoints: int
    every_seconds: int
    recorded: int = 0
    recorded_every_seconds: int | None = None
    price_per_month: Price | None
    cap_per_month: Price | None


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
    calls: dict[str, int] = Field(description="Calls of the cloud made so far, by its names.")
    calls_since: Instant | None
    usage: UsageOut | None
    created_at: Instant


class AccountBody(Body):
    """A new account; its endpoints are observed and nothing in it is changed."""

    name: Name
    provider: Annotated[str, Field(max_length=40, examples=["huggingface", "sagemaker"])] = (
        "huggingface"
    )
    namespace: Annotated[
        str,
        like(
            r"^([A-Za-z0-9][A-Za-z0-9._-]{0,95})?$",
            "A namespace is named by letters from a to z, digits and . _ -, 96 characters at most, "
            "such as acme-corp.",
            examples=["acme-corp"],
            description="User, organization or account number at the cloud; may be left out where "
            "the credentials reach exactly one.",
        ),
    ] = ""
    region: Annotated[
        str,
        like(
            r"^[a-z0-9-]{0,40}$",
            "A region is named by small letters, digits and -, such as us-east-1.",
            examples=["us-east-1"],
            description="For clouds with regions; `all` only at POST /v1/accounts/regions.",
        ),
    ] = ""
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
        calls={key: int(count) for key, count in sorted(row.call_counts.items())},
        calls_since=row.calls_since,
        usage=_usage(row),
        created_at=row.created_at,
    )


def _usage(row: Account) -> UsageOut | None:
    watch = row.usage_watch
    if not watch:
        return None
    return UsageOut(
        endpoints=watch["endpoints"],
        every_seconds=watch["every_seconds"],
        recorded=watch.get("recorded", 0),
        recorded_every_seconds=watch.get("record_every_seconds"),
        price_per_month=price(watch["month_nano"]),
        cap_per_month=price(watch["cap_nano"]),
    )
