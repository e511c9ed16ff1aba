"""`orchestrator accounts`: the places where endpoints live."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Accounts: the places where endpoints live.", no_args_is_help=True)

AccountArg = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or name.")]


@app.command("list", epilog="Example: orchestrator accounts list")
def list_accounts(ctx: typer.Context) -> None:
    """List accounts with their health."""
    run = session(ctx)
    run.out.items(
        run.api.pages(urls.path("accounts")),
        _columns(run),
        empty="no account yet; add one with `orchestrator accounts add`",
    )


@app.command(epilog="Example: orchestrator accounts show acme")
def show(ctx: typer.Context, account: AccountArg) -> None:
    """Show one account."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("accounts", account)))


@app.command(
    epilog="Example: orchestrator accounts add acme --namespace acme-corp --credential env:HF_TOKEN"
)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    namespace: Annotated[str, typer.Option(help="The user or organisation at the cloud.")],
    credential: Annotated[
        str,
        typer.Option(
            "--credential",
            metavar="REF",
            help="Where the server finds the token: env:NAME, file:/path or hf-cli.",
        ),
    ] = "env:HF_TOKEN",
    provider: Annotated[str, typer.Option(help="The kind of cloud.")] = "huggingface",
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the driver.")
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Ask the cloud first whether the token is good.")
    ] = True,
    dry_run: options.DryRunOption = False,
) -> None:
    """Connect an account. Nothing in it is changed: all its endpoints are only observed."""
    run = session(ctx)
    body = {
        "name": name,
        "provider": provider,
        "namespace": namespace,
        "credential_ref": credential,
        "options": options.pairs(option, "option"),
    }
    query = {} if verify else {"verify": False}
    change = changes.Change(run, dry_run=dry_run)
    answer = change.send("POST", urls.path("accounts"), body=body, query=query)
    if dry_run:
        changes.tell(run, answer)
    else:
        _show(run, answer)


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
    body: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
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


def _columns(run: Session) -> list[Column]:
    return [
        Column("name", lambda a: a["name"]),
        Column("provider", lambda a: a["provider"]),
        Column("namespace", lambda a: a["namespace"]),
        Column("endpoints", lambda a: str(a.get("endpoint_count", 0)), right=True),
        Column("health", _health, style=lambda a: "" if a.get("health") == "ok" else "yellow"),
        Column("observed", lambda a: run.out.ago(a.get("observed_at")), right=True),
    ]


def _health(account: dict[str, Any]) -> str:
    frozen = ", frozen" if account.get("frozen") else ""
    detail = account.get("health_detail")
    return f"{account.get('health')}{frozen}" + (f": {detail}" if detail else "")


def _show(run: Session, account: dict[str, Any]) -> None:
    frozen = account.get("frozen")
    run.out.record(
        account,
        [
            ("name", account["name"]),
            ("id", account["id"]),
            ("provider", account["provider"]),
            ("namespace", account["namespace"]),
            ("credential", account["credential_ref"]),
            ("options", formats.labels(account.get("options"))),
            ("endpoints", str(account.get("endpoint_count", 0))),
            ("health", _health(account)),
            ("observed", run.out.at(account.get("observed_at"))),
            ("frozen", f"since {run.out.at(frozen['at'])} by {frozen['by']}" if frozen else ""),
        ],
    )
