"""The form of an expiry policy, with what it covers; the list is on the page of policies."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response

from orchestrator.api.pages.rules import picked_calendars, selector_fields
from orchestrator.api.pages.shell import Page, PageOf, PageRoute
from orchestrator.domain.schedules.zones import zone_names
from orchestrator.services import expiry_policies
from orchestrator.store.tables import Endpoint, ExpiryPolicy

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/expiry-policies/new")
def new_expiry_policy_page(page: PageOf) -> Response:
    """Show an empty form."""
    return _form(page, None, ())


@router.get("/expiry-policies/{ref}")
def expiry_policy_page(page: PageOf, ref: str) -> Response:
    """Show the form of one policy, with what it covers."""
    with page.context.database.read() as session:
        found = expiry_policies.describe(session, expiry_policies.find(session, ref))
    return _form(page, found.policy, found.covered)


def _form(page: Page, row: ExpiryPolicy | None, covered: Sequence[Endpoint]) -> Response:
    return page.render(
        "expiry_policy.html",
        "/policies",
        row=row,
        covered=covered,
        zones=sorted(zone_names()),
        calendars=picked_calendars(page, () if row is None else row.calendars),
        **selector_fields(page, row),
    )
