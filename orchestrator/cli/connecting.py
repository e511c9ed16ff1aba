"""What connecting an account needs besides the call: whose credentials, and the first look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orchestrator.cli import urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session

Json = dict[str, Any]
LONGEST_S = 60
_EVERY_S = 1
# What an account's health reads before and after a look that went well.
_NEW, _GOOD = "new", "ok"


def source(provider: str | None, credential: str | None) -> tuple[str, str]:
    """Return the kind of cloud and the reference to its credentials. Raises CliError.

    A reference in a form of one cloud's own tells the kind; else it is the first of the registry.
    """
    from orchestrator.providers.registry import CLOUDS  # noqa: PLC0415 - keeps `--help` quick

    own = [
        kind for kind, cloud in CLOUDS.items() if re.fullmatch(cloud.references, credential or "")
    ]
    kind = provider or next(iter(own or CLOUDS))
    usual = CLOUDS[kind].usual_references if kind in CLOUDS else ()
    reference = credential or next(iter(usual), None)
    if reference is None:
        raise CliError(
            f"there is no usual place of credentials for {kind!r}", ExitCode.USAGE, "--credential"
        )
    return kind, reference


def first_looks(run: Session, accounts: Sequence[Json]) -> list[Json]:
    """Return accounts after the first look at each, or what they are after a minute."""
    found = list(accounts)
    for _ in range(LONGEST_S // _EVERY_S):
        waiting = [place for place, account in enumerate(found) if not _looked(account)]
        if not waiting:
            break
        run.around.sleep(_EVERY_S)
        for place in waiting:
            found[place] = run.api.get(urls.path("accounts", found[place]["id"]))
    return found


def tell(run: Session, accounts: Sequence[Json]) -> None:
    """Say what the first looks found, and warn of those that found nothing out."""
    seen = [account for account in accounts if account.get("observed_at")]
    count = sum(account.get("endpoint_count", 0) for account in seen)
    if seen:
        where = "" if len(accounts) == 1 else f" in {len(seen)} accounts"
        what = "1 endpoint" if count == 1 else f"{count} endpoints"
        run.out.note(f"{what} found{where}; see `orchestrator endpoints list`")
    for account in accounts:
        if account.get("health") not in (_NEW, _GOOD):
            reason = account.get("health_detail") or account["health"]
            run.out.warn(f"the first look at {account['name']} did not go well: {reason}")
        elif not account.get("observed_at"):
            run.out.warn(
                f"{account['name']} is connected, but was not looked at within {LONGEST_S} s: "
                "is an engine running? (`orchestrator serve`, or `orchestrator worker`)"
            )


def _looked(account: Json) -> bool:
    return bool(account.get("observed_at")) or account.get("health") not in (_NEW, _GOOD)
