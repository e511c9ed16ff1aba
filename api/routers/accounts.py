"""Accounts: the places where endpoints live."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Admin, Ctx, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.accounts import AccountBody, AccountOut, AccountPatch, account_out
from orchestrator.api.schemas.base import Listing
from orchestrator.services import accounts, find
from orchestrator.services.accounts import NewAccount
from orchestrator.store import accounts as rows
from orchestrator.store.tables import Account

router = APIRouter(prefix="/accounts", tags=["accounts"])
ORDER = "accounts"
AccountRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]
Verify = Annotated[bool, Query(description="Ask the cloud first whether the credentials work.")]


@router.get("", operation_id="list_accounts", responses=problems(*READ))
def list_accounts(caller: Reader, context: Ctx, window: WindowDep) -> Listing[AccountOut]:
    """List accounts by name."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[account_out(row) for row in shown], next_cursor=cursor)


@router.post(
    "",
    operation_id="connect_account",
    status_code=201,
    response_model=AccountOut,
    responses=problems(*CHANGE, 503),
)
def connect_account(
    body: AccountBody, caller: Admin, context: Ctx, change: ChangeDep, verify: Verify = True
) -> Response:
    """Connect an account. Its endpoints are observed; nothing in it is changed."""
    earlier = change.earlier(caller)
    if earlier is not None:
        return earlier
    account = accounts.draft(_wanted(body), change.now)
    with context.database.read() as session:
        accounts.check_free(session, account)
    if verify:
        accounts.verify(context, account)

    def work(session: Session) -> Done:
        accounts.connect(session, account, change.asked(caller))
        return Done(201, account_out(account), f"/v1/accounts/{account.id}")

    return change.run(caller, work)


@router.post(
    "/regions",
    operation_id="connect_regions",
    status_code=201,
    response_model=Listing[AccountOut],
    responses=problems(*CHANGE, 503),
)
def connect_regions(body: AccountBody, caller: Admin, context: Ctx, change: ChangeDep) -> Response:
    """Connect every region that the credentials reach: one account each, named after it.

    A region that is connected already is left as it is.
    """
    earlier = change.earlier(caller)
    if earlier is not None:
        return earlier
    found = accounts.every_region(context, _wanted(body), change.now)

    def work(session: Session) -> Done:
        made = accounts.connect_new(session, found, change.asked(caller))
        return Done(201, Listing(items=[account_out(one) for one in made], next_cursor=None))

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_account", responses=problems(*READ_ONE))
def get_account(ref: AccountRef, caller: Reader, context: Ctx) -> AccountOut:
    """Return one account."""
    del caller
    with context.database.read() as session:
        return account_out(find.account(session, ref))


@router.patch(
    "/{id}",
    operation_id="change_account",
    response_model=AccountOut,
    responses=problems(*CHANGE, 503),
)
def change_account(
    *,
    ref: AccountRef,
    body: AccountPatch,
    caller: Admin,
    context: Ctx,
    change: ChangeDep,
    verify: Verify = True,
) -> Response:
    """Rename an account, or change how its cloud is reached."""
    earlier = change.earlier(caller)
    if earlier is not None:
        return earlier
    if verify and (body.credential_ref is not None or body.options is not None):
        with context.database.read() as session:
            trial = find.account(session, ref)
        accounts.verify(context, _patched(trial, body))

    def work(session: Session) -> Done:
        account = _patched(find.account(session, ref), body)
        accounts.change(session, account, change.asked(caller))
        return Done(200, account_out(account))

    return change.run(caller, work)


@router.delete("/{id}", operation_id="remove_account", status_code=204, responses=problems(*CHANGE))
def remove_account(ref: AccountRef, caller: Admin, change: ChangeDep) -> Response:
    """Stop looking after an account; its endpoints stay as they are, its costs stay readable."""

    def work(session: Session) -> Done:
        accounts.remove(session, find.account(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)


def _wanted(body: AccountBody) -> NewAccount:
    return NewAccount(
        name=body.name,
        provider=body.provider,
        namespace=body.namespace,
        region=body.region,
        credential_ref=body.credential_ref,
        options=body.options,
    )


def _patched(account: Account, body: AccountPatch) -> Account:
    """Return the account with what the body gives; a row of an ended session is a mere value."""
    if body.name is not None:
        account.name = body.name
    if body.credential_ref is not None:
        accounts.check_reference(account.provider, body.credential_ref)
        account.credential_ref = body.credential_ref
    if body.options is not None:
        account.options = dict(body.options)
    return account
