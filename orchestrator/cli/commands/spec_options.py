"""Options of the commands that create and change endpoints."""

from __future__ import annotations

from typing import Annotated

import typer

HardwareOption = Annotated[
    str,
    typer.Option(
        metavar="KEY",
        help="Such as aws/us-east-1/nvidia-l4/x1 or ml.inf2.48xlarge; see `hardware`.",
    ),
]
EnvOption = Annotated[
    list[str] | None, typer.Option("--env", metavar="KEY=VALUE", help="Environment; repeatable.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="KEY=REF",
        help="Secret read from env:NAME or file:/path, never from the command line; repeatable.",
    ),
]
ServerSecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server-secret",
        metavar="KEY=REF",
        help="Secret that the server itself reads from env:NAME or file:/path, also after a "
        "restart; needs the scope admin; repeatable.",
    ),
]
ImageOption = Annotated[
    str | None, typer.Option(metavar="JSON", help="Container image as JSON, or @file.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="KEY=VALUE", help="Label it; repeatable."),
]
IdleOption = Annotated[
    str | None,
    typer.Option(
        "--idle", metavar="MINUTES", help="The cloud's own timer to zero, in minutes; off for none."
    ),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="A setting that only this cloud has; repeatable."
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="A tag of the cloud's own; repeatable."),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="It is paused then: 14d, 5wd (working days), or a date."),
]
ThenDeleteOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Delete it so long after it has expired: 7d."),
]
