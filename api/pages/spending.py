"""Spending by team and by day, as the first page draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.api.pages import charts, words
from orchestrator.costs.figures import Burn, Figure
from orchestrator.domain.money import NANO, format_dollars
from orchestrator.services.overview import DayLine, Overview, TeamLine
from orchestrator.store.overview import FleetQuery

NO_TEAM = "-"
_LABELLED_DAYS = frozenset({1, 8, 15, 22})

Legend = Sequence[tuple[str, str]]


def spending_of(view: Overview, query: FleetQuery) -> dict[str, Any]:
    """Return what the template needs of teams and days."""
    palette = _palette(view)
    return {
        "team_options": _team_options(view, query),
        "team_lines": _team_lines(view, palette),
        "only_unlabelled": [line.team for line in view.teams] == [""],
        **(_days(view, palette) if view.days else {}),
    }


@dataclass(frozen=True, slots=True)
class TeamText:
    """A team's line, in words; `key` is what the address says."""

    key: str
    name: str
    fill: str
    share: float
    endpoints: str
    burn: str
    month: Figure


@dataclass(frozen=True, slots=True)
class Option:
    """A choice of the team filter."""

    key: str
    name: str
    selected: bool


def _team_name(team: str) -> str:
    return team or "no team"


def _palette(view: Overview) -> Mapping[str, str]:
    """Colours by cost of the month: the dearest teams have their own, the rest share one."""
    named = [line.team for line in view.teams if line.team]
    return {team: f"fill-{number + 1}" for number, team in enumerate(named[: charts.COLOURS])}


def _team_lines(view: Overview, palette: Mapping[str, str]) -> list[TeamText]:
    most = max([1, *(line.month.nano for line in view.teams)])
    return [_team_text(line, palette, most) for line in view.teams]


def _team_text(line: TeamLine, palette: Mapping[str, str], most: int) -> TeamText:
    return TeamText(
        key=line.team or NO_TEAM,
        name=_team_name(line.team),
        fill=palette.get(line.team, "fill-other"),
        share=charts.share(line.month.nano, most),
        endpoints=words.plural(line.endpoints, "endpoint"),
        burn=_burn(line.burn),
        month=line.month,
    )


def _burn(burn: Burn) -> str:
    if burn.nano:
        return f"{words.price(burn.nano)}/h" + (" +" if burn.unpriced else "")
    return "unpriced" if burn.unpriced else "–"  # noqa: RUF001 - a dash stands for nothing


def _team_options(view: Overview, query: FleetQuery) -> list[Option]:
    return [
        Option(line.team or NO_TEAM, _team_name(line.team), query.team == line.team)
        for line in view.teams
        if line.endpoints
    ]


@dataclass(frozen=True, slots=True)
class DayText:
    """A day of the chart's table."""

    name: str
    parts: Sequence[int]
    total: Figure


def _days(view: Overview, palette: Mapping[str, str]) -> dict[str, Any]:
    named = list(palette)
    legend = [(team, palette[team]) for team in named]
    rest = sum(one.total.nano for one in view.days) - sum(
        one.teams[team].nano for one in view.days for team in named if team in one.teams
    )
    if rest or not named:
        legend.append(("others and no team" if named else "all endpoints", "fill-other"))
    lines = [_day_text(one, named, with_rest=len(legend) > len(named)) for one in view.days]
    peak = max([0, *(one.total.high for one in view.days)])
    steps = [(step, axis(step)) for step in charts.scale_steps(peak, NANO)]
    slots = [_slot(one, view, legend, line) for one, line in zip(view.days, lines, strict=True)]
    return {
        "legend": legend,
        "chart": charts.stack(slots, steps),
        "narrow_chart": charts.stack(charts.thinned(slots), steps, width=340, height=170),
        "day_lines": lines[::-1],
    }


def _day_text(one: DayLine, named: Sequence[str], *, with_rest: bool) -> DayText:
    parts = [one.teams[team].nano if team in one.teams else 0 for team in named]
    if with_rest:
        parts.append(one.total.nano - sum(parts))
    return DayText(words.day(one.day), parts, one.total)


def axis(nano: int) -> str:
    """Return an amount for the scale of a chart."""
    return format_dollars(nano, 0 if nano % NANO == 0 else 2)


def _slot(one: DayLine, view: Overview, legend: Legend, line: DayText) -> charts.Slot:
    today = one.day == view.now.date()
    told = [
        f"{name} {words.dollars(amount)}"
        for (name, _), amount in zip(legend, line.parts, strict=True)
        if amount
    ]
    heading = f"{one.day:%a} {words.day(one.day)}{', so far' if today else ''}"
    return charts.Slot(
        label="today" if today else _label(one),
        parts=tuple((fill, part) for (_, fill), part in zip(legend, line.parts, strict=True)),
        low=one.total.low,
        high=one.total.high,
        title="\n".join((f"{heading}: {words.money(one.total)}", *told)),
        partial=today,
        incomplete=bool(one.total.unpriced_seconds),
    )


def _label(one: DayLine) -> str:
    return f"{one.day.day} {one.day:%b}" if one.day.day in _LABELLED_DAYS else ""
