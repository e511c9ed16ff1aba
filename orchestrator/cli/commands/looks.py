"""`orchestrator scan`, `doctor` and `demo`: first looks that need no server."""

from __future__ import annotations

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


def demo(ctx: typer.Context) -> None:
    """Run everything against a simulated cloud."""
    session(ctx)
