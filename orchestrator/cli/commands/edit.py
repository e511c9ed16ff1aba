"""`orchestrator endpoints create|update` and `orchestrator hardware`."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.commands.endpoints import app
from orchestrator.cli.commands.spec_options import (
    EnvOption,
    ExpiresOption,
    HardwareOption,
    IdleOption,
    ImageOption,
    LabelOption,
    SecretOption,
    ServerSecretOption,
    SettingOption,
    TagOption,
    ThenDeleteOption,
)
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

Json = dict[str, Any]
HARDWARE_PARTS = ("vendor", "region", "instance_type", "instance_size")


@app.command(
    epilog="Example: orchestrator endpoints create chat -a acme --repository Qwen/Qwen3-4B "
    "--hardware aws/us-east-1/nvidia-l4/x1 --min 0 --idle 15 --dry-run"
)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name at the cloud.")],
    *,
    account: Annotated[str, typer.Option("--account", "-a", help="In this account.")],
    repository: Annotated[str, typer.Option(help="The model, such as Qwen/Qwen3-4B.")],
    hardware: HardwareOption,
    minimum: Annotated[int, typer.Option("--min", min=0, help="Least replicas.")] = 0,
    maximum: Annotated[int, typer.Option("--max", min=1, help="Most replicas.")] = 1,
    idle: IdleOption = None,
    task: Annotated[str | None, typer.Option(help="Such as text-generation.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    framework: Annotated[str | None, typer.Option(help="pytorch, llamacpp or custom.")] = None,
    access: Annotated[str | None, typer.Option(help="authenticated, public or private.")] = None,
    image: ImageOption = None,
    env: EnvOption = None,
    secret: SecretOption = None,
    server_secret: ServerSecretOption = None,
    command: Annotated[list[str] | None, typer.Option(help="One word of the command.")] = None,
    argument: Annotated[list[str] | None, typer.Option("--arg", help="One argument.")] = None,
    option: SettingOption = None,
    tag: TagOption = None,
    label: LabelOption = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    expires: ExpiresOption = None,
    then_delete: ThenDeleteOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Create an endpoint, after showing what it will cost; --dry-run only shows."""
    run = session(ctx)
    body = _without_empty(
        {
            "account": account,
            "name": name,
            "repository": repository,
            "hardware": _hardware(run, account, hardware),
            "scaling": _scaling(minimum, maximum, idle),
            "task": task,
            "revision": revision,
            "framework": framework,
            "access": access,
            "image": _image(image),
            "environment": options.pairs(env, "variable"),
            "secrets": _secrets(secret, server_secret),
            "command": command,
            "arguments": argument,
            "options": _settings(option),
            "tags": tag,
            "labels": options.pairs(label),
            "owner": owner,
            "expiry": _expiry(expires, then_delete),
        }
    )
    where = urls.path("endpoints")
    if dry_run or not yes:
        rehearsal = changes.Change(run, dry_run=True).send("POST", where, body=body)
        if dry_run:
            changes.tell(run, rehearsal)
            return
        _ask(run, name, rehearsal)
    change = changes.Change(run, wait=wait, timeout=options.length(timeout))
    _finish(change, change.send("POST", where, body=body))


@app.command(
    epilog="Example: orchestrator endpoints update chat --max 3 --label team=search --wait"
)
def update(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    label: LabelOption = None,
    unlabel: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Remove a label; repeatable.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    protected: Annotated[
        bool | None, typer.Option(help="Protected: rules only propose, and never act.")
    ] = None,
    minimum: Annotated[int | None, typer.Option("--min", min=0, help="Least replicas.")] = None,
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="Most replicas.")] = None,
    idle: IdleOption = None,
    hardware: Annotated[
        str | None, typer.Option(metavar="KEY", help="Move it to this hardware.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="Another model, such as Qwen/Qwen3-4B.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    task: Annotated[str | None, typer.Option(help="Such as text-generation.")] = None,
    access: Annotated[str | None, typer.Option(help="authenticated, public or private.")] = None,
    image: ImageOption = None,
    env: EnvOption = None,
    secret: SecretOption = None,
    server_secret: ServerSecretOption = None,
    command: Annotated[list[str] | None, typer.Option(help="One word of the command.")] = None,
    argument: Annotated[list[str] | None, typer.Option("--arg", help="One argument.")] = None,
    option: SettingOption = None,
    tag: TagOption = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Change an endpoint: what is ours at once, what is the cloud's by an operation.

    --env, the secrets, --command, --arg and --tag each replace the whole set; labels are added.
    """
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint))
    body = _without_empty(
        {
            "owner": owner,
            "protected": protected,
            "repository": repository,
            "revision": revision,
            "task": task,
            "access": access,
            "image": _image(image),
            "environment": options.pairs(env, "variable"),
            "secrets": _secrets(secret, server_secret),
            "command": command,
            "arguments": argument,
            "options": _settings(option),
            "tags": tag,
        }
    )
    touched = (minimum, maximum, idle) != (None, None, None)
    if label or unlabel or hardware or touched:
        present: Json = run.api.get(where)
        if label or unlabel:
            body["labels"] = _labels(present, options.pairs(label), unlabel or [])
        if hardware:
            here = str((present.get("hardware") or {}).get("key") or "")
            body["hardware"] = _hardware(run, present["account"]["name"], hardware, here)
        if touched:
            body["scaling"] = _new_scaling(present, minimum, maximum, idle)
    if not body:
        raise CliError("nothing to change", ExitCode.USAGE, "see --help for what can be changed")
    body |= _without_empty({"reason": reason})
    change = changes.Change(run, dry_run, wait, options.length(timeout))
    _finish(change, change.send("PATCH", where, body=body))


@app.command(epilog="Example: orchestrator endpoints label chat team=search --remove stage")
def label(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Labels to add.")
    ] = None,
    *,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Remove a label; repeatable.")
    ] = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Label an endpoint; costs are grouped and rules are bound by labels."""
    run = session(ctx)
    added = options.pairs(labels)
    if not (added or remove):
        raise CliError("which label?", ExitCode.USAGE, "write KEY=VALUE, or --remove KEY")
    where = urls.path("endpoints", changes.resolve(run, endpoint))
    body = {"labels": _labels(run.api.get(where), added, remove or [])}
    answer = changes.Change(run, dry_run=dry_run).send("PATCH", where, body=body)
    if dry_run or run.out.form == "json" or run.quiet:
        changes.tell(run, answer)
    else:
        run.out.say(f"{changes.full_name(answer)}: {formats.labels(answer['labels'])}")


def hardware(ctx: typer.Context, account: options.AccountOption = None) -> None:
    """List the hardware that an account can use, with prices and quota."""
    run = session(ctx)
    page = run.api.pages(urls.path("hardware"), {"account": account})
    run.out.items(page, _OFFERS, rows=[_flat_offer(item) for item in page["items"]], key="key")


def _flat_offer(offer: Json) -> Json:
    nested = offer.get("hardware")
    return {**nested, **offer} if isinstance(nested, dict) else offer


def _quota(offer: Json) -> str:
    quota = offer.get("quota")
    known = quota if isinstance(quota, dict) else offer
    used = known.get("used", known.get("quota_used"))
    most = known.get("max", known.get("quota_max"))
    return formats.NOTHING if most is None else f"{'?' if used is None else used} of {most}"


_OFFERS = (
    Column("hardware", lambda o: str(o["key"])),
    Column("price", lambda o: formats.price(o.get("price_per_hour")), right=True),
    Column("accelerators", lambda o: str(o.get("accelerators") or formats.NOTHING), right=True),
    Column("kind", lambda o: str(o.get("architecture") or o.get("accelerator") or "")),
    Column("status", lambda o: str(o.get("status") or "")),
    Column("quota", _quota, right=True),
)


def _hardware(run: Session, account: str, key: str, here: str = "") -> Json:
    """Return the parts of a hardware key of the account's price list; `here` is its present one."""
    page = run.api.pages(urls.path("hardware"), {"account": account})
    offers = {str(offer["key"]): offer for offer in map(_flat_offer, page["items"])}
    named = [found for found, offer in offers.items() if offer.get("instance_type") == key]
    key = named[0] if len(named) == 1 else key
    offer = offers.get(key)
    if offer is None:
        place = "/".join(here.split("/")[:2])
        near = [found for found in sorted(offers) if found.startswith(place)]
        asked = f"{place}/{key}/x1" if place and "/" not in key else key
        close = difflib.get_close_matches(asked, near, n=1, cutoff=0.3)
        remedy = f"did you mean {close[0]}?" if close else "see `orchestrator hardware`"
        raise CliError(f"{key!r} is no hardware of {account}", ExitCode.USAGE, remedy)
    parts = dict(zip(HARDWARE_PARTS, key.split("/"), strict=True))
    return {**parts, "accelerator": offer.get("accelerator") or ""}


def _scaling(minimum: int, maximum: int, idle: str | None) -> Json:
    return {
        "min_replicas": minimum,
        "max_replicas": maximum,
        "scale_to_zero_minutes": _idle(idle),
    }


def _new_scaling(present: Json, minimum: int | None, maximum: int | None, idle: str | None) -> Json:
    """Return the whole scaling of an endpoint with the given parts replaced."""
    old = present.get("scaling") or {}
    given = {"min_replicas": minimum, "max_replicas": maximum}
    new = {name: old.get(name) if value is None else value for name, value in given.items()}
    unknown = [name for name, value in new.items() if value is None]
    if unknown:
        raise CliError(
            f"the cloud does not tell {' and '.join(unknown)} of this endpoint",
            ExitCode.USAGE,
            "give both --min and --max",
        )
    # What may not go to zero has no timer to zero; clouds refuse one.
    kept = None if new["min_replicas"] else old.get("scale_to_zero_minutes")
    return {**new, "scale_to_zero_minutes": kept if idle is None else _idle(idle)}


def _idle(text: str | None) -> int | None:
    if text is None or text == "off":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise CliError(f"{text!r} is no idle timer", ExitCode.USAGE, "write minutes, or off")
    return int(text)


def _image(text: str | None) -> Json | None:
    if text is None:
        return None
    try:
        raw = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        image = json.loads(raw)
    except (OSError, ValueError) as error:
        remedy = 'write {"huggingface": {}} or @file'
        raise CliError(f"--image cannot be read: {error}", ExitCode.USAGE, remedy) from None
    if not isinstance(image, dict):
        raise CliError("--image is no JSON object", ExitCode.USAGE, 'write {"huggingface": {}}')
    return image


def _settings(texts: list[str] | None) -> Json:
    """Return the cloud's own settings; numbers and yes or no are sent as what they are."""
    words: Json = {"true": True, "false": False}
    return {
        key: words.get(text, int(text) if text.isdecimal() else text)
        for key, text in options.pairs(texts, "setting").items()
    }


def _secrets(texts: list[str] | None, server_texts: list[str] | None) -> dict[str, str]:
    """Return values that are read here, and references that the server will read."""
    here = {key: _secret(key, ref) for key, ref in options.pairs(texts, "secret").items()}
    there = options.pairs(server_texts, "secret")
    for key, reference in there.items():
        if not reference.startswith(("env:", "file:")):
            remedy = f"write {key}=env:NAME or {key}=file:/path"
            raise CliError(f"--server-secret {key} is no reference", ExitCode.USAGE, remedy)
    return {**here, **there}


def _secret(key: str, reference: str) -> str:
    """Return the value of `env:NAME` or `file:/path`; a value itself is refused unseen."""
    kind, _, rest = reference.partition(":")
    remedy = f"write {key}=env:NAME or {key}=file:/path"
    if kind == "env" and rest in os.environ:
        return os.environ[rest]
    if kind == "env":
        raise CliError(f"--secret {key}: the variable {rest} is not set", ExitCode.USAGE, remedy)
    if kind != "file":
        raise CliError(f"--secret {key} is no reference", ExitCode.USAGE, remedy)
    try:
        return Path(rest).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise CliError(f"--secret {key}: {rest} cannot be read: {why}", ExitCode.USAGE) from None


def _labels(present: Json, added: dict[str, str], removed: Sequence[str]) -> dict[str, str]:
    kept = {key: text for key, text in (present.get("labels") or {}).items() if key not in removed}
    return {**kept, **added}


def _without_empty(body: Json) -> Json:
    return {key: value for key, value in body.items() if value not in (None, {}, [], "")}


def _ask(run: Session, name: str, rehearsal: Json) -> None:
    for line in changes.sentences(run, rehearsal)[1:]:
        run.out.note(line)
    run.confirm(f"Create {name}?", yes=False)


def _finish(change: changes.Change, answer: Json) -> None:
    ended = change.finish(answer)
    changes.tell(change.run, ended)
    if change.wait and not change.dry_run and changes.is_operation(ended):
        waiting.check(ended)


def _expiry(expires: str | None, then_delete: str | None) -> Json | None:
    if expires is None and then_delete is not None:
        raise CliError("--then-delete what?", ExitCode.USAGE, "give --expires 14d as well")
    if expires is None:
        return None
    return {"expires": expires, **({"delete_grace": then_delete} if then_delete else {})}
