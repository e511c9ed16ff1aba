"""The form that asks what a span of the past would have been under other rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.pages.rules import MOST_RULES, picked_calendars, selector_fields
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.domain.schedules.zones import zone_names
from orchestrator.store import expiry, policies, schedules

router = APIRouter(route_class=PageRoute, include_in_schema=False)
USUAL = timedelta(days=30)
RuleId = Annotated[str, Query(max_length=250)]


@router.get("/what-if")
def what_if_page(
    page: PageOf, rule: RuleId = "", without: RuleId = "", endpoint: RuleId = ""
) -> Response:
    """Show the form; the rules and the endpoint that the address names are chosen in it."""
    with page.context.database.read() as session:
        known = _rules(session)
    return page.render(
        "whatif.html",
        "/what-if",
        rules=known,
        chosen=rule,
        left_out=without,
        first=(page.now - USUAL).date(),
        last=page.now.date(),
        zones=sorted(zone_names()),
        calendars=picked_calendars(page, ()),
        **(selector_fields(page, None) | {"selected_endpoint": endpoint}),
    )


def _rules(session: Session) -> list[tuple[str, str, str]]:
    """Return the saved rules as id, name and kind; expiry policies that give no end are not."""
    found = [(one.id, one.name, "schedule") for one in schedules.page(session, None, MOST_RULES)]
    found += [(one.id, one.name, "idle") for one in policies.page(session, None, MOST_RULES)]
    ends = expiry.page(session, None, MOST_RULES)
    return found + [(one.id, one.name, "expiry") for one in ends if one.default_ttl or one.max_ttl]
