"""Accounts, and the price lists that were read through them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmodel import Session, col, select

from orchestrator.store.ledger import COMPUTE
from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Account, Offer


def get(session: Session, account_id: str) -> Account | None:
    """Return an account that was not removed, by id."""
    account = session.get(Account, account_id)
    return None if account is None or account.removed_at is not None else account


def by_name(session: Session, name: str) -> Account | None:
    """Return an account that was not removed, by name."""
    query = select(Account).where(Account.name == name, col(Account.removed_at).is_(None))
    return session.exec(query).first()


def by_place(session: Session, provider: str, namespace: str, region: str) -> Account | None:
    """Return the account that stands for a place in a cloud, if it is connected."""
    query = select(Account).where(
        Account.provider == provider,
        Account.namespace == namespace,
        Account.region == region,
        col(Account.removed_at).is_(None),
    )
    return session.exec(query).first()


def name_taken(session: Session, name: str) -> bool:
    """Tell whether any account, removed ones too, bears the name."""
    return session.exec(select(Account.id).where(Account.name == name)).first() is not None


def live(session: Session) -> Sequence[Account]:
    """Return every account that was not removed, by name."""
    query = select(Account).where(col(Account.removed_at).is_(None)).order_by(col(Account.name))
    return session.exec(query).all()


def by_ids(session: Session, ids: Collection[str]) -> dict[str, Account]:
    """Return accounts by id, removed ones too."""
    if not ids:
        return {}
    query = select(Account).where(col(Account.id).in_(ids))
    return {account.id: account for account in session.exec(query)}


def page(session: Session, after: Position | None, limit: int) -> Sequence[Account]:
    """Return up to `limit` accounts in the order of name and id."""
    keys = (Key(col(Account.name)), Key(col(Account.id)))
    query = select(Account).where(col(Account.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def offers(
    session: Session, account_id: str | None, after: Position | None, limit: int
) -> Sequence[Offer]:
    """Return rows of price lists in the order of account and hardware."""
    keys = (Key(col(Offer.account_id)), Key(col(Offer.hardware_key)))
    live_ids = select(Account.id).where(col(Account.removed_at).is_(None))
    query = select(Offer).where(col(Offer.account_id).in_(live_ids), Offer.component == COMPUTE)
    if account_id is not None:
        query = query.where(Offer.account_id == account_id)
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()
