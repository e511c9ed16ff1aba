"""How long something lives, as requests say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Body, Reason
from orchestrator.services.expiry import Wanted

Ttl = Annotated[
    str,
    Field(
        max_length=40,
        examples=["14d"],
        description="A length (14d, 36h, 2w), working days (5wd), a date (to its end), or an "
        "instant.",
    ),
]
Zone = Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])]
Calendars = Annotated[
    list[Annotated[str, Field(max_length=120)]],
    Field(max_length=20, examples=[[]], description="Named calendars whose days off do not count."),
]
Grace = Annotated[
    str,
    Field(
        max_length=20,
        examples=["7d"],
        description="After how long paused it is deleted: 1h to 90d, or `none`.",
    ),
]


class ExpiryBody(Body):
    """When an endpoint expires, and what comes then."""

    expires: Ttl
    timezone: Zone = "UTC"
    calendars: Calendars = Field(default_factory=list)
    delete_grace: Grace | None = Field(
        None, description="Left out: as before, or as its expiry policies say."
    )
    reason: Reason = ""

    def wanted(self) -> Wanted:
        """Return it as the use case wants it."""
        return Wanted(self.expires, self.timezone, tuple(self.calendars), self.delete_grace)
