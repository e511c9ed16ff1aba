"""Advice in words, and as rules that can be reviewed and applied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import time
from hashlib import blake2b
from typing import Any

from orchestrator.domain.backtest.advice import Advice, Prices
from orchestrator.domain.backtest.days import MINUTE
from orchestrator.domain.backtest.figures import cost_of
from orchestrator.domain.backtest.policies import Policy
from orchestrator.domain.backtest.traffic import HOUR
from orchestrator.domain.money import format_dollars
from orchestrator.domain.schedules.model import EVERY_DAY, Window
from orchestrator.domain.schedules.text import window_text

Json = dict[str, Any]
_LONGEST_NAME = 60
# Said of what was reckoned in a choice, as it differs from what is expected of the endpoint.
_FLEET = "reckoned with a share of the fleet's days, as its surprises may come here too, "
_WEEK_HOURS = 168
_ODD = re.compile(r"[^A-Za-z0-9._@-]+")


def why(advice: Advice, prices: Prices) -> str:
    """Return in one sentence why this rule was chosen."""
    own = prices.of(advice.endpoint)
    start = "" if advice.seen else "by what became of endpoints that began like it: "
    if advice.tested is not None:
        gain = _dollars(cost_of(own.hour, round(7 * advice.tested * HOUR)))
        text = (
            "its habits repeat: on days left out windows did better than the best rule it can have "
            f"without them, {advice.instead.describe()}, by {gain} a week"
        ) + _paused(advice, own)
    elif advice.policy.always_on:
        text = _for_no_zero(advice, own) if advice.no_zero else _for_always_on(advice, own)
    else:
        text = _for_sleep(advice, own)
    return start + text


def rules(advice: Sequence[Advice], names: Mapping[str, str] | None = None) -> Json:
    """Return the advice as a file of rules; what is to be always on needs none.

    `names` are those of the rules by endpoint, `rule_names` of the endpoints unless given.
    """
    schedules: Json = {}
    policies: Json = {}
    named = names or rule_names([one.endpoint for one in advice])
    for one in advice:
        name = named[one.endpoint]
        selector = {"endpoint": one.endpoint}
        if one.policy.windows is not None:
            schedules[name] = {**_schedule(one.policy), "selector": selector}
        if one.policy.timeout is not None:
            policies[name] = {
                "timeout_minutes": one.policy.timeout // MINUTE,
                "action": "scale_to_zero",
                "selector": selector,
            }
    document: Json = {"version": 1}
    document |= {"schedules": schedules} if schedules else {}
    return document | ({"policies": policies} if policies else {})


def rule_name(endpoint: str) -> str:
    """Return a name for the rules of an endpoint, which another one may have too."""
    return f"advised-{_ODD.sub('-', endpoint)}"[:_LONGEST_NAME]


def rule_names(endpoints: Sequence[str]) -> dict[str, str]:
    """Return a name for the rules of each endpoint; alike or cut ones get a digest of theirs."""
    plain = {one: rule_name(one) for one in endpoints}
    count = Counter(name.casefold() for name in plain.values())
    kept = {
        one: name
        for one, name in plain.items()
        if count[name.casefold()] == 1 and len(name) < _LONGEST_NAME
    }
    taken = {name.casefold() for name in kept.values()}
    for one in sorted(plain.keys() - kept.keys()):
        sized = (_with_digest(plain[one], one, size) for size in range(4, 17))
        kept[one] = next(name for name in sized if name.casefold() not in taken)
        taken.add(kept[one].casefold())
    return kept


def _with_digest(name: str, endpoint: str, size: int) -> str:
    digest = blake2b(endpoint.encode(), digest_size=size).hexdigest()
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def _schedule(policy: Policy) -> Json:
    """Windows; where a timeout holds outside of them, it has to be available there."""
    assert policy.windows is not None  # noqa: S101 - the only caller has looked
    texts = [window_text(window) for window in policy.windows.windows]
    if policy.timeout is not None:
        texts.append(window_text(Window(EVERY_DAY, time(), time())))
    return {"timezone": policy.windows.timezone, "windows": texts}


def _paused(advice: Advice, own: Prices) -> str:
    """What being paused outside of windows does to requests that come then."""
    if advice.policy.timeout is not None:
        return ""
    met = advice.week.refused
    worth = _dollars(round(met * own.refusal))
    return f"; about {met:,.1f} requests a week are refused outside of them, counted as {worth}"


def _for_always_on(advice: Advice, own: Prices) -> str:
    saved, waits, worth = _reckoned(advice, own)
    return (
        f"{_FLEET}{advice.instead.describe()} would save {saved} a week, but requests would have "
        f"to be expected to wait {waits}, which counts as {worth}"
    )


def _for_no_zero(advice: Advice, own: Prices) -> str:
    """It is left on as no request could wake it; what it could save else, where it could."""
    saved, waits, worth = _reckoned(advice, own)
    if cost_of(own.hour, round(advice.saved_hours * HOUR)) <= advice.reckoned_waiting * own.minute:
        return _for_always_on(advice, own)
    return (
        "no request could wake it from zero as it is, so a timeout would do nothing; with one that "
        f"could, {_FLEET}being {advice.instead.describe()} would save {saved} a week, and requests "
        f"would wait {waits}, which counts as {worth}"
    )


def _for_sleep(advice: Advice, own: Prices) -> str:
    """What is expected of the week, as the table tells it; then what the choice was made by."""
    week = advice.week
    expected = _traded(_WEEK_HOURS * own.hour - week.cost[1], week.waiting_minutes, own)
    saved, waits, worth = expected
    starts = f"{round(week.starts.mean, 2):.1f} cold starts"
    told = (
        f"it is expected to save {saved} a week against always on, with {starts} and {waits} of "
        f"waiting, which counts as {worth}"
    )
    saved, waits, worth = reckoned = _reckoned(advice, own)
    if reckoned == expected:
        return told
    return (
        f"{told}; it was chosen by other figures: {_FLEET}sleeping saves {saved}, and {waits} of "
        f"waiting count as {worth}"
    )


def _reckoned(advice: Advice, own: Prices) -> tuple[str, str, str]:
    """What sleeping saves, how long requests wait then, and what that counts, in the choice."""
    saved = cost_of(own.hour, round(advice.saved_hours * HOUR))
    return _traded(saved, advice.reckoned_waiting, own)


def _traded(saved: int, minutes: float, own: Prices) -> tuple[str, str, str]:
    return _dollars(saved), f"{minutes:,.0f} min", _dollars(round(minutes * own.minute))


def _dollars(nano: int) -> str:
    return format_dollars(nano)
