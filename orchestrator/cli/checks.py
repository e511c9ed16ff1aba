"""Findings of `doctor`: ok, warn, fail or unknown, each with a remedy where one is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from orchestrator.cli.output import Column
from orchestrator.cli.session import Session

Level = Literal["ok", "warn", "fail", "unknown"]
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "cyan"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `milliseconds` is how long it took where that matters."""

    name: str
    status: Level
    detail: str
    remedy: str = ""
    milliseconds: int | None = None
    section: str = ""


def ok(name: str, detail: str, milliseconds: int | None = None) -> Check:
    """Return a good finding."""
    return Check(name, "ok", detail, milliseconds=milliseconds)


def warn(name: str, detail: str, remedy: str) -> Check:
    """Return a finding that may be intended."""
    return Check(name, "warn", detail, remedy)


def fail(name: str, detail: str, remedy: str) -> Check:
    """Return a finding that has to be put right."""
    return Check(name, "fail", detail, remedy)


def unknown(name: str, detail: str, remedy: str = "") -> Check:
    """Return a check that could not be made: neither good nor bad."""
    return Check(name, "unknown", detail, remedy)


def found(level: Level, name: str, detail: str, remedy: str) -> Check:
    """Return a finding of a level that depends."""
    return Check(name, level, detail, remedy)


def show(run: Session, checks: Sequence[Check]) -> None:
    """Print findings, and the remedies below them."""
    rows = [asdict(check) for check in checks]
    columns = (
        Column("", lambda c: c["status"], style=lambda c: _STYLES[c["status"]]),
        Column("section", lambda c: c["section"], optional=True),
        Column("check", lambda c: c["name"]),
        Column("ms", _milliseconds, right=True),
        Column("finding", lambda c: c["detail"]),
    )
    payload = {
        "ok": all(check.status != "fail" for check in checks),
        "counts": _counts(checks),
        "items": rows,
    }
    run.out.items(payload, columns, key="name", empty="nothing was checked")
    if run.out.form == "table":
        for (level, remedy), names in _by_remedy(checks).items():
            run.out.note(f"{level}: {', '.join(names)}: {remedy}")
        run.out.note(", ".join(f"{number} {level}" for level, number in _counts(checks).items()))


def _by_remedy(checks: Sequence[Check]) -> dict[tuple[str, str], list[str]]:
    """Return the names of checks by what helps them, so that nothing is told twice."""
    found: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check.remedy:
            found.setdefault((check.status, check.remedy), []).append(check.name)
    return found


def _counts(checks: Sequence[Check]) -> dict[str, int]:
    return {level: sum(1 for one in checks if one.status == level) for level in _STYLES}


def _milliseconds(check: dict[str, object]) -> str:
    took = check["milliseconds"]
    return "" if took is None else str(took)
