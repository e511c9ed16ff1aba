"""What people did in the demo's past weeks: adoption, rules, clicks, and a drill."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from orchestrator.domain.schedules.text import parse_window
from orchestrator.sandbox.fleet_aws import AWS_ACCOUNT, AWS_REGIONS, LLAMA_70B, WITHOUT_CAPACITY
from orchestrator.sandbox.world import World
from orchestrator.services import (
    accounts,
    adoption,
    clicks,
    contracts,
    freezing,
    policies,
    scheduling,
)
from orchestrator.services.context import Context
from orchestrator.services.requests import Asked
from orchestrator.services.selectors import Selector
from orchestrator.store import endpoints
from orchestrator.store.tables import Account, Endpoint, Label

NAMESPACES = ("acme", "acme-research")
# Variables that hold what opens the simulated clouds, by provider.
VARIABLES = {
    "huggingface": "ORCHESTRATOR_DEMO_CLOUD_TOKEN",
    "sagemaker": "ORCHESTRATOR_DEMO_AWS_KEYS",
}
# While the past is lived through nothing listens there, and rows that stand still are read less.
PAST_URL = "http://cloud.localhost"
PAST_OPTIONS: Mapping[str, dict[str, str]] = {"sagemaker": {"sweep_minutes": "120"}}
AWS_DAYS = 6
# Nobody has claimed these: the dashboard and `scan` show what that costs.
UNCLAIMED = frozenset(
    {
        *("onboarding-demo-8b", "notebook-lea", "legacy-sentiment", "embedding-bench"),
        *("workshop-gpu-34b", "hackathon-8b", WITHOUT_CAPACITY),
    }
)
STAGING = "support-chat-8b-staging"
OFFICE_TEAMS = ("documents", "sales", "platform")
RESEARCH_TEAMS = ("evals", "alignment", "distillation", "speech", "vision")


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that a person does at an instant."""

    at: datetime
    act: Callable[[Context, World, datetime], None]

    def play(self, context: Context, world: World, now: datetime) -> None:
        """Let it happen."""
        self.act(context, world, now)


def options_for(provider: str, url: str) -> dict[str, str]:
    """Return the options that point an account to the simulated cloud at `url`.

    What failed to start is not billed there, as somebody has seen on the bill.
    """
    if provider == "sagemaker":
        return {"endpoint_url": url, "failed_billing": "free"}
    return {"api_url": f"{url}/v2", "hub_url": url}


def connect(session: Session, now: datetime) -> None:
    """Connect both organizations."""
    for name in NAMESPACES:
        _connect(session, now, "huggingface", Spot(name, name))


def _connect_aws(context: Context, world: World, now: datetime) -> None:
    del world
    with context.database.write() as session:
        for region in AWS_REGIONS:
            _connect(session, now, "sagemaker", Spot(f"aws-{region}", AWS_ACCOUNT, region))


@dataclass(frozen=True, slots=True)
class Spot:
    """An account by the name that we give it, and its place in its cloud."""

    name: str
    namespace: str
    region: str = ""


def _connect(session: Session, now: datetime, provider: str, spot: Spot) -> None:
    wanted = accounts.NewAccount(
        name=spot.name,
        provider=provider,
        namespace=spot.namespace,
        region=spot.region,
        credential_ref=f"env:{VARIABLES[provider]}",
        options=options_for(provider, PAST_URL) | PAST_OPTIONS.get(provider, {}),
    )
    accounts.connect(session, accounts.draft(wanted, now), Asked("ana", now, "first look"))


def scenes(start: datetime, end: datetime) -> list[Scene]:
    """Return the story, in order; it fits in two weeks and more.

    The second cloud is connected some days before the end, or at the start of a shorter story.
    """
    begin = start.replace(hour=0, minute=0)
    aws = max(0, (end - start).days - AWS_DAYS)
    told = [
        (1, 9, 0, _adopt),
        (1, 10, 30, _rules),
        (4, 20, 15, _late_work),
        (6, 13, 0, _freeze),
        (6, 13, 25, _thaw),
        (8, 22, 10, _console),
        (10, 11, 0, _day_off),
        (12, 19, 40, _late_work),
        (aws + 1, 9, 5, _adopt_aws),
        (aws + 1, 10, 0, _leave),
        (aws + 1, 10, 35, _rules_aws),
        (aws + 5, 8, 15, _naps_aws),
    ]
    found = [
        Scene(begin + timedelta(days=day, hours=hour, minutes=minute), act)
        for day, hour, minute, act in told
    ]
    found.append(Scene(start + timedelta(days=aws), _connect_aws))
    return sorted(found, key=lambda scene: scene.at)


def _adopt(context: Context, world: World, now: datetime) -> None:
    del world
    _adopt_all(context, "huggingface", now)


def _adopt_aws(context: Context, world: World, now: datetime) -> None:
    del world
    _adopt_all(context, "sagemaker", now)


def _adopt_all(context: Context, provider: str, now: datetime) -> None:
    with context.database.write() as session:
        query = select(Endpoint).join(Account).where(Account.provider == provider)
        found = session.exec(query.where(col(Endpoint.name).not_in(UNCLAIMED))).all()
        rows = [row for row in found if not row.observe_only]
        cloud = endpoints.labels_of(session, [row.id for row in rows])
        for row in rows:
            borne = {label.key: label.value for label in cloud.get(row.id, ())}
            adoption.adopt(
                session,
                row,
                Asked("ana", now, "roll-out"),
                labels={"team": team} if (team := borne.get("cloud:team")) else {},
                owner=borne.get("cloud:owner"),
            )
            row.protected = row.name == "fraud-scorer"
            session.add(row)
        _label_the_rest(session)


def _label_the_rest(session: Session) -> None:
    """Give the unclaimed their team too, so that money is shown where it belongs."""
    rows = session.exec(select(Endpoint).where(col(Endpoint.name).in_(UNCLAIMED))).all()
    for row in rows:
        label = session.get(Label, (row.id, "cloud:team"))
        if label is not None:
            endpoints.add_our_labels(session, row.id, {"team": label.value})


def _leave(context: Context, world: World, now: datetime) -> None:
    """Let the owner of the dearest endpoint read its contract and agree to it."""
    del world
    with context.database.read() as session:
        row = session.exec(select(Endpoint).where(Endpoint.name == LLAMA_70B)).one()
        account = session.get_one(Account, row.account_id)
    card = contracts.read_card(context, account, row)
    with context.database.write() as session:
        contracts.allow_recreate(
            session,
            session.get_one(Endpoint, row.id),
            Asked("jonas", now, "nobody asks it at night"),
            card,
            seen=card.digest,
            forced=False,
        )


def _rules(context: Context, world: World, now: datetime) -> None:
    del world
    office, staging = ["mon-fri 08:00-19:00"], ["mon-fri 07:30-20:00", "sat 09:00-14:00"]
    with context.database.write() as session:
        for team in OFFICE_TEAMS:
            bound = Selector(labels={"team": team})
            _schedule(session, now, bound, title=f"Office hours {team}", windows=office)
        row = session.exec(select(Endpoint).where(Endpoint.name == STAGING)).one()
        bound = Selector(endpoint_id=row.id)
        title = "Support staging"
        _schedule(session, now, bound, title=title, windows=staging, zone="America/New_York")
        for team in RESEARCH_TEAMS:
            _nap(session, now, team, title=f"Research naps {team}", minutes=60)
        _nap(session, now, "agents", title="Agents to zero", minutes=30, action="scale_to_zero")
        _nap(session, now, "search", title="Search naps in shadow", minutes=45, shadow=True)


def _rules_aws(context: Context, world: World, now: datetime) -> None:
    """Let the 70B model, which takes half an hour to come back, begin early."""
    del world
    with context.database.write() as session:
        row = session.exec(select(Endpoint).where(Endpoint.name == LLAMA_70B)).one()
        bound, windows = Selector(endpoint_id=row.id), ["mon-fri 06:30-19:00"]
        _schedule(session, now, bound, title="Office hours Llama 70B", windows=windows)


def _naps_aws(context: Context, world: World, now: datetime) -> None:
    """See by request counts what naps would save."""
    del world
    with context.database.write() as session:
        _nap(session, now, "legal", title="Legal naps (shadow)", minutes=45, shadow=True)


def _schedule(
    session: Session,
    now: datetime,
    selector: Selector,
    *,
    title: str,
    windows: Collection[str],
    zone: str = "Europe/Berlin",
) -> None:
    made = scheduling.make_windows(zone, [parse_window(text) for text in windows], 30)
    draft = scheduling.Draft(name=title, windows=made, selector=selector)
    scheduling.create(session, draft, Asked("ana", now, "roll-out"))


def _nap(
    session: Session,
    now: datetime,
    team: str,
    *,
    title: str,
    minutes: int,
    action: str = "pause",
    shadow: bool = False,
) -> None:
    draft = policies.Draft(
        name=title,
        timeout_minutes=minutes,
        min_awake_minutes=15,
        action=action,
        selector=Selector(labels={"team": team}),
        shadow=shadow,
    )
    policies.create(session, draft, Asked("ana", now, "roll-out"))


def _late_work(context: Context, world: World, now: datetime) -> None:
    del world
    _click(context, "code-assist-32b", Asked("ben", now, "release tonight"), clicks.request_resume)


def _day_off(context: Context, world: World, now: datetime) -> None:
    del world
    _click(context, "translate-nllb", Asked("sara", now, "team is away"), clicks.request_pause)


def _click(
    context: Context,
    name: str,
    asked: Asked,
    request: Callable[[Session, Endpoint, Asked], object],
) -> None:
    with context.database.write() as session:
        row = session.exec(select(Endpoint).where(Endpoint.name == name)).one()
        request(session, row, asked)


def _console(context: Context, world: World, now: datetime) -> None:
    del context, now
    if world.endpoint("acme", STAGING).state == "paused":
        world.act("acme", STAGING, "resume", by="maria")


def _freeze(context: Context, world: World, now: datetime) -> None:
    del world
    with context.database.write() as session:
        freezing.switch_on(session, None, Asked("ana", now, "incident drill"))


def _thaw(context: Context, world: World, now: datetime) -> None:
    del world
    with context.database.write() as session:
        freezing.switch_off(session, None, Asked("ana", now, "drill over"))
