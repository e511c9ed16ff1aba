"""Filters, order and pages of the List operations of SageMaker."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from orchestrator.sandbox.aws.calls import AwsCall, Params, Result
from orchestrator.sandbox.aws.errors import invalid

Row = dict[str, Any]
_TIMES = ("CreationTime", "LastModifiedTime")
_SIDES: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("Before", operator.lt),
    ("After", operator.gt),
)


def page(call: AwsCall, rows: list[Row], key: str, name: str, *, status: str = "") -> Result:
    """One page: 10 rows unless MaxResults says up to 100, the newest first.

    `name` and `status` are the fields of a row that NameContains, SortBy and StatusEquals mean.
    """
    params = call.params
    found = [row for row in rows if _matches(params, row, name, status)]
    sort = {"Name": name, "Status": status}.get(params.get("SortBy", ""), "CreationTime")
    backwards = params.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda row: (row[sort], row[name]), reverse=backwards)
    return cut(found, key, params.get("NextToken"), params.get("MaxResults", 10), call.shift)


def cut(rows: list[Row], key: str, token: str | None, size: int, shift: int = 0) -> Result:
    """The rows from a token on, and the next token if more follow; raises AwsError."""
    start = offset(token)
    start = max(start + (shift if start else 0), 0)
    shown: Result = {key: rows[start : start + size]}
    return {**shown, "NextToken": f"page-{start + size}"} if start + size < len(rows) else shown


def offset(token: str | None) -> int:
    """The place at which the page of a token begins; raises AwsError."""
    if not token:
        return 0
    text = token.removeprefix("page-")
    if not text.isdecimal():
        raise invalid("The NextToken is not valid.")
    return int(text)


def _matches(params: Params, row: Row, name: str, status: str) -> bool:
    if params.get("NameContains", "").lower() not in row[name].lower():
        return False
    if status and params.get("StatusEquals", row[status]) != row[status]:
        return False
    return all(
        compare(row[time], params[time + side])
        for time in _TIMES
        for side, compare in _SIDES
        if time in row and time + side in params
    )
