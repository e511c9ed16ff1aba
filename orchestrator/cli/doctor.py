"""`orchestrator doctor`: is this installation fit, and what would help where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from orchestrator import logs
from orchestrator.cli import (
    doctor_clouds,
    doctor_server,
    doctor_settings,
    doctor_state,
    doctor_store,
)
from orchestrator.cli.checks import Check, fail, show, unknown, warn
from orchestrator.cli.doctor_exam import Exam
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.providers.registry import ProviderHooks
from orchestrator.services.clouds import provider_maker
from orchestrator.services.errors import nearest


@dataclass(frozen=True, slots=True)
class Section:
    """A part of doctor that may be asked for alone; `remote` ones need only the server."""

    checks: Callable[[Exam], Iterable[Check]]
    needs_store: bool = True
    remote: bool = False


def _clouds(exam: Exam) -> Iterator[Check]:
    """Ask every connected cloud, each in turn."""
    if not exam.looked:
        yield warn("accounts", "none is connected", "orchestrator accounts add NAME")
    hooks = ProviderHooks(clock=exam.run.clock, sleep=exam.run.around.sleep)
    make = provider_maker(exam.settings, hooks)
    for looked in exam.looked:
        yield from doctor_clouds.check_account(make, looked)


SECTIONS: Mapping[str, Section] = {
    "configuration": Section(doctor_settings.check_settings, needs_store=False, remote=True),
    "database": Section(doctor_store.check_store, needs_store=False),
    "workers": Section(doctor_state.check_workers),
    "clouds": Section(_clouds),
    "nets": Section(doctor_state.check_nets),
    "operations": Section(doctor_state.check_work),
    "notifications": Section(doctor_state.check_notifications),
    "backup": Section(doctor_store.check_backup),
    "server": Section(doctor_server.check_server, needs_store=False, remote=True),
}


def doctor(run: Session, only: Sequence[str] = ()) -> None:
    """Run the checks and print them. Raises CliError when one fails."""
    logs.configure("error")
    checks = list(_all(run, _chosen(run, only)))
    show(run, checks)
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        raise CliError(f"not fit: {', '.join(failed)}", ExitCode.FAILED, "see the remedies above")


def _chosen(run: Session, only: Sequence[str]) -> Sequence[str]:
    """Return the sections that were asked for. Raises CliError.

    With --server the store of this machine may be another one: then only what the server tells.
    """
    names = [name.strip() for text in only for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SECTIONS:
            raise CliError(
                f"{name!r} is no section of doctor", ExitCode.USAGE, nearest(name, SECTIONS)
            )
    local = [name for name in names if not SECTIONS[name].remote]
    if local and run.server is not None:
        raise CliError(
            f"{local[0]} is of this machine's store, and --server names another's",
            ExitCode.USAGE,
            "leave --server out, or run doctor on that machine",
        )
    if names:
        return [name for name in SECTIONS if name in names]
    return [name for name, one in SECTIONS.items() if run.server is None or one.remote]


def _all(run: Session, names: Sequence[str]) -> Iterator[Check]:
    try:
        run.settings  # noqa: B018 - read first: with a bad one nothing else makes sense
    except CliError as error:
        told = fail("settings", str(error), "correct them; nothing else was checked")
        yield replace(told, section="configuration")
        return
    with ExitStack() as ends:
        exam = Exam(run, ends)
        for name in names:
            for check in _section(exam, name):
                yield replace(check, section=name)


def _section(exam: Exam, name: str) -> Iterator[Check]:
    """Yield the checks of a section; one that cannot be made is unknown, never ok."""
    if SECTIONS[name].needs_store and exam.opened.store is None:
        if exam.opened.absent and name == "clouds":
            yield warn("accounts", "none is connected", "orchestrator accounts add NAME")
        else:
            yield unknown(name, f"not checked: {exam.opened.check.detail}")
        return
    try:
        yield from SECTIONS[name].checks(exam)
    except SQLAlchemyError as error:
        yield unknown(name, f"not checked: {logs.redact_text(str(error)).splitlines()[0]}")
