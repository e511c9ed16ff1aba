"""`orchestrator accounts`: the places where endpoints live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, connecting, formats, options, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Accounts: the places where endpoints live.", no_args_is_help=True)

Json = dict[str, Any]
ALL_REGIONS = "all"
_TOP_CALLS = 3
# A health text in a list is cut to this many characters.
_LONGEST = 60

AccountArg = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or name.")]


@app.command("list", epilog="Example: orchestrator accounts list")
def list_accounts(ctx: typer.Context) -> None:
    """List accounts with their health."""
    run = session(ctx)
    found = run.api.pages(urls.path("accounts"))
    run.out.items(
        found,
        _columns(run, found["items"]),
        empty="no account yet; add one with `orchestrator accounts add`",
    )


@app.command(epilog="Example: orchestrator accounts show acme")
def show(ctx: typer.Context, account: AccountArg) -> None:
    """Show one account."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("accounts", account)))


@app.command(
    epilog="Examples: orchestrator accounts add acme --namespace acme-corp; "
    "orchestrator accounts add prod --provider sagemaker --region all"
)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="The kind of cloud. Default: what the credential's form tells, else the first.",
        ),
    ] = None,
    namespace: Annotated[
        str,
        typer.Option(
            help="The user, organisation or account number at the cloud; may be left out where "
            "the credentials reach exactly one."
        ),
    ] = "",
    region: Annotated[
        str,
        typer.Option(
            metavar="REGION|all",
            help="For clouds with regions: one, or all that are enabled, each as an account.",
        ),
    ] = "",
    credential: Annotated[
        str | None,
        typer.Option(
            "--credential",
            metavar="REF",
            help="Where the server finds the credentials: env:NAME, file:/path, or a form of the "
            "cloud's own. Default: the cloud's usual place.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the driver.")
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Ask the cloud first whether the credentials are good.")
    ] = True,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the first look, at most 60 s.")
    ] = True,
    dry_run: options.DryRunOption = False,
) -> None:
    """Connect an account. Nothing in it is changed: all its endpoints are only observed."""
    run = session(ctx)
    kind, reference = connecting.source(provider, credential)
    whole = region == ALL_REGIONS
    if whole and not verify:
        raise CliError(
            "all regions are found by asking the cloud", ExitCode.USAGE, "leave out --no-verify"
        )
    body = {
        "name": name,
        "provider": kind,
        "namespace": namespace,
        **({"region": region} if region and not whole else {}),
        "credential_ref": reference,
        "options": options.pairs(option, "option"),
    }
    query = {} if verify else {"verify": False}
    where = urls.path("accounts", *(("regions",) if whole else ()))
    answer = changes.Change(run, dry_run=dry_run).send("POST", where, body=body, query=query)
    if dry_run:
        changes.tell(run, answer)
        return
    made = answer["items"] if whole else [answer]
    if wait:
        made = connecting.first_looks(run, made)
    if whole:
        run.out.items({**answer, "items": made}, _columns(run, made))
    else:
        _show(run, made[0])
    if wait:
        connecting.tell(run, made)


@app.command(epilog="Example: orchestrator accounts update acme --credential file:/run/token")
def update(
    ctx: typer.Context,
    account: AccountArg,
    *,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    credential: Annotated[
        str | None, typer.Option(metavar="REF", help="Another place of the token.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="The driver's settings, all of them; repeatable."),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Ask the cloud first whether the token is good.")
    ] = True,
    dry_run: options.DryRunOption = False,
) -> None:
    """Rename an account, or change how its cloud is reached."""
    run = session(ctx)
    given = {"name": name, "credential_ref": credential}
    body: Json = {key: value for key, value in given.items() if value is not None}
    if option is not None:
        body["options"] = options.pairs(option, "option")
    query = {} if verify else {"verify": False}
    change = changes.Change(run, dry_run=dry_run)
    answer = change.send("PATCH", urls.path("accounts", account), body=body, query=query)
    if dry_run:
        changes.tell(run, answer)
    else:
        _show(run, answer)


@app.command(epilog="Example: orchestrator accounts remove acme")
def remove(
    ctx: typer.Context,
    account: AccountArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Forget an account. Its endpoints stay at the cloud as they are; its costs stay readable."""
    run = session(ctx)
    if not dry_run:
        run.confirm(f"Stop looking after {account}? Its endpoints are left as they are.", yes=yes)
    answer = changes.Change(run, dry_run=dry_run).send("DELETE", urls.path("accounts", account))
    if answer is not None:
        changes.tell(run, answer)
    else:
        run.out.say(f"{account} is removed; its endpoints are as they were")


def _columns(run: Session, accounts: Sequence[Json]) -> list[Column]:
    regions = [Column("region", lambda a: a["region"])] if _any(accounts, "region") else []
    return [
        Column("name", lambda a: a["name"]),
        Column("provider", lambda a: a["provider"]),
        Column("namespace", lambda a: a["namespace"]),
        *regions,
        Column("endpoints", lambda a: str(a.get("endpoint_count", 0)), right=True),
        Column(
            "health", _short_health, style=lambda a: "" if a.get("health") == "ok" else "yellow"
        ),
        Column("observed", lambda a: run.out.ago(a.get("observed_at")), right=True),
    ]


def _any(accounts: Sequence[Json], key: str) -> bool:
    return any(account.get(key) for account in accounts)


def _health(account: Json) -> str:
    frozen = ", frozen" if account.get("frozen") else ""
    detail = account.get("health_detail")
    return f"{account.get('health')}{frozen}" + (f": {detail}" if detail else "")


def _short_health(account: Json) -> str:
    """Return the health on one short line; `accounts show` has all of it."""
    told = _health(account)
    return (
        told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"
    )


def _show(run: Session, account: Json) -> None:
    frozen = account.get("frozen")
    run.out.record(
        account,
        [
            ("name", account["name"]),
            ("id", account["id"]),
            ("provider", account["provider"]),
            ("namespace", account["namespace"]),
            ("region", account.get("region") or ""),
            ("credential", account["credential_ref"]),
            ("options", formats.labels(account.get("options"))),
            ("endpoints", str(account.get("endpoint_count", 0))),
            ("health", _health(account)),
            ("observed", run.out.at(account.get("observed_at"))),
            ("calls", _calls(run, account)),
            ("counting", _counting(account.get("usage"))),
            ("frozen", f"since {run.out.at(frozen['at'])} by {frozen['by']}" if frozen else ""),
        ],
    )


def _calls(run: Session, account: Json) -> str:
    """Return how many calls the account has taken, and the most frequent ones."""
    calls: dict[str, int] = account.get("calls") or {}
    if not calls:
        return ""
    most = sorted(calls.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP_CALLS]
    top = ", ".join(f"{name} {count:,}" for name, count in most)
    return f"{sum(calls.values()):,} since {run.out.at(account.get('calls_since'))}, most: {top}"


def _counting(usage: Json | None) -> str:
    """Return of how many endpoints requests are counted, and what that costs a month."""
    if not usage or not usage["endpoints"]:
        return ""
    every = formats.duration(usage["every_seconds"])
    cost = formats.price(usage["price_per_month"], "")
    most = formats.price(usage["cap_per_month"], "")
    return f"requests of {usage['endpoints']} endpoints every {every}, {cost} a month, most {most}"
