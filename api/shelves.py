"""Saved rules of one kind: one shape for their routes and for files of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel
from sqlmodel import Session

from orchestrator.api.changes import Change, ChangeDep, Done
from orchestrator.api.cursors import Window, WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.services import selectors
from orchestrator.services.context import Context
from orchestrator.services.requests import Asked
from orchestrator.services.selectors import Selector
from orchestrator.services.tokens import Caller
from orchestrator.store.paging import Position

RuleRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]


class ShelvedRow(Protocol):
    """A stored rule."""

    id: str
    name: str


_STATUS = {"POST": 201, "DELETE": 204}
_Route = tuple[str, str, Callable[..., Any], str, str, type[BaseModel] | None, tuple[int, ...]]
Row = TypeVar("Row", bound=ShelvedRow)
Wanted = TypeVar("Wanted", bound=BaseModel)
Draft = TypeVar("Draft")
Told = TypeVar("Told")
Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Shelf(Generic[Row, Wanted, Draft, Told, Answer]):
    """What is done with rules of one kind.

    A body becomes a draft, which is saved; what a use case tells of a rule becomes an answer.
    `row` is the rule of what is told. `order` names the order of their list in its cursors.
    `check` refuses a body before the transaction.
    """

    path: str
    order: str
    page: Callable[[Session, Position | None, int], Sequence[Row]]
    find: Callable[[Session, str], Row]
    draft: Callable[[Session, Context, Wanted], Draft]
    create: Callable[[Session, Draft, Asked], Told]
    replace: Callable[[Session, Row, Draft, Asked], Told]
    remove: Callable[[Session, Row, Asked], None]
    describe: Callable[[Session, Row, datetime], Told]
    row: Callable[[Told], Row]
    summary: Callable[[Row], BaseModel]
    answer: Callable[[Told], Answer]
    check: Callable[[Change, Caller, Wanted], None] = lambda *_: None

    def listed(self, context: Context, window: Window) -> Listing[Any]:
        """Answer a list by name."""
        after = window.after(self.order, (str, str))
        with context.database.read() as session:
            found = self.page(session, after, window.limit + 1)
        shown, cursor = window.cut(found, self.order, lambda row: (row.name, row.id))
        return Listing(items=[self.summary(row) for row in shown], next_cursor=cursor)

    def got(self, context: Context, ref: str) -> Answer:
        """Answer one. Raises ServiceError 404."""
        now = context.clock.now()
        with context.database.read() as session:
            return self.answer(self.describe(session, self.find(session, ref), now))

    def created(self, change: Change, caller: Caller, body: Wanted) -> Response:
        """Save a new one and answer it."""
        self.check(change, caller, body)

        def work(session: Session) -> Done:
            draft = self.draft(session, change.context, body)
            told = self.create(session, draft, change.asked(caller))
            return Done(201, self.answer(told), f"/v1{self.path}/{self.row(told).id}")

        return change.run(caller, work)

    def replaced(self, change: Change, caller: Caller, ref: str, body: Wanted) -> Response:
        """Save one in place of its former version and answer it."""
        self.check(change, caller, body)

        def work(session: Session) -> Done:
            row = self.find(session, ref)
            draft = self.draft(session, change.context, body)
            return Done(200, self.answer(self.replace(session, row, draft, change.asked(caller))))

        return change.run(caller, work)

    def removed(self, change: Change, caller: Caller, ref: str) -> Response:
        """Remove one."""

        def work(session: Session) -> Done:
            self.remove(session, self.find(session, ref), change.asked(caller))
            return Done(204)

        return change.run(caller, work)

    def saved(
        self, session: Session, context: Context, body: Wanted, row: Row | None, asked: Asked
    ) -> Told:
        """Save a new one, or one in place of `row`, in a transaction of others."""
        draft = self.draft(session, context, body)
        if row is None:
            return self.create(session, draft, asked)
        return self.replace(session, row, draft, asked)


@dataclass(frozen=True, slots=True)
class Words:
    """What the document of the API says of the routes of a shelf: names, models, and meanings."""

    one: str
    many: str
    body: type[BaseModel]
    listing: type[BaseModel]
    full: type[BaseModel]
    listed: str
    created: str
    got: str
    replaced: str
    removed: str


def mount(router: APIRouter, shelf: Shelf[Any, Any, Any, Any, Any], words: Words) -> None:
    """Add the five routes that rules of every kind have."""

    def listed(caller: Reader, context: Ctx, window: WindowDep) -> Any:
        del caller
        return shelf.listed(context, window)

    def created(body: Any, caller: Operator, change: ChangeDep) -> Response:
        return shelf.created(change, caller, body)

    def got(ref: RuleRef, caller: Reader, context: Ctx) -> Any:
        del caller
        return shelf.got(context, ref)

    def replaced(ref: RuleRef, body: Any, caller: Operator, change: ChangeDep) -> Response:
        return shelf.replaced(change, caller, ref, body)

    def removed(ref: RuleRef, caller: Operator, change: ChangeDep) -> Response:
        return shelf.removed(change, caller, ref)

    for taking in (created, replaced):
        taking.__annotations__["body"] = words.body
    routes: tuple[_Route, ...] = (
        ("GET", "", listed, f"list_{words.many}", words.listed, words.listing, READ),
        ("POST", "", created, f"create_{words.one}", words.created, words.full, CHANGE),
        ("GET", "/{id}", got, f"get_{words.one}", words.got, words.full, READ_ONE),
        ("PUT", "/{id}", replaced, f"replace_{words.one}", words.replaced, words.full, CHANGE),
        ("DELETE", "/{id}", removed, f"delete_{words.one}", words.removed, None, CHANGE),
    )
    for method, path, endpoint, name, text, model, answers in routes:
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=name,
            operation_id=name,
            description=text,
            response_model=model,
            status_code=_STATUS.get(method, 200),
            responses=problems(*answers),
        )


def resolved(session: Session, context: Context, body: SelectorBody) -> Selector:
    """Return the selector that a body describes. Raises ServiceError 422."""
    return selectors.resolve(
        session,
        account=body.account,
        endpoint=body.endpoint,
        labels=body.labels,
        allowed_cloud_labels=context.settings.allowed_cloud_labels,
    )
