"""The kill switch: while it is on, nothing is begun, by rules or by people."""

from __future__ import annotations

from sqlmodel import Session

from orchestrator.services import clocks, find, restores
from orchestrator.services.errors import not_found
from orchestrator.services.requests import Asked
from orchestrator.store import accounts, events, freeze
from orchestrator.store.freeze import Freeze
from orchestrator.store.tables import Account


def state(session: Session) -> tuple[Freeze | None, list[tuple[Account, Freeze]]]:
    """Return the global freeze, and the accounts that are frozen by themselves."""
    frozen = []
    for account in accounts.live(session):
        found = freeze.of_account(account)
        if found is not None:
            frozen.append((account, found))
    return freeze.everywhere(session), frozen


def switch_on(session: Session, account_ref: str | None, asked: Asked) -> None:
    """Freeze everything, or one account. Raises ServiceError 404 for an unknown account."""
    wanted = Freeze(asked.now, asked.actor, asked.why)
    if account_ref is None:
        freeze.set_everywhere(session, wanted)
        _record(session, "freeze.on", None, asked, f"froze everything: {asked.why}")
        return
    account = find.account(session, account_ref)
    freeze.set_account(account, wanted)
    session.add(account)
    _record(session, "freeze.on", account, asked, f"froze {account.name}: {asked.why}")


def switch_off(session: Session, account_ref: str | None, asked: Asked) -> None:
    """End the global freeze, or an account's. Raises ServiceError 404 when none is on."""
    if account_ref is None:
        if freeze.everywhere(session) is None:
            raise not_found("freeze", "global", "See GET /v1/freeze; give `account` for one.")
        freeze.clear_everywhere(session, asked.now)
        restores.thaw(session, None, asked)
        _record(session, "freeze.off", None, asked, f"ended the freeze{_because(asked)}")
        return
    account = find.account(session, account_ref)
    if freeze.of_account(account) is None:
        raise not_found("freeze", account.name, "See GET /v1/freeze.")
    freeze.clear_account(account)
    session.add(account)
    restores.thaw(session, account, asked)
    clocks.believe(session, asked.now)
    told = f"ended the freeze of {account.name}{_because(asked)}"
    _record(session, "freeze.off", account, asked, told)


def _because(asked: Asked) -> str:
    return f": {asked.reason}" if asked.reason else ""


def _record(session: Session, kind: str, account: Account | None, asked: Asked, what: str) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"{asked.actor} {what}",
        account_id=None if account is None else account.id,
    )
