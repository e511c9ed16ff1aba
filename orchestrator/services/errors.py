"""The one kind of error that a use case raises; the API maps it in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class ServiceError(Exception):
    """A request that cannot be met: a stable `code`, what is wrong, and what would help.

    `retry_after` is in how many seconds the same request may succeed, where that is known;
    `findings` are fields with what is wrong with each, where that is more than one thing.
    """

    def __init__(
        self,
        code: str,
        status: int,
        title: str,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        retry_after: int | None = None,
        findings: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.findings = findings
        self.retry_after = retry_after
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field
        self.remedy = remedy


def not_found(what: str, ref: str, remedy: str | None = None) -> ServiceError:
    """Return the error for a thing that does not exist; `what` is a noun such as `endpoint`."""
    detail = f"There is no {what} {ref[:120]!r}."
    return ServiceError("not_found", 404, f"No such {what}", detail, remedy=remedy)


def conflict(
    code: str, detail: str, *, remedy: str | None = None, field: str | None = None
) -> ServiceError:
    """Return the error for a request that the present state forbids."""
    return ServiceError(code, 409, "Not possible in this state", detail, field=field, remedy=remedy)


def invalid(field: str, detail: str, *, remedy: str | None = None) -> ServiceError:
    """Return the error for a value that cannot be used."""
    return ServiceError("invalid", 422, "Not valid", detail, field=field, remedy=remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of `known`, or all of them where they are few."""
    names = sorted(known)
    close = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "None are accepted here."
    return f"Known are: {', '.join(names[:30])}."
