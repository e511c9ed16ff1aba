"""`orchestrator scan`, `doctor` and `demo`: first looks that need no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.session import session


def scan(
    ctx: typer.Context,
    *,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Only this kind of cloud; repeatable. Default: all with usual credentials.",
        ),
    ] = None,
    credential: Annotated[
        str | None,
        typer.Option(
            "--credential",
            "--token-ref",
            metavar="REF",
            help="Where the credentials are, such as env:NAME or file:/path; needs --provider "
            "unless its form tells the cloud. Default: the usual places of each cloud.",
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Only this user, organisation or account number; repeatable."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(help="Only this region; repeatable. Default: all that are enabled."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="[KIND.]KEY=VALUE", help="A setting of a cloud's driver; repeatable."),
    ] = None,
    usage: Annotated[
        bool,
        typer.Option(
            "--usage",
            help="Count the last day's requests where listings do not tell the last use. Some "
            "clouds charge for that; what it costs is shown.",
        ),
    ] = False,
) -> None:
    """List every endpoint you pay for, forgotten ones first. Changes nothing.

    Looks at 4 places (a namespace, or a region of it) at once, with at most 4 reads in each.

    Exit codes: 0 all was read, 9 some place could not be read whole, and 5 (credentials) or 6
    (no answer) when nothing could be read.
    """
    from orchestrator.cli import options  # noqa: PLC0415 - keeps `--help` quick
    from orchestrator.cli import scan as scanning  # noqa: PLC0415 - as above

    target = scanning.Target(
        kinds=tuple(provider or ()),
        credential=credential,
        namespaces=tuple(namespace or ()),
        regions=tuple(region or ()),
        options=options.pairs(option, "option"),
        usage=usage,
    )
    scanning.scan(session(ctx), target)


def doctor(
    ctx: typer.Context,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION[,...]",
            help="Only these: configuration, database, workers, clouds, nets, operations, "
            "notifications, backup, server; repeatable.",
        ),
    ] = None,
) -> None:
    """Check this installation, and say what would help. Changes nothing.

    Works on the store of this machine and needs no server; with --server it asks that one.

    Exit codes: 0 nothing has failed (warnings and what could not be checked do not count),
    7 something has.
    """
    from orchestrator.cli.doctor import doctor as check  # noqa: PLC0415 - keeps `--help` quick

    check(session(ctx), only or ())


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
