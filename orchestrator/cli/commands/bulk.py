"""`orchestrator bulk`: one change of many endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

Json = dict[str, Any]
Action = Literal["pause", "resume", "scale-to-zero", "protect", "unprotect", "label", "delete"]


def bulk(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="What to do to each of them.")],
    *,
    label: options.LabelFilter = None,
    account: options.AccountOption = None,
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="Only in this one; repeatable.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only this one; repeatable.")
    ] = None,
    managed: Annotated[
        bool | None, typer.Option("--managed/--observed", help="Only managed, or only observed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All, without a condition.")] = False,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Keep them so until then: 18:00, 2h30m, a date."),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="With delete: paused so long first, 24h or 7d."),
    ] = None,
    set_labels: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With label: to add; repeatable."),
    ] = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Change many endpoints at once: shows the list, asks, and tells what became of each."""
    change = changes.Change(session(ctx), dry_run, wait, options.length(timeout))
    selector = _selector(label, account, status, ids, managed=managed, everything=everything)
    given = {
        "until": change.run.instant(until),
        "grace": grace,
        "set_labels": options.pairs(set_labels),
        "reason": reason,
    }
    body = {"action": action.replace("-", "_"), "selector": selector}
    _Bulk(change, yes=yes).run(body | {key: value for key, value in given.items() if value})


def _selector(
    label: list[str] | None,
    account: str | None,
    status: list[str] | None,
    ids: list[str] | None,
    *,
    managed: bool | None,
    everything: bool,
) -> Json:
    parts = {
        "labels": options.pairs(label),
        "account": account,
        "statuses": status,
        "ids": ids,
        "all": everything,
    }
    given = {key: value for key, value in parts.items() if value}
    if not given:
        raise CliError(
            "change what?", ExitCode.USAGE, "give --label, --account, --status, --id, or --all"
        )
    return given if managed is None else {**given, "managed": managed}


@dataclass(frozen=True, slots=True)
class _Bulk:
    """One bulk request: previewed, shown, confirmed, sent, and followed where wanted."""

    change: changes.Change
    yes: bool

    def run(self, body: Json) -> None:
        """Preview the list, ask, do it, and tell what became of each endpoint."""
        run, where = self.change.run, urls.path("endpoints", "bulk")
        rehearsal = changes.Change(run, dry_run=True)
        preview: Json = rehearsal.send("POST", where, body=body)
        if self.change.dry_run:
            _print(run, preview, preview["would"])
            return
        if not self.yes:
            self._ask(str(body["action"]), preview["would"])
        sent = {**body, "confirm": preview["would"]["confirm"]}
        answer: Json = self.change.send("POST", where, body=sent)
        _print(run, answer, answer)
        failures = self._failures(answer) if self.change.wait else 0
        _check(answer["refused"], failures)

    def _ask(self, action: str, would: Json) -> None:
        run = self.change.run
        if run.out.form == "table":
            _show(run, would)
        verb = action.replace("_", " ").capitalize()
        run.confirm(f"{verb} {_plural(would['accepted'], 'endpoint')}?", yes=False)

    def _failures(self, answer: Json) -> int:
        """Follow every operation to its end; return how many did not succeed."""
        run, failures = self.change.run, 0
        for item in answer["items"]:
            if item["operation"]:
                found: Any = run.api.get(urls.path("operations", item["operation"]))
                ended = waiting.follow(run, found, self.change.timeout)
                run.out.note(f"{item['endpoint']['name']}: {ended['status']} {ended['outcome']}")
                failures += ended["status"] != "succeeded"
        return failures


def _check(refused: int, failures: int) -> None:
    if failures:
        raise CliError(f"{_plural(failures, 'operation')} did not succeed", ExitCode.FAILED)
    if refused:
        raise CliError(f"{_plural(refused, 'endpoint')} refused", ExitCode.REFUSED)


def _print(run: Session, payload: Json, answer: Json) -> None:
    """Print the API's answer as it is, operations alone when quiet, or a table for people."""
    if run.out.form == "json":
        run.out.json(payload)
    elif run.quiet:
        run.out.lines(str(one["operation"]) for one in answer["items"] if one["operation"])
    else:
        _show(run, answer)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _name(item: Json) -> str:
    return f"{item['account']['name']}/{item['endpoint']['name']}"


def _show(run: Session, answer: Json) -> None:
    run.out.items(answer, _COLUMNS)
    blast = answer["blast_radius"]
    shares = f"{blast['share_of_managed']} % of the managed endpoints"
    if blast["share_of_awake"]:
        shares += f", {blast['share_of_awake']} % of those awake"
    made = "would change" if answer["id"] is None else "changed"
    run.out.say(f"{_plural(blast['changed'], 'endpoint')} {made}: {shares}")
    if answer["id"] is not None and any(one["operation"] for one in answer["items"]):
        run.out.say(f"follow: orchestrator operations list --bulk {answer['id']}")
    if not any(_cost(item) for item in answer["items"]):
        return
    run.out.say(
        f"stops {formats.price(blast['stopped_per_hour'], '/h')}, "
        f"starts {formats.price(blast['started_per_hour'], '/h')}"
        + (f", {blast['unpriced']} without a known price" if blast["unpriced"] else "")
    )


def _cost(item: Json) -> str:
    cost = item["cost_change"]
    if item["outcome"] != "accepted" or (cost and not Decimal(cost["amount"])):
        return ""
    text = formats.price(cost, "/h")
    return f"{text} + unpriced" if item["unpriced"] and cost else text


def _detail(item: Json) -> str:
    remedy = f" {item['remedy']}" if item["remedy"] else ""
    return f"{item['detail']}{remedy}"


_COLUMNS = [
    Column("endpoint", _name),
    Column("status", lambda item: item["status"]),
    Column("outcome", lambda item: item["outcome"]),
    Column("cost", _cost, right=True),
    Column("why", _detail),
]
