"""API tokens and browser sessions; only digests of secrets are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, update
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import ApiToken, WebSession

_BY_DIGEST = select(ApiToken).where(ApiToken.digest == bindparam("digest"))


def get(session: Session, token_id: str) -> ApiToken | None:
    """Return a token by id, revoked ones too."""
    return session.get(ApiToken, token_id)


def by_digest(session: Session, digest: str) -> ApiToken | None:
    """Return the token of a digest, revoked ones too."""
    return session.exec(_BY_DIGEST, params={"digest": digest}).first()


def by_name(session: Session, name: str) -> ApiToken | None:
    """Return the token of a name, revoked ones too."""
    return session.exec(select(ApiToken).where(ApiToken.name == name)).first()


def usable_admins(session: Session, now: datetime) -> Sequence[ApiToken]:
    """Return the admin tokens that are neither revoked nor expired."""
    query = select(ApiToken).where(
        ApiToken.scope == "admin",
        col(ApiToken.revoked_at).is_(None),
        col(ApiToken.expires_at).is_(None) | (col(ApiToken.expires_at) > now),
    )
    return session.exec(query).all()


def page(session: Session, after: Position | None, limit: int) -> Sequence[ApiToken]:
    """Return up to `limit` tokens in the order of name and id."""
    keys = (Key(col(ApiToken.name)), Key(col(ApiToken.id)))
    query = select(ApiToken)
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def mark_used(session: Session, token_id: str, now: datetime) -> None:
    """Note when a token was last used."""
    session.exec(update(ApiToken).where(col(ApiToken.id) == token_id).values(last_used_at=now))


def web_session(session: Session, digest: str) -> tuple[WebSession, ApiToken] | None:
    """Return a browser's session and the token behind it, by the digest of its secret."""
    query = (
        select(WebSession, ApiToken)
        .join(ApiToken, col(ApiToken.id) == col(WebSession.token_id))
        .where(WebSession.digest == digest)
    )
    row = session.exec(query).first()
    return None if row is None else (row[0], row[1])


def end_web_session(session: Session, digest: str) -> None:
    """Delete a browser's session."""
    session.exec(delete(WebSession).where(col(WebSession.digest) == digest))


def end_web_sessions_of(session: Session, token_id: str) -> None:
    """Delete every browser session that was made from a token."""
    session.exec(delete(WebSession).where(col(WebSession.token_id) == token_id))


def forget_expired_sessions(session: Session, now: datetime) -> None:
    """Delete browser sessions whose time is over."""
    session.exec(delete(WebSession).where(col(WebSession.expires_at) <= now))
