"""One endpoint in time: what it did and why, at any instant, and what the rules will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from orchestrator.api.pages import charts, words
from orchestrator.api.pages.endpoint import RuleLine, rule_lines
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.costs.figures import Figure
from orchestrator.services import find
from orchestrator.services.errors import invalid
from orchestrator.services.timeline import Stretch, Timeline, timeline
from orchestrator.services.why import Line, Why, explain
from orchestrator.services.why_not import Wanted, why_not
from orchestrator.store import accounts

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MOST_LINES = 400
AHEAD = " ahead"
UNSEEN = ("", "unobserved", "unconfirmed")
_INPUT = "%Y-%m-%dT%H:%M"
Days = Annotated[int, Query(ge=1, le=92)]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the list: a stretch of time in words."""

    start: datetime
    length: str
    status: str
    tone: str
    wish: str
    rule: str
    reason: str
    cost: Figure | None
    ahead: bool
    waits: bool


@router.get("/history/{ref:path}")
def history_page(
    page: PageOf,
    ref: str,
    *,
    days: Days = 7,
    ahead: Annotated[int, Query(ge=0, le=92)] = 2,
    at: Annotated[str, Query(max_length=40)] = "",
    wanted: Annotated[Literal["", "running", "paused"], Query(alias="not")] = "",
) -> Response:
    """Show an endpoint in time, and why it was, is or will be so at an instant."""
    now = page.now
    instant = _instant(at) or now
    with page.context.database.read() as session:
        row = find.endpoint(session, ref)
        account = accounts.by_ids(session, [row.account_id])[row.account_id]
        start, end = now - timedelta(days=days), now + timedelta(days=ahead)
        paces = page.context.providers.pacing_report()
        found = timeline(session, row, start, end, now, paces=paces)
        why = explain(session, row, instant, now)
        asked: Wanted | None = wanted or None
        not_so = why_not(row, why, asked) if asked else None
    return page.render(
        "history.html",
        "/",
        at=row,
        account=account,
        days=days,
        ahead=ahead,
        found=found,
        lines=_lines(found),
        why=why,
        rules=_rules(why),
        looked=looked_at(why.lines),
        not_so=not_so,
        wanted=wanted,
        instant=instant.astimezone(UTC).strftime(_INPUT),
        legend=_legend(found.stretches),
        **_bars(found),
    )


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid(
            "at", f"{text!r} is no instant.", remedy="Such as 2026-03-01T18:00."
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _rules(why: Why) -> list[RuleLine]:
    return rule_lines(why) if why.lines else []


def looked_at(lines: Sequence[Line]) -> list[tuple[str, list[str]]]:
    """Return what each rule looked at, in words; nothing where it had nothing to look at."""
    told = [(str(line.rule).replace("_", " "), _said(line.inputs)) for line in lines]
    return [(rule, texts) for rule, texts in told if texts]


def _said(inputs: dict[str, Any]) -> list[str]:
    texts = [
        f"held {one['wish']} until {one['until']} by {one['actor']}: {one['reason']}"
        for one in inputs.get("holds", ())
    ]
    texts += [_schedule(one) for one in inputs.get("schedules", ())]
    texts += [
        f"{one['name']} ({one['timeout_minutes']:g} minutes): {one['verdict']}, {one['finding']}"
        for one in inputs.get("policies", ())
    ]
    evidence = inputs.get("evidence")
    if evidence:
        fresh = "fresh" if evidence["fresh"] else "not fresh"
        last = evidence["last_request_at"] or "none known"
        texts.append(f"evidence: last request {last}, known to {evidence['covered_to']}, {fresh}")
    if inputs.get("expires_at"):
        texts.append(f"expires {inputs['expires_at']}, set by {inputs['actor']}")
    return texts


def _schedule(one: dict[str, Any]) -> str:
    today = ", ".join(window["local"] for window in one["windows_today"]) or "no window that day"
    off = ", a day off" if one["day_off"] else ""
    return f"{one['name']}, {one['local_time']} in {one['timezone']}{off}: {today}"


def _lines(found: Timeline) -> list[HistoryLine]:
    return [_line(one) for one in found.stretches[::-1][:MOST_LINES]]


def _line(one: Stretch) -> HistoryLine:
    state = words.state(one.status) if one.status else None
    idle = "; sleeps if no request comes" if one.may_sleep else ""
    unseen = "; nobody looked" if one.evidence in UNSEEN else ""
    return HistoryLine(
        start=one.start,
        length=words.hours(int((one.end - one.start).total_seconds())),
        status="Not known" if state is None else state.text,
        tone="off" if state is None else state.tone,
        wish=words.wish_words(one.wish),
        rule=one.rule.partition(":")[0],
        reason=f"{one.reason}{idle}{unseen}".removeprefix("; "),
        cost=one.cost,
        ahead=one.phase == "future",
        waits=one.waits,
    )


def _bars(found: Timeline) -> dict[str, Any]:
    stretches = [_drawn(one) for one in found.stretches if one.status]
    wide = charts.time_bar(stretches, found.start, found.end, width=1340)
    narrow = charts.time_bar(stretches, found.start, found.end, width=340)
    return {"bar": wide, "narrow_bar": narrow}


def _drawn(one: Stretch) -> charts.Stretch:
    state = words.state(one.status)
    length = words.hours(int((one.end - one.start).total_seconds()))
    ahead = AHEAD if one.phase == "future" else ""
    told = "expected " if ahead else ""
    title = f"{told}{state.text} for {length} from {words.absolute(one.start)}: {one.reason}"
    return charts.Stretch(one.start, one.end, f"tint-{state.tone}{ahead}", title)


def _legend(stretches: Sequence[Stretch]) -> list[tuple[str, str]]:
    names: dict[str, list[str]] = {}
    for one in stretches:
        if one.status:
            state = words.state(one.status)
            known = names.setdefault(f"tint-{state.tone}", [])
            if state.text not in known:
                known.append(state.text)
    return [(fill, ", ".join(texts)) for fill, texts in names.items()]
