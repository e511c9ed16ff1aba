"""`orchestrator doctor`: is this installation fit, and what would help where it is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import perf_counter

from orchestrator import logs
from orchestrator.cli import client, database, urls
from orchestrator.cli.checks import Check, fail, ok, show, warn
from orchestrator.cli.doctor_clouds import Looked, check_account
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.domain.schedules.zones import zone_rules_version
from orchestrator.providers.registry import ProviderHooks
from orchestrator.services.clouds import provider_maker
from orchestrator.settings import Settings, config_file
from orchestrator.store import accounts, endpoints

_ZONE_RULES_YEARS = 2


def doctor(run: Session) -> None:
    """Run all checks and print them. Raises CliError when one fails."""
    logs.configure("error")
    checks = list(_all(run))
    show(run, checks)
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        raise CliError(f"not fit: {', '.join(failed)}", ExitCode.FAILED, "see the remedies above")


def _all(run: Session) -> Iterator[Check]:
    try:
        settings = run.settings
    except CliError as error:
        yield fail("settings", str(error), "correct them; nothing else was checked")
        return
    file = config_file()
    yield ok("settings", f"valid; file {file}" if file else "valid; no file, all from environment")
    yield from _state_dir(settings)
    yield from _zone_rules(run)
    found: list[Looked] = []
    yield from _store(settings, found, run.clock.now())
    if not found:
        yield warn("accounts", "none is connected", "orchestrator accounts add NAME")
    make = provider_maker(settings, ProviderHooks(clock=run.clock, sleep=run.around.sleep))
    for looked in found:
        yield from check_account(make, looked)
    yield from _server(run)


def _state_dir(settings: Settings) -> Iterator[Check]:
    folder = settings.state_dir
    if not folder.exists():
        parent = next(place for place in folder.parents if place.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok("state dir", f"{folder} will be made by `orchestrator serve`")
        else:
            yield fail("state dir", f"{parent} is not writable", "set ORCHESTRATOR_STATE_DIR")
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield fail("state dir", f"{folder} is not writable", f"chown or chmod {folder}")
    elif _others_may_look(folder):
        yield warn("state dir", f"{folder} is open to others", f"chmod 700 {folder}")
    else:
        yield ok("state dir", f"{folder} is writable and private")
    token = settings.admin_token_file
    if token.exists() and _others_may_look(token):
        yield fail("admin token", f"{token} is readable by others", f"chmod 600 {token}")


def _others_may_look(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _zone_rules(run: Session) -> Iterator[Check]:
    version = zone_rules_version()
    age = run.clock.now().year - int(version[:4])
    if age >= _ZONE_RULES_YEARS:
        yield warn("time zones", f"rules of {version} are old", "upgrade the package tzdata")
    else:
        yield ok("time zones", f"rules of {version}")


def _store(settings: Settings, found: list[Looked], now: datetime) -> Iterator[Check]:
    """Check the store; fill `found` with the accounts in it, each with its endpoints."""
    began = perf_counter()
    try:
        state = database.check(settings)
        if state.present is None:
            yield warn("database", state.sentence, "`orchestrator serve` makes it")
            return
        if not state.current:
            yield fail("database", state.sentence, "orchestrator db upgrade")
            return
        with database.opened(settings) as store:
            with store.read() as session:
                rows = endpoints.all_live(session)
                for account in accounts.live(session):
                    mine = [row for row in rows if row.account_id == account.id]
                    found.append(Looked(account, mine, now))
            yield ok("database", f"{store.url_redacted}: {state.sentence}", _since(began))
    except CliError as error:
        yield fail("database", str(error), error.remedy)


def _server(run: Session) -> Iterator[Check]:
    url = run.settings.api_url
    began = perf_counter()
    try:
        run.api.get("/readyz")
    except CliError as error:
        if error.code is ExitCode.UNREACHABLE and not isinstance(error, client.ApiProblemError):
            yield warn("server", f"none answers at {url}", "orchestrator serve")
        else:
            reason = _readiness(error)
            yield fail("server", f"{url} is not ready: {reason}", "see the log of the server")
        return
    yield ok("server", f"{url} is ready", _since(began))
    try:
        me = run.api.get(urls.path("me"))
        yield ok("token", f"{me['name']} may {me['scope']}")
    except CliError as error:
        yield fail("token", str(error), error.remedy)


def _readiness(error: CliError) -> str:
    """Return what stands in the way, from the parts that the server tells of itself."""
    told = error.problem if isinstance(error, client.ApiProblemError) else {}
    parts = [
        f"{key} {told[key]}" for key in ("database", "schema_revision", "engine") if key in told
    ]
    return ", ".join(parts) or str(error)


def _since(began: float) -> int:
    return round(1000 * (perf_counter() - began))
