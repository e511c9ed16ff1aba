"""One way for every change: one transaction, once per idempotency key, rehearsed on request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlmodel import Session

from orchestrator.api.deps import Ctx
from orchestrator.api.schemas import texts
from orchestrator.services.context import Context, Secrets
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.requests import Asked
from orchestrator.services.tokens import Caller
from orchestrator.store import events, idempotency, locks
from orchestrator.store.idempotency import IdempotentAnswer
from orchestrator.store.scratch import trial

log = structlog.get_logger(__name__)

SECRET_FIELDS = ("environment", "secrets")
CONFLICT = 409
DRY_RUN_HEADER = "Dry-Run"
REPLAY_HEADER = "Idempotency-Replayed"

T = TypeVar("T")


class AnsweredError(Exception):
    """The same request, under the same key, was answered by another one: with `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered already")
        self.response = response


@dataclass(frozen=True, slots=True)
class Done:
    """What a change answers.

    `kept` is what a repetition answers where that differs, because `body` shows a secret once.
    `vault` are secret values for an operation, handed over just before the commit.
    """

    status: int
    body: BaseModel | None = None
    location: str = ""
    kept: BaseModel | None = None
    vault: tuple[str, Secrets] | None = None


@dataclass(slots=True)
class Change:
    """One request for a change."""

    context: Context
    digest: str
    key: str | None
    dry_run: bool
    lasts: bool = False
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.context.clock.now()

    def asked(self, caller: Caller, reason: str = "") -> Asked:
        """Return who asks for this change, when and why."""
        key = None if self.dry_run else self.key
        return Asked(caller.name, self.now, reason, key, self.digest)

    def earlier(self, caller: Caller) -> Response | None:
        """Return the stored answer for the key; for use before slow work outside of `run`."""
        if self.key is None or self.dry_run:
            return None
        with self.context.database.read() as session:
            return self._stored(session, caller)

    def run(
        self, caller: Caller, work: Callable[[Session], Done], *, lasts: bool = False
    ) -> Response:
        """Do `work` in one transaction and answer; or rehearse it, or repeat an old answer.

        Work that `lasts` is rehearsed beside the store, so that others write meanwhile.
        Raises ServiceError when the key was used for another request.
        """
        self.lasts = lasts
        try:
            response = self._twice(caller, work)
        except ServiceError as refused:
            kept = self.earlier(caller)  # of another server, to which the same was sent
            if kept is not None:
                return kept
            self._record_refusal(caller, refused)
            raise
        if not self.dry_run:
            self._nudge()
        return response

    def _nudge(self) -> None:
        """Ask the engine to look now; the change is made, and found without that too."""
        try:
            self.context.nudge()
        except SQLAlchemyError as error:
            log.warning("the engine could not be nudged", error=type(error).__name__)

    def before(self, caller: Caller, read: Callable[[], T]) -> T:
        """Do what has to come before the transaction; its refusal is on record all the same.

        Raises AnsweredError where the same request was answered meanwhile: that answer holds.
        """
        try:
            return read()
        except ServiceError as refused:
            kept = self.earlier(caller)
            if kept is not None:
                raise AnsweredError(kept) from None
            self._record_refusal(caller, refused)
            raise

    def _record_refusal(self, caller: Caller, refused: ServiceError) -> None:
        """Record a refusal for the state of things; a mistyped request is no event."""
        if self.dry_run or refused.status != CONFLICT:
            return
        with self.context.database.write() as session:
            events.record(
                session,
                at=self.now,
                kind="request.refused",
                actor=caller.name,
                message=f"{caller.name} was refused: {refused.detail}",
                data={"code": refused.code},
            )

    def _attempt(self, caller: Caller, work: Callable[[Session], Done]) -> Response:
        vaulted: str | None = None
        try:
            with self._session() as session:
                stored = None if self.dry_run else self._stored(session, caller)
                if stored is not None:
                    return stored
                done = work(session)
                session.flush()
                body = _rendered(done.body)
                if self.dry_run:
                    session.rollback()
                    return _rehearsal(body)
                if self.key is not None:
                    self._keep(session, caller, done, body)
                if done.vault is not None:
                    vaulted = done.vault[0]
                    self.context.vault.put(*done.vault)
        except BaseException:
            if vaulted is not None:
                self.context.vault.drop(vaulted)
            raise
        return _respond(done.status, body, done.location)

    def _session(self) -> AbstractContextManager[Session]:
        database = self.context.database
        return trial(database) if self.dry_run and self.lasts else database.write()

    def _stored(self, session: Session, caller: Caller) -> Response | None:
        if self.key is None:
            return None
        kept = idempotency.find(session, caller.name, self.key)
        if kept is None:
            return None
        if kept.request_digest != self.digest:
            raise _key_conflict()
        return _respond(kept.status, kept.body, kept.location, {REPLAY_HEADER: "true"})

    @property
    def _kept_for(self) -> timedelta:
        return timedelta(days=self.context.settings.keep_answers_days)

    def _keep(self, session: Session, caller: Caller, done: Done, body: Any) -> None:
        idempotency.forget_before(session, self.now - self._kept_for)
        answer = IdempotentAnswer(
            actor=caller.name,
            key=self.key or "",
            request_digest=self.digest,
            status=done.status,
            body=body if done.kept is None else _rendered(done.kept),
            location=done.location,
            created_at=self.now,
        )
        idempotency.keep(session, answer)
        session.flush()

    def _twice(self, caller: Caller, work: Callable[[Session], Done]) -> Response:
        """Try once more where another request was quicker: see what it has left to do."""
        try:
            return self._attempt(caller, work)
        except DBAPIError as error:
            if not _is_overtaken(error):
                raise
        try:
            return self._attempt(caller, work)
        except DBAPIError as error:
            if not _is_overtaken(error):
                raise
            raise conflict(
                "changed_meanwhile",
                "Other requests changed the same thing at the same time; this one did nothing.",
                remedy="Look at the present state and try again.",
            ) from error


def _is_overtaken(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or locks.is_contention(error)


def install(app: FastAPI) -> None:
    """Answer what raises AnsweredError."""
    app.add_exception_handler(AnsweredError, _answered)


def _answered(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, AnsweredError):
        raise error
    return error.response


async def get_change(
    request: Request,
    context: Ctx,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=texts.known(
                r"^[!-~]{1,200}$",
                "A key is 1 to 200 letters, digits and signs without spaces, such as "
                "deploy-2026-11-20-1.",
            ),
            description="The same key with the same body gives the same answer, once.",
            examples=["deploy-2026-11-20-1"],
        ),
    ] = None,
    dry_run: Annotated[
        bool, Query(description="Answer with what would happen, and change nothing.")
    ] = False,
) -> Change:
    """Return the change that a request asks for."""
    digest = "" if idempotency_key is None else await _digest(request, idempotency_key)
    return Change(context, digest, idempotency_key, dry_run)


ChangeDep = Annotated[Change, Depends(get_change)]


async def _digest(request: Request, key: str) -> str:
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        body = raw.decode("latin-1")
    content = [request.method, request.url.path, sorted(request.query_params.multi_items())]
    text = json.dumps([*content, _masked(body, key)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _masked(body: Any, key: str) -> Any:
    """Return a body with secret values as one slow digest, so that none can be guessed from it."""
    if not isinstance(body, dict) or not any(body.get(name) for name in SECRET_FIELDS):
        return body
    values = json.dumps([body.get(name) for name in SECRET_FIELDS], sort_keys=True)
    slow = hashlib.scrypt(values.encode(), salt=key.encode(), n=2**14, r=8, p=1, dklen=32)
    rest = {name: value for name, value in body.items() if name not in SECRET_FIELDS}
    return [rest, slow.hex()]


def _rendered(body: BaseModel | None) -> Any:
    return None if body is None else body.model_dump(mode="json", by_alias=True)


def _rehearsal(body: Any) -> Response:
    return JSONResponse({"dry_run": True, "would": body}, headers={DRY_RUN_HEADER: "true"})


def _respond(
    status: int, body: Any, location: str, extra: dict[str, str] | None = None
) -> Response:
    headers = {**({"Location": location} if location else {}), **(extra or {})}
    if body is None:
        return Response(status_code=status, headers=headers)
    return JSONResponse(body, status_code=status, headers=headers)


def _key_conflict() -> ServiceError:
    return ServiceError(
        "idempotency_conflict",
        422,
        "Not valid",
        "This Idempotency-Key was used for a different request.",
        field="Idempotency-Key",
        remedy="Use a new key for a new request.",
    )
