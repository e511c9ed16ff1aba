"""What `doctor` learns from the server: whether it answers, and what it says of its accounts."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from orchestrator.cli import client, urls
from orchestrator.cli.checks import Check, fail, ok, unknown, warn
from orchestrator.cli.doctor_exam import Exam, since
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session

Json = dict[str, Any]
ACTIVE = ["pending", "running", "confirming"]
_REMEDY = "check --server, the network, and that it runs there"


def check_server(exam: Exam) -> Iterator[Check]:
    """Check that the server is ready and takes the token; with --server, what it tells too."""
    run = exam.run
    url, began = run.settings.api_url, perf_counter()
    try:
        run.api.get("/readyz")
    except CliError as error:
        if error.code is ExitCode.UNREACHABLE and not isinstance(error, client.ApiProblemError):
            # One that was named has to answer; a store may be looked at without any.
            tell, remedy = (warn, "orchestrator serve") if run.server is None else (fail, _REMEDY)
            yield tell("server", f"none answers at {url}", remedy)
        else:
            reason = _readiness(error)
            yield fail("server", f"{url} is not ready: {reason}", "see the log of the server")
        return
    yield ok("server", f"{url} is ready", since(began))
    try:
        me = run.api.get(urls.path("me"))
        yield ok("token", f"{me['name']} may {me['scope']}")
    except CliError as error:
        yield fail("token", str(error), error.remedy)
        return
    if run.server is not None:
        yield from _told(run)


def _readiness(error: CliError) -> str:
    """Return what stands in the way, from the parts that the server tells of itself."""
    told = error.problem if isinstance(error, client.ApiProblemError) else {}
    parts = [
        f"{key} {told[key]}"
        for key in ("database", "schema_revision", "engine", "clock")
        if key in told
    ]
    return ", ".join(parts) or str(error)


def _told(run: Session) -> Iterator[Check]:
    try:
        accounts = run.api.pages(urls.path("accounts"))["items"]
        frozen = run.api.get(urls.path("freeze"))
        active = run.api.pages(urls.path("operations"), {"status": ACTIVE})["items"]
    except CliError as error:
        yield unknown("server state", str(error), error.remedy)
        return
    yield from (_account(run, account) for account in accounts)
    everywhere = frozen["everywhere"]
    if everywhere is not None:
        told = f"everything by {everywhere['by']}: {everywhere['reason']}"
        yield warn("frozen", told, "orchestrator freeze off")
    for operation in [one for one in active if one.get("stuck_since")]:
        name = f"{operation['kind']} of {operation['endpoint_name']}"
        yield warn(name, "it is stuck", f"orchestrator operations show {operation['id']}")


def _account(run: Session, account: Json) -> Check:
    name = f"account {account['name']}"
    if account["health"] not in ("ok", "new"):
        detail = f"{account['health']}: {account.get('health_detail') or ''}"
        return fail(name, detail, f"orchestrator accounts show {account['name']}")
    told = f"looked at {run.out.ago(account.get('observed_at'))}"
    if account.get("frozen"):
        remedy = f"orchestrator freeze off --account {account['name']}"
        return warn(name, f"{told}; frozen", remedy)
    return ok(name, told)
