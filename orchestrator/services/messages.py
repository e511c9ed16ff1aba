"""Notices in the words that are sent: JSON for programs, a few lines for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from orchestrator.channels.message import Message
from orchestrator.domain.notices import DELETION_WARNINGS, Severity
from orchestrator.logs import redact
from orchestrator.store import accounts, endpoints
from orchestrator.store.tables import Account, Endpoint, Notice

MOST_NAMED = 40
MOST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Names:
    """What notices speak of, and where their pages are."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    base_url: str = ""

    def link(self, notice: Notice) -> str:
        """Return the address of the page that tells more; empty where none is known."""
        if not self.base_url:
            return ""
        if notice.endpoint_id in self.endpoints:
            return f"{self.base_url}/endpoints/{notice.endpoint_id}"
        return f"{self.base_url}/events"

    def subject(self, notice: Notice) -> str:
        """Return `account/endpoint`, or as much of that as the notice is about."""
        account = self.accounts.get(notice.account_id or "")
        endpoint = self.endpoints.get(notice.endpoint_id or "")
        return "/".join(one.name for one in (account, endpoint) if one is not None)


def names_of(session: Session, notices: Sequence[Notice], base_url: str | None) -> Names:
    """Return the names that some notices need."""
    account_ids = {one.account_id for one in notices if one.account_id}
    endpoint_ids = {one.endpoint_id for one in notices if one.endpoint_id}
    return Names(
        accounts.by_ids(session, account_ids),
        endpoints.by_ids(session, endpoint_ids),
        base_url or "",
    )


def of_notice(notice: Notice, names: Names) -> Message:
    """Return the message that tells of one event."""
    subject = names.subject(notice)
    told = str(redact(notice.message))[:MOST_TEXT]
    lines = [told, "", f"{notice.kind}, by {notice.actor}, {_at(notice.at)}", names.link(notice)]
    return Message(
        notice.id,
        notice.severity,
        f"[{notice.severity}] {_words(notice.kind)}" + (f": {subject}" if subject else ""),
        "\n".join(lines).strip(),
        _packed(_content(notice, names, told)),
    )


def summary(message_id: str, notices: Sequence[Notice], names: Names) -> Message:
    """Return one message for many events: deletions ahead and what is critical by name."""
    named = [one for one in notices if is_named(one)][:MOST_NAMED]
    rest = Counter(one.kind for one in notices) - Counter(one.kind for one in named)
    worst = max((Severity(one.severity) for one in notices), key=lambda one: one.rank)
    lines = [f"- {str(redact(one.message))[:MOST_TEXT]}" for one in named]
    if rest:
        lines.append(("and " if named else "") + counted(rest))
    lines.append(f"{names.base_url}/events" if names.base_url else "")
    title = f"[{worst}] {len(notices)} more events"
    return Message(message_id, worst.value, title, "\n".join(lines).strip())


def is_named(notice: Notice) -> bool:
    """Tell whether a summary repeats what a notice says, and does not only count it."""
    return is_warning(notice) or notice.severity == Severity.CRITICAL


def is_warning(notice: Notice) -> bool:
    """Tell whether a deletion waits until somebody was told of this."""
    return notice.kind in DELETION_WARNINGS


def counted(kinds: Mapping[str, int]) -> str:
    """Return counts by kind, the most frequent first."""
    ordered = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} of {kind}" for kind, count in ordered)


def trial(message_id: str, target_name: str, actor: str, at: datetime) -> Message:
    """Return a message that tells of nothing, to try a target."""
    told = f"{actor} tries the notification target {target_name}; nothing has happened."
    content = {
        "type": "notification.test",
        "timestamp": at.astimezone(UTC).isoformat(),
        "data": {"message": told, "severity": Severity.INFO, "actor": actor},
    }
    return Message(message_id, Severity.INFO.value, "[info] a test", told, _packed(content))


def _content(notice: Notice, names: Names, told: str) -> dict[str, Any]:
    account = names.accounts.get(notice.account_id or "")
    endpoint = names.endpoints.get(notice.endpoint_id or "")
    return {
        "type": notice.kind,
        "timestamp": notice.at.astimezone(UTC).isoformat(),
        "data": {
            "message": told,
            "severity": notice.severity,
            "actor": notice.actor,
            "account": None if account is None else {"id": account.id, "name": account.name},
            "endpoint": None if endpoint is None else _endpoint(endpoint),
            "operation_id": notice.operation_id,
            "details": redact(notice.data),
            "url": names.link(notice) or None,
        },
    }


def _endpoint(endpoint: Endpoint) -> dict[str, str]:
    return {"id": endpoint.id, "name": endpoint.name, "owner": endpoint.owner}


def _packed(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _words(kind: str) -> str:
    return kind.replace(".", " ").replace("_", " ")


def _at(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
