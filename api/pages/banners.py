"""What a reader must know before believing the figures below."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.api.pages.words import plural
from orchestrator.services.overview import AccountLine, Overview

_HEALTH = {
    "unreachable": "cannot be reached",
    "no_access": "refuses our credentials",
    "no_credentials": "has no usable credentials",
    "throttled": "limits our requests",
    "doubted": "gave a listing that we doubt",
    "partial": "gave only a part of its listing",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """One notice; `at` is an instant that ends its text, such as the last good look."""

    tone: str
    icon: str
    title: str
    text: str
    at: datetime | None = None
    link: str = ""
    link_text: str = ""


def banners_of(view: Overview) -> list[Banner]:
    """Return the notices, the gravest first."""
    found = []
    if view.frozen is not None:
        why = f"{view.frozen.by}: {view.frozen.reason}"
        text = f"Nothing is changed anywhere, by rules or by requests. {why}"
        found.append(Banner("bad", "snow", "Frozen.", f"{_ended(text)} Since", view.frozen.at))
    for account in view.accounts:
        found.extend(_of_account(account))
    if view.burn.unpriced or view.month.unpriced_seconds:
        found.append(_incomplete(view))
    return found


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _of_account(account: AccountLine) -> list[Banner]:
    found = []
    if account.frozen is not None:
        text = f"{account.frozen.by}: {_ended(account.frozen.reason)} Since"
        title = f"Account {account.name} is frozen."
        found.append(Banner("bad", "snow", title, text, account.frozen.at, "/accounts", "Accounts"))
    if account.healthy and not account.stale:
        return found
    said = _HEALTH.get(account.health, f"is {account.health}")
    title = (
        f"Account {account.name} {said}."
        if not account.healthy
        else f"Figures of account {account.name} are old."
    )
    detail = f"{_ended(account.health_detail)} " if account.health_detail else ""
    if account.measured_at is None:
        text = f"{detail}It has never been read, so its endpoints and costs are missing here."
        found.append(Banner("bad", "fail", title, text, None, "/accounts", "Accounts"))
    else:
        text = f"{detail}The last look at all of its endpoints was"
        tone = "bad" if account.stale else "warn"
        found.append(
            Banner(tone, "fail", title, text, account.measured_at, "/accounts", "Accounts")
        )
    return found


def _incomplete(view: Overview) -> Banner:
    running = plural(view.burn.unpriced, "running endpoint has", "running endpoints have")
    text = f"{running} no known price, whole or in part; " if view.burn.unpriced else ""
    text += "totals leave out what could not be priced and are marked."
    return Banner(
        "warn",
        "ask",
        "Figures are incomplete.",
        text,
        None,
        "/costs?group_by=hardware",
        "Which hardware",
    )
