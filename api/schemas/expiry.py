"""Expiry of endpoints, and the policies over it, in requests and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Name, Reason
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.endpoints import EndpointOut
from orchestrator.api.schemas.lifetimes import Calendars, Grace, Ttl, Zone
from orchestrator.api.schemas.operations import Ref
from orchestrator.api.schemas.rules import SelectorOut
from orchestrator.services.expiry import Wanted
from orchestrator.services.expiry_policies import Described, Draft
from orchestrator.services.selectors import Selector
from orchestrator.store.tables import ExpiryPolicy


class ExtendBody(Body):
    """By how much the expiry is put off: from its end, or from now where that is over."""

    by: Ttl = Field(alias="for", examples=["3d"])
    timezone: Zone | None = Field(None, description="Left out: as the expiry was set with.")
    calendars: Calendars | None = Field(None, description="Left out: as the expiry was set with.")
    reason: Reason = ""

    def wanted(self) -> Wanted:
        """Return it as the use case wants it."""
        named = None if self.calendars is None else tuple(self.calendars)
        return Wanted(self.by, self.timezone, named)


class ExtendedOut(EndpointOut):
    """An endpoint after a change of its expiry; `operation` is what brings it back, if anything."""

    expired_before: Instant | None = Field(description="When it would have expired until now.")


class ExpiryPolicyBody(Body):
    """How long endpoints live; what is left empty is not limited."""

    name: Name = Field(examples=["trials"])
    selector: SelectorBody
    default_ttl: Ttl = Field("", description="For new endpoints; those there already are left.")
    max_ttl: Ttl = Field("", description="So far ahead an expiry may be set.", examples=["30d"])
    max_extension: Ttl = Field("", description="By so much at a time.", examples=["7d"])
    max_extensions: int | None = Field(None, ge=0, le=1000, description="So often.", examples=[3])
    warn_before: Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=10)] = (
        Field(default_factory=list, examples=[["3d", "1d", "1h"]])
    )
    delete_grace: Grace = ""
    timezone: Zone = "UTC"
    calendars: Calendars = Field(default_factory=list)
    enabled: bool = True

    def draft(self, selector: Selector) -> Draft:
        """Return it as the use case wants it."""
        return Draft(
            name=self.name,
            selector=selector,
            default_ttl=self.default_ttl,
            max_ttl=self.max_ttl,
            max_extension=self.max_extension,
            max_extensions=self.max_extensions,
            warn_before=tuple(self.warn_before),
            delete_grace=self.delete_grace,
            timezone=self.timezone,
            calendars=tuple(self.calendars),
            enabled=self.enabled,
        )


class ExpiryPolicySummary(Answer):
    """An expiry policy without what it covers."""

    id: str = Field(examples=["exp_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    default_ttl: str
    max_ttl: str
    max_extension: str
    max_extensions: int | None
    warn_before: list[str]
    delete_grace: str
    timezone: str
    calendars: list[str]
    selector: SelectorOut
    enabled: bool
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant


class ExpiryPolicyOut(ExpiryPolicySummary):
    """An expiry policy with what it covers."""

    endpoints: list[Ref]


def policy_summary(row: ExpiryPolicy) -> ExpiryPolicySummary:
    """Return a policy as a list answers it."""
    fields = {name: getattr(row, name) for name in ExpiryPolicySummary.model_fields}
    return ExpiryPolicySummary.model_validate({**fields, "selector": SelectorOut(**row.selector)})


def policy_out(described: Described) -> ExpiryPolicyOut:
    """Return a policy with what it covers."""
    covered = [Ref(id=row.id, name=row.name) for row in described.covered]
    shown = policy_summary(described.policy).model_dump()
    return ExpiryPolicyOut(**shown, endpoints=covered)
