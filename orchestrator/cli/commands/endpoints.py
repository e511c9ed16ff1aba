"""`orchestrator endpoints`: see what runs, what it costs, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.output import Column, status_style
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Endpoints: see, start, stop, create, adopt.", no_args_is_help=True)
Json = Mapping[str, Any]


@app.command(
    "list",
    epilog="Example: orchestrator endpoints list --label team=search --sort=-burn",
)
def list_endpoints(
    ctx: typer.Context,
    *,
    account: options.AccountOption = None,
    status: Annotated[str | None, typer.Option(help="running, paused, scaled_to_zero, ...")] = None,
    managed: Annotated[
        bool | None, typer.Option("--managed/--observed", help="Only those we act on, or not.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    label: options.LabelFilter = None,
    hardware: Annotated[
        str | None, typer.Option(help="Only on this hardware, such as aws/us-east-1/nvidia-l4/x1.")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted ones too.")] = False,
    expiring_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only those that expire by then: 7d, a date.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="name, status or -burn.")] = None,
    limit: options.LimitOption = 0,
) -> None:
    """List endpoints with their status, price, cost and the next change."""
    run = session(ctx)
    query = {
        "account": account,
        "status": status,
        "managed": managed,
        "name": name,
        "label": label,
        "hardware": hardware,
        "deleted": deleted or None,
        "expiring_before": run.instant(expiring_before),
        "sort": sort,
    }
    page = run.api.pages(urls.path("endpoints"), query, limit)
    run.out.items(page, _columns(run), empty="no endpoints")


@app.command(epilog="Example: orchestrator endpoints show acme/search-api")
def show(ctx: typer.Context, endpoint: options.EndpointArg) -> None:
    """Show all that is known of one endpoint."""
    run = session(ctx)
    found: Any = run.api.get(urls.path("endpoints", changes.resolve(run, endpoint)))
    run.out.record(found, _pairs(run, found))


@app.command(epilog="Example: orchestrator endpoints events search-api")
def events(
    ctx: typer.Context, endpoint: options.EndpointArg, limit: options.LimitOption = 50
) -> None:
    """List what happened to an endpoint, newest first."""
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint), "events")
    run.out.items(run.api.pages(where, {}, limit), event_columns(run), empty="no events")


def event_columns(run: Session) -> list[Column]:
    """Return the columns of a list of events."""
    return [
        Column("at", lambda e: run.out.at(e["at"])),
        Column("kind", lambda e: e["kind"]),
        Column("by", lambda e: e.get("actor") or ""),
        Column("what", lambda e: e.get("message") or ""),
    ]


def next_change(run: Session, endpoint: Json) -> str:
    """Return the next change that a rule will make, such as `paused at 2026-03-02 19:00 CET`."""
    change = endpoint.get("next_change")
    if not change:
        return formats.NOTHING
    return f"{change.get('wish') or 'no rule'} at {run.out.at(change.get('at'))}"


def _columns(run: Session) -> list[Column]:
    return [
        Column("endpoint", changes.full_name),
        Column("status", lambda e: e["status"], style=status_style),
        Column("hardware", _hardware, optional=True),
        Column("replicas", _replicas, right=True, optional=True),
        Column("now", _burn, right=True),
        Column("this month", lambda e: formats.money(e.get("month_to_date")), right=True),
        Column(
            "last used", lambda e: run.out.ago(e.get("last_used_at")), right=True, optional=True
        ),
        Column("by us", lambda e: "managed" if e.get("managed") else "observed", optional=True),
        Column("next", lambda e: next_change(run, e)),
        Column("labels", lambda e: formats.labels(e.get("labels")), optional=True),
    ]


def _hardware(endpoint: Json) -> str:
    hardware = endpoint.get("hardware") or {}
    return f"{hardware.get('instance_type', '?')} {hardware.get('instance_size', '?')}"


def _replicas(endpoint: Json) -> str:
    replicas = endpoint.get("replicas") or {}
    ready, target = replicas.get("ready"), replicas.get("target")
    return f"{'?' if ready is None else ready}/{'?' if target is None else target}"


def _burn(endpoint: Json) -> str:
    known = endpoint.get("burn_per_hour")
    components = endpoint.get("components") or []
    missing = known and any(one["burn_per_hour"] is None for one in components)
    return f"{formats.price(known)} + {formats.UNPRICED}" if missing else formats.price(known)


def _burn_in_parts(endpoint: Json) -> str:
    """Return what it costs now; where more than compute is billed, each component by itself."""
    components = endpoint.get("components") or []
    if len(components) < 2:
        return _burn(endpoint)
    parts = [f"{one['component']} {formats.price(one['burn_per_hour'])}" for one in components]
    return f"{_burn(endpoint)}: {', '.join(parts)}"


def _bounds(endpoint: Json) -> str:
    scaling = endpoint.get("scaling") or {}
    if scaling.get("min_replicas") is None:
        return formats.NOTHING
    idle = scaling.get("scale_to_zero_minutes")
    timer = f", to zero after {idle} min idle" if idle is not None else ", no idle timer"
    return f"{scaling['min_replicas']} to {scaling.get('max_replicas')}{timer}"


def _billed(endpoint: Json) -> str:
    billed = (endpoint.get("replicas") or {}).get("billed")
    if not billed:
        return formats.NOTHING
    low, expected, high = (billed.get(name) for name in ("low", "expected", "high"))
    return str(expected) if low == high else f"{expected} (between {low} and {high})"


def _pairs(run: Session, found: Json) -> list[tuple[str, str]]:
    return [*_what_it_is(run, found), *_what_is_wanted(run, found)]


def _what_it_is(run: Session, found: Json) -> list[tuple[str, str]]:
    at = run.out.at
    model = found.get("model") or {}
    return [
        ("endpoint", changes.full_name(found)),
        ("id", found["id"]),
        ("status", f"{found['status']} since {at(found.get('status_since'))}"),
        ("message", found.get("message") or ""),
        ("cloud says", found.get("cloud_state") or ""),
        ("url", found.get("url") or ""),
        ("model", " ".join(filter(None, (model.get("repository"), model.get("task"))))),
        ("hardware", (found.get("hardware") or {}).get("key", "")),
        ("replicas", f"{_replicas(found)} ready"),
        ("billed now", _billed(found)),
        ("bounds", _bounds(found)),
        ("costs now", _burn_in_parts(found)),
        ("this month", formats.money(found.get("month_to_date"))),
        ("last used", at(found.get("last_used_at"))),
        ("created", at(found.get("created_at"))),
        ("first seen", at(found.get("first_seen_at"))),
        ("confirmed", at(found.get("confirmed_at"))),
        ("deleted", at(found.get("deleted_at"))),
        ("not told", ", ".join(found.get("gaps") or [])),
    ]


def _what_is_wanted(run: Session, found: Json) -> list[tuple[str, str]]:
    wish, decision = found.get("wish") or {}, found.get("decision") or {}
    deletion = found.get("deletion") or {}
    operation = found.get("operation") or {}
    holds = [
        ("hold", f"{h['wish']} until {run.out.at(h['until'])} by {h.get('actor')} ({h['id']})")
        for h in found.get("holds") or []
    ]
    return [
        ("managed", "yes" if found.get("managed") else "no, only observed"),
        ("observed only", found.get("observe_only") or ""),
        ("protected", "yes" if found.get("protected") else ""),
        ("owner", found.get("owner") or ""),
        ("labels", formats.labels(found.get("labels"))),
        ("cloud labels", formats.labels(found.get("cloud_labels"))),
        ("wish", f"{wish['wish']}: {wish.get('reason')} ({wish.get('actor')})" if wish else ""),
        (
            "decision",
            f"{decision['wish'] or 'as it is'}: {decision.get('reason')}" if decision else "",
        ),
        ("next", next_change(run, found)),
        *holds,
        ("operation", f"{operation['kind']} {operation['status']}" if operation else ""),
        ("stuck", waiting.stuck(operation, run.clock.now()) if operation else ""),
        ("expires", _expires(run, found.get("expiry"))),
        (
            "deleted after",
            f"{run.out.at(deletion['after'])}, {deletion['actor']} asked: {deletion['reason']}"
            if deletion
            else "",
        ),
    ]


def _expires(run: Session, expiry: Json | None) -> str:
    if not expiry:
        return ""
    return f"{run.out.at(expiry['at'])}, set by {expiry['actor']}: {expiry['reason']}"
