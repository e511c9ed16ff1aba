"""API tokens: making, checking and revoking them; only digests are ever stored."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlmodel import Session

from orchestrator.clock import Clock
from orchestrator.services.errors import ServiceError, conflict, invalid, not_found
from orchestrator.store import events, tokens
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import ApiToken

PREFIX = "orc_"
FIRST_NAME = "admin"
FIRST_FILE = "admin-token"
USED_EVERY = timedelta(minutes=1)
# Names under which the product itself appears in events.
RESERVED_NAMES = frozenset({"engine", "cloud", "system", "rule", "orchestrator"})


class Scope(StrEnum):
    """What a token may do; each scope includes the ones before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def allows(self, wanted: Scope) -> bool:
        """Tell whether this scope includes `wanted`."""
        order = tuple(Scope)
        return order.index(self) >= order.index(wanted)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do."""

    name: str
    scope: Scope
    token_id: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token with its secret, which is shown this once."""

    token: ApiToken
    secret: str


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """Return a token's secret: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def usable(token: ApiToken, now: datetime) -> bool:
    """Tell whether a token is neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def caller_of(token: ApiToken) -> Caller:
    """Return who stands behind a token."""
    return Caller(token.name, Scope(token.scope), token.id)


def authenticate(database: Database, clock: Clock, secret: str) -> Caller | None:
    """Return who a secret belongs to, or None when it is unknown, revoked or expired."""
    wanted = digest(secret)
    now = clock.now()
    with database.read() as session:
        token = tokens.by_digest(session, wanted)
    if token is None or not hmac.compare_digest(token.digest, wanted) or not usable(token, now):
        return None
    note_use(database, token, now)
    return caller_of(token)


def note_use(database: Database, token: ApiToken, now: datetime) -> None:
    """Remember that a token is in use, at most once a minute."""
    if token.last_used_at is None or now - token.last_used_at >= USED_EVERY:
        with database.write() as session:
            tokens.mark_used(session, token.id, now)


def issue(
    session: Session,
    *,
    name: str,
    scope: Scope,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
) -> NewToken:
    """Make a token. Raises ServiceError when the name is taken or the end lies in the past."""
    if name.lower() in RESERVED_NAMES:
        raise invalid("name", f"{name!r} is reserved.", remedy="Choose another name.")
    if tokens.by_name(session, name) is not None:
        raise conflict(
            "name_taken",
            f"A token named {name!r} exists or existed; events are told apart by these names.",
            remedy="Choose another name.",
            field="name",
        )
    if expires_at is not None and expires_at <= now:
        raise invalid("expires_at", "The end lies in the past.", remedy="Give a later instant.")
    secret = new_secret()
    token = ApiToken(
        id=new_id("tok", now),
        name=name,
        digest=digest(secret),
        scope=scope,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(token)
    message = f"{actor} made the token {name} with the scope {scope}"
    events.record(session, at=now, kind="token.created", actor=actor, message=message)
    return NewToken(token, secret)


def revoke(session: Session, token_id: str, *, actor: str, now: datetime) -> ApiToken:
    """Revoke a token and end its browser sessions; done again it changes nothing.

    Raises ServiceError for an unknown token and for the last one that may administer.
    """
    token = tokens.get(session, token_id)
    if token is None:
        raise not_found("token", token_id)
    if token.revoked_at is not None:
        return token
    if [admin.id for admin in tokens.usable_admins(session, now)] == [token.id]:
        raise conflict(
            "last_admin",
            "This is the last token that may administer.",
            remedy="Make another token with the scope admin first.",
        )
    token.revoked_at = now
    session.add(token)
    tokens.end_web_sessions_of(session, token.id)
    message = f"{actor} revoked the token {token.name}"
    events.record(session, at=now, kind="token.revoked", actor=actor, message=message)
    return token


def ensure_first_token(database: Database, clock: Clock, state_dir: Path) -> Path | None:
    """Make an admin token where none is usable, and return the file (mode 0600) that holds it.

    Returns the same file at later starts while its token works, and None when other admin
    tokens exist and the file is not one of them. Raises OSError when it cannot be written.
    """
    path = state_dir / FIRST_FILE
    now = clock.now()
    with database.write() as session:
        admins = tokens.usable_admins(session, now)
        if admins:
            kept = digest(_read(path))
            return path if any(hmac.compare_digest(kept, one.digest) for one in admins) else None
        secret = new_secret()
        # The file goes first: a token whose secret nobody has would lock everybody out.
        _write_private(path, secret)
        name = _free_name(session)
        session.add(
            ApiToken(
                id=new_id("tok", now),
                name=name,
                digest=digest(secret),
                scope=Scope.ADMIN,
                created_at=now,
            )
        )
        message = f"the first token, {name}, was made"
        events.record(session, at=now, kind="token.created", actor="system", message=message)
    return path


def _free_name(session: Session) -> str:
    name, number = FIRST_NAME, 1
    while tokens.by_name(session, name) is not None:
        number += 1
        name = f"{FIRST_NAME}-{number}"
    return name


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _write_private(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def require(caller: Caller, scope: Scope) -> None:
    """Raise ServiceError when `caller` may not do what needs `scope`."""
    if not caller.scope.allows(scope):
        raise ServiceError(
            "forbidden",
            403,
            "Not allowed",
            f"This needs the scope {scope}; {caller.name} has {caller.scope}.",
            remedy=f"Use a token with the scope {scope}.",
        )
