"""What is wrong with a file of rules: each mistake with its place and line, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from orchestrator.services.errors import ServiceError
from orchestrator.services.rules_yaml import Loaded, Path

MOST_PROBLEMS = 50
CONFLICT = 409
CALENDARS = "calendars"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a file."""

    path: Path
    message: str
    status: int = 422


def problem_of(error: ServiceError, place: Callable[[str], Path]) -> Problem:
    """Return an error as a problem at its place in a file."""
    remedy = f" {error.remedy}" if error.remedy else ""
    return Problem(place(error.field or ""), f"{error.detail}{remedy}", error.status)


def refused(problems: Collection[Problem], loaded: Loaded) -> ServiceError:
    """Return the error for a file with problems: each with its place and line."""
    own = [one for one in problems if not _echoes(one, problems, loaded.value)]
    lined = [(loaded.line_of(problem.path), problem) for problem in own]
    placed = sorted(lined, key=lambda one: one[0])[:MOST_PROBLEMS]
    told = [(dotted(one.path), f"line {at}: {one.message}") for at, one in placed]
    status = CONFLICT if all(one.status == CONFLICT for one in own) else 422
    return ServiceError(
        "rules_refused",
        status,
        "Not possible in this state" if status == CONFLICT else "Not valid",
        ": ".join(told[0]),
        field=told[0][0],
        remedy="Nothing was changed. Correct the file and try again.",
        findings=told,
    )


def dotted(path: Path) -> str:
    """Return a path as people write it."""
    return ".".join(str(part) for part in path) or "the file"


def _echoes(problem: Problem, problems: Collection[Problem], document: Any) -> bool:
    """Tell whether a problem comes of another one alone, and goes with it.

    That is so of a calendar that is not there because it is wrong itself, and of one that cannot
    be removed because a rule that would let go of it is wrong.
    """
    path = problem.path
    if path[2:3] == (CALENDARS,):
        named = _at(document, path)
        return any(one.path[:2] == (CALENDARS, named) for one in problems)
    if problem.status != CONFLICT or path[:1] != (CALENDARS,) or _at(document, path) is not None:
        return False
    return any(one.path[:1] not in ((CALENDARS,), ("endpoints",)) for one in problems)


def _at(document: Any, path: Path) -> Any:
    """Return what a document has at a path, None where it has nothing there."""
    for part in path:
        if isinstance(document, list) and str(part).isdecimal():
            place = int(part)
            document = document[place] if place < len(document) else None
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document
