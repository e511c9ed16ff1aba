"""`orchestrator scan`, `doctor` and `demo`: first looks that need no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.session import session


def scan(
    ctx: typer.Context,
    *,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Only this user or organisation; repeatable. Default: all you can see."),
    ] = None,
    token_ref: Annotated[
        str | None,
        typer.Option(
            "--token-ref",
            metavar="REF",
            help="env:NAME, file:/path or hf-cli. Default: env:HF_TOKEN, then hf-cli.",
        ),
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another address of the management API.")
    ] = None,
    hub_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another address of the Hub.")
    ] = None,
) -> None:
    """List every endpoint you pay for at Hugging Face, forgotten ones first. Changes nothing."""
    from orchestrator.cli import scan as scanning  # noqa: PLC0415 - keeps `--help` quick

    target = scanning.Target(tuple(namespace or ()), token_ref, api_url, hub_url)
    scanning.scan(session(ctx), target)


def doctor(ctx: typer.Context) -> None:
    """Check this installation: settings, store, clock, credentials, clouds, server."""
    from orchestrator.cli.doctor import doctor as check  # noqa: PLC0415 - keeps `--help` quick

    check(session(ctx))


def demo(
    ctx: typer.Context,
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard.")] = 8080,
    days: Annotated[
        int, typer.Option(min=1, max=120, help="Days of history to live through.")
    ] = 15,
    speed: Annotated[
        float, typer.Option(min=1, max=3600, help="Virtual seconds per second from then on.")
    ] = 30.0,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where it is kept. Default: in the state dir."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again with a new history.")] = False,
) -> None:
    """Run everything against a simulated cloud with weeks of history; needs no account."""
    from orchestrator import logs  # noqa: PLC0415 - keeps `--help` quick
    from orchestrator.cli import demo as demonstration  # noqa: PLC0415 - as above

    run = session(ctx)
    logs.configure("warning", run.settings.log_format)
    root = folder or run.settings.state_dir / "demo"
    demonstration.demo(root, port=port, days=days, speed=speed, fresh=fresh)
