"""Findings of `doctor`: ok, warn or fail, each with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from orchestrator.cli.output import Column
from orchestrator.cli.session import Session

Level = Literal["ok", "warn", "fail"]
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `milliseconds` is how long it took where that matters."""

    name: str
    status: Level
    detail: str
    remedy: str = ""
    milliseconds: int | None = None


def ok(name: str, detail: str, milliseconds: int | None = None) -> Check:
    """Return a good finding."""
    return Check(name, "ok", detail, milliseconds=milliseconds)


def warn(name: str, detail: str, remedy: str) -> Check:
    """Return a finding that may be intended."""
    return Check(name, "warn", detail, remedy)


def fail(name: str, detail: str, remedy: str) -> Check:
    """Return a finding that has to be put right."""
    return Check(name, "fail", detail, remedy)


def found(level: Level, name: str, detail: str, remedy: str) -> Check:
    """Return a finding of a level that depends."""
    return Check(name, level, detail, remedy)


def show(run: Session, checks: Sequence[Check]) -> None:
    """Print findings, those with a remedy on two lines."""
    rows = [asdict(check) for check in checks]
    columns = (
        Column("", lambda c: c["status"], style=lambda c: _STYLES[c["status"]]),
        Column("check", lambda c: c["name"]),
        Column("ms", _milliseconds, right=True),
        Column("finding", lambda c: c["detail"]),
    )
    payload = {"ok": all(check.status != "fail" for check in checks), "items": rows}
    run.out.items(payload, columns, key="name")
    if run.out.form == "table":
        for check in checks:
            if check.remedy:
                run.out.note(f"{check.status}: {check.name}: {check.remedy}")


def _milliseconds(check: dict[str, object]) -> str:
    took = check["milliseconds"]
    return "" if took is None else str(took)
