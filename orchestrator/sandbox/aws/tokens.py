"""Tokens of further pages, for listings that do not change between two pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from orchestrator.sandbox.aws.errors import AwsError

T = TypeVar("T")


def page(
    rows: Sequence[T], token: str | None, size: int, *, refused_as: str
) -> tuple[list[T], str | None]:
    """One page and the token of the next, None at the end; AwsError `refused_as` for another."""
    start = _start(token, refused_as)
    end = start + size
    following = base64.b64encode(f"from:{end}".encode()).decode() if end < len(rows) else None
    return list(rows[start:end]), following


def _start(token: str | None, refused_as: str) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True).decode().removeprefix("from:"))
    except (binascii.Error, ValueError) as error:
        raise AwsError(refused_as, "The next token is not valid.") from error
