"""Browser sessions: made from a token, ended with it, and guarded against forged requests."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.clock import Clock
from orchestrator.services.tokens import Caller, caller_of, digest, note_use, usable
from orchestrator.store import tokens
from orchestrator.store.database import Database
from orchestrator.store.tables import WebSession

LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Login:
    """A new browser session: the cookie's secret and the token that forms must repeat."""

    caller: Caller
    secret: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A known browser session."""

    caller: Caller
    csrf: str

    def confirms(self, csrf: str | None) -> bool:
        """Tell whether a request repeats this session's CSRF token."""
        return csrf is not None and hmac.compare_digest(self.csrf.encode(), csrf.encode())


def csrf_of(secret: str) -> str:
    """Return the CSRF token of a session: bound to its secret, and useless for finding it."""
    return digest(f"csrf:{secret}")


def log_in(database: Database, clock: Clock, token_secret: str) -> Login | None:
    """Make a browser session from a token's secret; None when the token is not usable."""
    wanted = digest(token_secret)
    now = clock.now()
    secret = secrets.token_urlsafe(32)
    csrf = csrf_of(secret)
    with database.write() as session:
        token = tokens.by_digest(session, wanted)
        known = token is not None and hmac.compare_digest(token.digest, wanted)
        if token is None or not known or not usable(token, now):
            return None
        tokens.forget_expired_sessions(session, now)
        tokens.mark_used(session, token.id, now)
        session.add(
            WebSession(
                digest=digest(secret),
                csrf_digest=digest(csrf),
                token_id=token.id,
                created_at=now,
                expires_at=min(now + LIFETIME, token.expires_at or now + LIFETIME),
            )
        )
    return Login(caller_of(token), secret, csrf)


def visit(database: Database, clock: Clock, secret: str) -> Visit | None:
    """Return the browser session of a cookie, or None when it has ended or its token has."""
    now = clock.now()
    wanted = digest(secret)
    with database.read() as session:
        found = tokens.web_session(session, wanted)
    if found is None:
        return None
    row, token = found
    if not hmac.compare_digest(row.digest, wanted) or row.expires_at <= now:
        return None
    if not usable(token, now):
        return None
    note_use(database, token, now)
    return Visit(caller_of(token), csrf_of(secret))


def log_out(database: Database, secret: str) -> None:
    """End a browser session."""
    with database.write() as session:
        tokens.end_web_session(session, digest(secret))
