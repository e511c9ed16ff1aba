"""What all schemas share: unknown fields are refused by name, instants are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.api.schemas.texts import like
from orchestrator.domain.bounds import YEARS, is_within
from orchestrator.services.errors import nearest

Item = TypeVar("Item")


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _near(value: datetime) -> datetime:
    if not is_within(value):
        raise ValueError(f"is too far away; name years from {YEARS}")
    return _to_utc(value)


_EXAMPLE = Field(examples=["2026-11-20T18:00:00Z"])
Instant = Annotated[AwareDatetime, AfterValidator(_to_utc), _EXAMPLE]
AskedInstant = Annotated[AwareDatetime, AfterValidator(_near), _EXAMPLE]
"""An instant in a request, of a year that dates can be reckoned with."""


class Answer(BaseModel):
    """A body that we send."""

    model_config = ConfigDict(frozen=True)


class Body(BaseModel):
    """A body that we receive: an unknown field is refused, and the nearest one named."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {info.alias or name for name, info in cls.model_fields.items()}
            for name in data:
                if name not in known:
                    raise PydanticCustomError(
                        "unknown_field",
                        "is not a field here. {hint}",
                        {
                            "field": str(name)[:80],
                            "hint": nearest(str(name)[:80], known),
                            "code": "unknown_field",
                        },
                    )
        return data


class Listing(Answer, Generic[Item]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = Field(None, description="Give it as `cursor` for the next page.")


Labels = Annotated[
    dict[
        Annotated[
            str,
            like(
                r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$",
                "The key of a label begins with a letter from a to z or a digit, and goes on with "
                "these and . _ / -, 63 characters at most, such as team.",
            ),
        ],
        Annotated[str, Field(max_length=120)],
    ],
    Field(max_length=50, examples=[{"team": "search"}]),
]
Reason = Annotated[str, Field(max_length=500, examples=["load test until noon"])]
NAME_WORDS = (
    "A name begins with a letter from a to z or a digit, and goes on with these, spaces and "
    ". _ @ -, 63 characters at most, such as office-hours."
)
Name = Annotated[
    str,
    like(r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}$", NAME_WORDS, examples=["office-hours"]),
]
