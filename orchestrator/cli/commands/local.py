"""Commands that need no server: config, version, db, serve, worker, demo."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from orchestrator import __version__
from orchestrator.cli import urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

db_app = typer.Typer(help="The database of this installation.", no_args_is_help=True)


def version(ctx: typer.Context) -> None:
    """Show the version."""
    run = session(ctx)
    if run.out.form == "json":
        run.out.json({"version": __version__})
    else:
        run.out.lines([__version__])


def config(ctx: typer.Context) -> None:
    """Show every setting, its value and where it comes from; secrets are redacted."""
    run = session(ctx)
    rows = [
        {"name": item.name, "value": item.value, "origin": item.origin, "where": item.where}
        for item in run.settings.sources()
    ]
    columns = (
        Column("setting", lambda s: s["name"]),
        Column("value", lambda s: s["value"]),
        Column("from", lambda s: " ".join(filter(None, (s["origin"], s["where"])))),
    )
    run.out.items({"items": rows}, columns, key="name")


@db_app.command(epilog="Example: orchestrator db upgrade")
def upgrade(ctx: typer.Context) -> None:
    """Bring the schema to what this version needs; nothing is done if it is there."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    revision = database.upgrade(run.settings)
    _tell(run, {"revision": revision}, f"the schema is at {revision}")


@db_app.command(epilog="Example: orchestrator db check")
def check(ctx: typer.Context) -> None:
    """Tell whether the schema is what this version needs; fails if not."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    found = database.check(run.settings)
    _tell(run, found.as_json(), found.sentence)
    if not found.current:
        raise CliError(found.sentence, ExitCode.FAILED, "run `orchestrator db upgrade`")


def serve(
    ctx: typer.Context,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port.")] = None,
    engine: Annotated[bool, typer.Option(help="Run the engine in this process too.")] = True,
) -> None:
    """Run the server: API, dashboard and, unless --no-engine, the engine."""
    run = session(ctx)
    settings = run.settings.with_overrides(host=host, port=port)
    check_address(settings.host, settings.public_url)
    from orchestrator.cli import runtime  # noqa: PLC0415 - keeps `--help` quick

    _configure_logs(run)
    runtime.serve(settings, engine=engine)


def worker(ctx: typer.Context) -> None:
    """Run the engine alone; on Postgres any number of workers and servers share the accounts."""
    from orchestrator.cli import runtime  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    _configure_logs(run)
    runtime.worker(run.settings)


def check_address(host: str, public_url: str | None) -> None:
    """Refuse to listen beyond this machine unless somebody has thought of how it is reached.

    Tokens travel in each request, so the way to it has to be encrypted.
    """

    if urls.is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}"):
        return
    if public_url is None:
        raise CliError(
            f"listening on {host} makes the server reachable from other machines",
            ExitCode.USAGE,
            "set ORCHESTRATOR_PUBLIC_URL to the https address that people will use, with a proxy "
            "in front that ends TLS; or listen on 127.0.0.1",
        )
    parts = urlsplit(public_url)
    if parts.scheme != "https" and not urls.is_loopback(public_url):
        raise CliError(
            f"public_url {public_url} is not https, and tokens would travel in clear text",
            ExitCode.USAGE,
            "put a proxy in front that ends TLS, and name its https address",
        )


def _configure_logs(run: Session) -> None:
    from orchestrator import logs  # noqa: PLC0415 - keeps `--help` quick

    logs.configure(run.settings.log_level, run.settings.log_format)


def _tell(run: Session, payload: dict[str, object], sentence: str) -> None:
    if run.out.form == "json":
        run.out.json(payload)
    else:
        run.out.say(sentence)
