"""Turns a credential reference into what botocore signs with; secrets never enter a message.

`aws-profile:NAME`, `aws-role:ARN?external_id=…&profile=…` and `aws-default` are read by botocore;
all other references name a text `ACCESS_KEY_ID:SECRET[:SESSION_TOKEN]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)

from orchestrator.providers.account import ProviderHooks
from orchestrator.providers.base import CredentialsError

_SESSION_NAME = "endpoint-orchestrator"


@dataclass(frozen=True, slots=True)
class Reference:
    """A credential reference in parts; `kind` is `keys`, `profile`, `role` or `default`."""

    kind: str
    profile: str | None = None
    role: str = ""
    external_id: str = ""

    @classmethod
    def read(cls, text: str) -> Reference:
        """Return the parts. Raises ValueError for a profile without name, a role without ARN."""
        kind, _, rest = text.partition(":")
        if text == "aws-default":
            return cls("default")
        if kind == "aws-profile":
            return cls("profile", profile=_needed(rest, "aws-profile:NAME"))
        if kind != "aws-role":
            return cls("keys")
        arn, _, query = rest.partition("?")
        extra = dict(parse_qsl(query))
        unknown = set(extra) - {"external_id", "profile"}
        if unknown:
            raise ValueError(f"credential reference aws-role: unknown {', '.join(sorted(unknown))}")
        role = _needed(arn if arn.startswith("arn:") else "", "aws-role:ARN")
        return cls("role", extra.get("profile"), role, extra.get("external_id", ""))


def _needed(value: str, form: str) -> str:
    if not value:
        raise ValueError(f"credential reference: write {form}")
    return value


class ResolvedKeys:
    """Keys that are resolved anew for every signature, so that they may rotate.

    Stands in for botocore's `Credentials`, of which it has what signing uses.
    """

    method = "endpoint-orchestrator"

    def __init__(self, resolve: Callable[[], str]) -> None:
        self._resolve = resolve

    def get_frozen_credentials(self) -> Any:
        """Return the present keys. Raises CredentialsError."""
        parts = self._resolve().strip().split(":")
        if len(parts) not in (2, 3) or not all(parts):
            raise CredentialsError(
                "The credentials are not of the form ACCESS_KEY_ID:SECRET[:SESSION_TOKEN]."
            )
        return ReadOnlyCredentials(*parts, *([None] if len(parts) == 2 else []))

    def get_deferred_property(self, _: str) -> Callable[[], None]:
        """Return that nothing more is known of these keys, such as their account."""
        return lambda: None


def keys_of(hooks: ProviderHooks, reference: str) -> ResolvedKeys:
    """Return credentials for a reference that the process resolves."""
    return ResolvedKeys(lambda: hooks.resolve(reference))


def assumed(
    create_client: Callable[..., Any], source: Any, reference: Reference, hooks: ProviderHooks
) -> Any:
    """Return credentials of a role, assumed at the first use and again before they expire."""
    extra = {"RoleSessionName": _SESSION_NAME}
    if reference.external_id:
        extra["ExternalId"] = reference.external_id
    fetcher = AssumeRoleCredentialFetcher(create_client, source, reference.role, extra_args=extra)
    return DeferredRefreshableCredentials(
        fetcher.fetch_credentials, "assume-role", time_fetcher=hooks.clock.now
    )
