"""What all commands that change something share: rehearse, send, wait, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.cli import formats, urls, waiting
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One change as the person wants it made."""

    run: Session
    dry_run: bool = False
    wait: bool = False
    timeout: timedelta = timedelta(minutes=15)

    def send(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """Send the change, or rehearse it; return what the server answered."""
        asked = {**(query or {}), **({"dry_run": True} if self.dry_run else {})}
        return self.run.api.send(method, path, query=asked, body=body).payload

    def finish(self, answer: Json) -> Json:
        """Follow the operation to its end where the person wants to wait for it."""
        if self.dry_run or not self.wait or not is_operation(answer):
            return answer
        return {**answer, **waiting.follow(self.run, answer, self.timeout)}


def is_operation(answer: Any) -> bool:
    """Tell whether an answer is an operation."""
    return isinstance(answer, dict) and "kind" in answer and "steps" in answer


def resolve(run: Session, endpoint: str) -> str:
    """Return what the API calls an endpoint: its id, `account/name`, or a name that is unique.

    Raises CliError when no endpoint, or more than one, has that name.
    """
    if "/" in endpoint or endpoint.startswith("ep_"):
        return endpoint
    found = run.api.pages(urls.path("endpoints"), {"name": endpoint})["items"]
    exact = [item for item in found if item["name"] == endpoint]
    if len(exact) == 1:
        return str(exact[0]["id"])
    if exact:
        choices = ", ".join(full_name(item) for item in exact)
        raise CliError(f"{endpoint!r} is in several accounts", ExitCode.USAGE, f"one of {choices}")
    near = ", ".join(full_name(item) for item in found[:3])
    remedy = f"did you mean {near}?" if near else "see `orchestrator endpoints list`"
    raise CliError(f"no endpoint is called {endpoint!r}", ExitCode.NOT_FOUND, formats.plain(remedy))


def full_name(endpoint: Mapping[str, Any]) -> str:
    """Return `account/name` of an endpoint."""
    return f"{endpoint['account']['name']}/{endpoint['name']}"


def tell(run: Session, answer: Json) -> None:
    """Print in a sentence or two what an operation does, and what a hold costs."""
    if run.out.form == "json":
        run.out.json(answer)
    elif run.quiet:
        run.out.lines([str(answer.get("id", ""))])
    else:
        for sentence in sentences(run, answer):
            run.out.say(sentence)


def sentences(run: Session, answer: Json) -> list[str]:
    """Return what an answer to a change means."""
    if answer.get("dry_run"):
        would = answer.get("would") or {}
        return ["Dry run, nothing is changed. It would be:", *_meaning(run, would, made=False)]
    return _meaning(run, answer, made=True)


def _meaning(run: Session, answer: Json, *, made: bool) -> list[str]:
    if not is_operation(answer):
        return [f"{key}: {shown}" for key, shown in flat(answer).items()]
    target = (answer.get("endpoint") or {}).get("name", "")
    state = f": {answer['status']} ({answer['id']})" if made else ""
    lines = [f"{answer['kind']} of {target}{state}"]
    if answer.get("outcome"):
        lines.append(f"outcome: {answer['outcome']}")
    return [*lines, *_hold(run, answer.get("hold"), made=made), *_estimate(answer, made=made)]


def _hold(run: Session, hold: Json | None, *, made: bool) -> list[str]:
    if not hold:
        return []
    cost = "" if hold["wish"] == "paused" else f", costs {formats.amount(hold.get('cost'))}"
    name = f" ({hold['id']})" if made else ""
    return [f"held {hold['wish']} until {run.out.at(hold['until'])}{cost}{name}"]


def _estimate(answer: Json, *, made: bool) -> list[str]:
    if "price_per_hour" not in answer:
        return []
    hourly, monthly = (
        _range(answer.get(f"price_per_{span}"), answer.get(f"price_per_{span}_most"), unit)
        for span, unit in (("hour", "/h"), ("month", "/month"))
    )
    payload = [] if made else [f"{key}: {text}" for key, text in flat(answer["payload"]).items()]
    warnings = [f"warning: {text}" for text in answer.get("warnings") or []]
    one = formats.price(answer.get("price_per_replica_hour"), "/h")
    price = [f"one replica: {one}", f"price: {hourly}", f"per month of 730 h: {monthly}"]
    return [*price, *_rollout(answer), *payload, *warnings]


def _rollout(answer: Json) -> list[str]:
    """Return what it costs now, and while the old and the new replicas of an update both run."""
    now, both, cost = (
        formats.price(answer.get(key), unit)
        for key, unit in (
            ("price_per_hour_before", "/h"),
            ("price_per_hour_rollout", "/h"),
            ("rollout_cost", ""),
        )
    )
    if answer.get("price_per_hour_rollout") is None:
        return [f"now: {now}"] if answer.get("price_per_hour_before") else []
    seconds = answer.get("rollout_seconds")
    usual = f" for usually {formats.duration(seconds)}: up to {cost} more" if seconds else ""
    return [f"now: {now}", f"while it rolls out: up to {both}{usual}"]


def _range(least: Json | None, most: Json | None, unit: str) -> str:
    low, high = formats.price(least, unit), formats.price(most, unit)
    return low if low == high else f"{low} to {high}, from least to most replicas"


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Return nested values as dotted names and texts, without those that are empty."""
    if isinstance(value, dict):
        if "amount" in value and "currency" in value:
            return {prefix: formats.amount(value) if "low" in value else formats.price(value, "")}
        out: dict[str, str] = {}
        for key, item in value.items():
            out |= flat(item, f"{prefix}.{key}" if prefix else str(key))
        return out
    if value is None or value in ("", []):
        return {}
    if isinstance(value, list):
        return {prefix: ", ".join(_one(item) for item in value)}
    return {prefix: _one(value)}


def _one(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{key}={text}" for key, text in flat(value).items())
    return str(value)
