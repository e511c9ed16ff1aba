"""All tables. Rows are plain records: rules live in `domain`, use cases in `services`.

Instants are UTC, money is integer nano-dollars, ids are opaque text. JSON columns hold values
that are read whole and never searched by the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from orchestrator.store.types import BIG_ID, UtcDateTime

Json = dict[str, Any]

ACTIVE_OPERATION = "status IN ('pending', 'running', 'confirming')"


# Functions of our own: the signature of `dict` and `list` is read anew for every row, as text.
def _nothing() -> Json:
    return {}


def _none() -> list[Any]:
    return []


def instant(*, index: bool = False) -> Any:
    """Return a column for a compulsory instant."""
    return Field(sa_type=UtcDateTime, index=index, nullable=False)


def maybe_instant(*, index: bool = False) -> Any:
    """Return a column for an instant that may be absent."""
    return Field(default=None, sa_type=UtcDateTime, index=index, nullable=True)


def nano() -> Any:
    """Return a column for nano-dollars; None where no price is known."""
    return Field(default=None, sa_type=BigInteger, nullable=True)


def document() -> Any:
    """Return a column for a JSON object."""
    return Field(default_factory=_nothing, sa_column=Column(JSON, nullable=False))


def array() -> Any:
    """Return a column for a JSON list."""
    return Field(default_factory=_none, sa_column=Column(JSON, nullable=False))


class Account(SQLModel, table=True):
    """A place where endpoints live; holds a reference to credentials, never the secret."""

    __tablename__ = "account"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    provider: str
    namespace: str
    region: str = ""
    credential_ref: str
    options: Json = document()
    created_at: datetime = instant()
    removed_at: datetime | None = maybe_instant()
    # Frozen by a person (`frozen_by`), or by the engine itself where the clock is in doubt.
    frozen_at: datetime | None = maybe_instant()
    frozen_by: str = ""
    frozen_reason: str = ""
    # Bulk observation: what was read last, and what the next pass owes.
    confirmed_at: datetime | None = maybe_instant()
    observed_at: datetime | None = maybe_instant()
    next_observe_at: datetime | None = maybe_instant()
    rates_at: datetime | None = maybe_instant()
    # When it was asked what an earlier store has left behind there.
    recovered_at: datetime | None = maybe_instant()
    health: str = "new"
    health_detail: str = ""
    health_since: datetime | None = maybe_instant()
    failures: int = 0
    endpoint_count: int = 0
    calls: int = 0
    # Calls so far by the cloud's own name for them, since `calls_since`.
    call_counts: Json = document()
    calls_since: datetime | None = maybe_instant()
    # How request counts are read, and what that costs a month: see `engine.evidence`.
    usage_watch: Json = document()


class Endpoint(SQLModel, table=True):
    """A deployed model as last seen, with what we were asked to make of it."""

    __tablename__ = "endpoint"
    __table_args__ = (
        UniqueConstraint("account_id", "name", "generation", name="uq_endpoint_name"),
        Index("ix_endpoint_live", "account_id", "deleted_at"),
        Index("ix_endpoint_status", "status"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    name: str = Field(index=True)
    # A name that is deleted and made again is another endpoint with the next generation.
    generation: int = 1
    managed: bool = False
    managed_since: datetime | None = maybe_instant()
    observe_only: str = ""
    protected: bool = False
    owner: str = ""

    status: str
    cloud_state: str = ""
    status_since: datetime = instant()
    message: str = ""
    url: str = ""
    digest: str = ""
    hardware_key: str = Field(default="", index=True)
    accelerator: str = ""
    repository: str = ""
    task: str = ""
    engine: str = ""
    access: str = ""
    min_replicas: int | None = None
    max_replicas: int | None = None
    scale_to_zero_minutes: int | None = None
    ready_replicas: int | None = None
    target_replicas: int | None = None
    billed_low: int = 0
    billed_expected: int = 0
    billed_high: int = 0
    spec: Json = document()
    gaps: list[str] = array()
    # What it takes to stop it (`domain.endpoints.Stop`), whether requests wake it from zero, what
    # is billed beside its replicas, and what a creation in several steps still lacks.
    stop: str = "pause"
    to_zero: bool = True
    restless: bool = False
    extras: list[Json] = array()
    unfinished: str = ""
    # When it was read on its own, for clouds whose listings tell too little.
    looked_at: datetime | None = maybe_instant()

    first_seen_at: datetime = instant()
    confirmed_at: datetime = instant()
    missing_since: datetime | None = maybe_instant()
    deleted_at: datetime | None = maybe_instant()
    cloud_created_at: datetime | None = maybe_instant()
    cloud_created_by: str = ""
    cloud_updated_at: datetime | None = maybe_instant()
    cloud_updated_by: str = ""
    last_used_at: datetime | None = maybe_instant()
    ready_at: datetime | None = maybe_instant()
    resumed_at: datetime | None = maybe_instant()

    # The standing wish: what a person last asked for (rule 6).
    wish: str = ""
    wish_reason: str = ""
    wish_actor: str = ""
    wish_at: datetime | None = maybe_instant()
    spec_version: int = 1
    # Which rule put it to sleep, so that the rule's pause is not taken for a person's.
    asleep_rule: str = ""
    asleep_since: datetime | None = maybe_instant()
    # Scaling bounds before our pause, compared after the resume.
    scaling_before_pause: Json = document()
    # The owner's leave to stop it by deleting and making it again, with who gave it and when.
    allow_recreate: bool = False
    recreate_terms: Json = document()
    # What is needed to make it again, since when, and since when our deletion may have been sent:
    # from then on "not there" means paused by us. `gone_at` is when it was first seen to be on its
    # way out or absent since then: what its pause took along is owed to it until that is back.
    kept: Json = document()
    kept_at: datetime | None = maybe_instant()
    stop_sent_at: datetime | None = maybe_instant()
    gone_at: datetime | None = maybe_instant()
    # Until then a call of ours that makes it, and whose answer was lost, may still take effect:
    # "not there" is not believed before.
    landing_until: datetime | None = maybe_instant()
    # A deletion with grace: paused until then, and who asked why (`services.deletion`).
    delete_after: datetime | None = maybe_instant()
    tombstone: Json = document()
    # When it expires: paused then, after a warning; who set that, how often it was extended, what
    # was warned of (`services.expiry`).
    expires_at: datetime | None = maybe_instant()
    expiry: Json = document()
    # What keeps it awake although nobody seems to use it (`domain.pollers`); empty: nothing seen.
    held_awake: Json = document()
    # The last decision, for pages; recomputed at every pass.
    decided_wish: str = ""
    decided_rule: str = ""
    decided_reason: str = ""
    next_edge_at: datetime | None = maybe_instant()
    next_edge_wish: str = ""
    # Back-off after refused or failed changes, and the count of opposite changes by others.
    not_before: datetime | None = maybe_instant()
    failures: int = 0
    opposed: list[str] = array()


class Label(SQLModel, table=True):
    """One label of an endpoint: `ours`, or imported from the cloud as key `cloud:*`."""

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_key_value", "key", "value"),)

    endpoint_id: str = Field(foreign_key="endpoint.id", primary_key=True)
    key: str = Field(primary_key=True)
    value: str = ""
    source: str = "ours"


class Operation(SQLModel, table=True):
    """A durable record of one change under way, written before its first call."""

    __tablename__ = "operation"
    __table_args__ = (
        Index(
            "uq_operation_active",
            "endpoint_id",
            unique=True,
            sqlite_where=text(ACTIVE_OPERATION),
            postgresql_where=text(ACTIVE_OPERATION),
        ),
        UniqueConstraint("actor", "idempotency_key", name="uq_operation_idempotency"),
        Index("ix_operation_account_status", "account_id", "status"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id")
    endpoint_id: str | None = Field(default=None, foreign_key="endpoint.id", index=True)
    endpoint_name: str
    kind: str
    status: str
    actor: str
    rule: str = ""
    reason: str
    request: Json = document()
    idempotency_key: str | None = None
    request_digest: str = ""
    steps: list[Json] = array()
    attempts: int = 0
    created_at: datetime = instant(index=True)
    started_at: datetime | None = maybe_instant()
    next_attempt_at: datetime | None = maybe_instant()
    accepted_at: datetime | None = maybe_instant()
    finished_at: datetime | None = maybe_instant()
    outcome: str = ""
    superseded_by: str | None = None
    # What the cloud last said of its endpoint, and since when it lasts longer than usual.
    cloud_state: str = ""
    cloud_message: str = ""
    stuck_since: datetime | None = maybe_instant()
    usual_s: int | None = None
    # The bulk request that it was asked for with, if any.
    bulk_id: str | None = Field(default=None, index=True)


class BulkPreview(SQLModel, table=True):
    """What a rehearsal of a bulk request listed, by the digest that confirms it.

    `items` are endpoint id, name, outcome and code: what is compared when the list has changed.
    """

    __tablename__ = "bulk_preview"

    digest: str = Field(primary_key=True)
    made_at: datetime = instant(index=True)
    items: list[list[str]] = array()


class Schedule(SQLModel, table=True):
    """Windows, cron points and exceptions, and the endpoints they bind (`services.windows`).

    `calendars` are names of calendars whose days are off; each point says since when it stands.
    """

    __tablename__ = "schedule"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    timezone: str
    windows: list[Json] = array()
    points: list[Json] = array()
    dates: list[Json] = array()
    calendars: list[str] = array()
    drain_minutes: int = 30
    selector: Json = document()
    shadow: bool = False
    enabled: bool = True
    # Endpoint ids over which "apply now" was confirmed; all others start at their next edge.
    applied_now: list[str] = array()
    effective_from: datetime = instant()
    created_at: datetime = instant()
    created_by: str
    updated_at: datetime = instant()
    version: int = 1
    removed_at: datetime | None = maybe_instant()


class IdlePolicy(SQLModel, table=True):
    """Put what nobody uses to sleep: to zero by default, a pause where the owner opted in."""

    __tablename__ = "idle_policy"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    timeout_minutes: int
    min_awake_minutes: int = 0
    action: str = "scale_to_zero"
    # Windows on the clocks of a zone in which it does not act; none where the zone is empty.
    quiet_timezone: str = ""
    quiet_windows: list[Json] = array()
    selector: Json = document()
    shadow: bool = False
    enabled: bool = True
    effective_from: datetime = instant()
    created_at: datetime = instant()
    created_by: str
    updated_at: datetime = instant()
    version: int = 1
    removed_at: datetime | None = maybe_instant()


class Calendar(SQLModel, table=True):
    """Named days off. Their dates are kept: no new version of a library changes them unasked.

    `source` is holidays, icalendar or dates, made from `parameters` (and `content`, the text of an
    iCalendar file). `dates` are names by ISO date; what lies outside of `covers_*` is unknown.
    """

    __tablename__ = "calendar"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    source: str
    parameters: Json = document()
    content: str = ""
    dates: Json = document()
    covers_from: str
    covers_to: str
    # Whether later years follow from the source by themselves.
    extends: bool = False
    # The library that made the dates, and the one whose differing dates were told of last.
    made_with: str = ""
    told_of: str = ""
    created_at: datetime = instant()
    created_by: str
    updated_at: datetime = instant()
    updated_by: str
    version: int = 1
    removed_at: datetime | None = maybe_instant()


class AppliedRule(SQLModel, table=True):
    """A rule that a file of rules made, and so one of the same set may remove.

    `digest` stands for the rule as the file left it.
    """

    __tablename__ = "applied_rule"

    rule_id: str = Field(primary_key=True)
    kind: str
    file_set: str
    digest: str
    applied_at: datetime = instant()
    applied_by: str


class Binding(SQLModel, table=True):
    """Since when a rule covers an endpoint: a new match acts from its next edge, not at once."""

    __tablename__ = "binding"

    rule_id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id", primary_key=True, index=True)
    rule_kind: str
    matched_at: datetime = instant()
    acts_from: datetime | None = maybe_instant()


class PointFiring(SQLModel, table=True):
    """A cron point that came due for an endpoint, once: it was held, only proposed, or dropped.

    `hold_id` is the hold that it began, or went on with.
    """

    __tablename__ = "point_firing"

    schedule_id: str = Field(foreign_key="schedule.id", primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id", primary_key=True, index=True)
    at: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    action: str
    expression: str
    outcome: str
    hold_id: str | None = Field(default=None, index=True)
    noted_at: datetime = instant()


class Hold(SQLModel, table=True):
    """A person's "keep it so until T"; `ended_at` is set when it is ended before its time.

    A program's is a lease (`source`): renewed while it lives, never beyond `longest_until`.
    """

    __tablename__ = "hold"
    __table_args__ = (
        Index("ix_hold_ends", "endpoint_id", "ended_at", "until"),
        Index("ix_hold_lapsing", "ended_at", "noted_at", "until"),
    )

    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    wish: str
    starts_at: datetime = instant()
    until: datetime = instant()
    actor: str
    source: str = "click"
    reason: str
    cost_nano: int | None = nano()
    ended_at: datetime | None = maybe_instant()
    ended_by: str = ""
    renewals: int = 0
    longest_until: datetime | None = maybe_instant()
    # When it was written down that it ended by itself.
    noted_at: datetime | None = maybe_instant()


class ExpiryPolicy(SQLModel, table=True):
    """For how long endpoints live: a default for new ones, and what people may ask for.

    Lengths of time are texts (`14d`, `5wd`); empty is no limit, and for `delete_grace` no deletion.
    """

    __tablename__ = "expiry_policy"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    default_ttl: str = ""
    max_ttl: str = ""
    max_extension: str = ""
    max_extensions: int | None = None
    warn_before: list[str] = array()
    delete_grace: str = ""
    timezone: str = "UTC"
    calendars: list[str] = array()
    selector: Json = document()
    enabled: bool = True
    created_at: datetime = instant()
    created_by: str
    updated_at: datetime = instant()
    version: int = 1
    removed_at: datetime | None = maybe_instant()


class Rate(SQLModel, table=True):
    """Price per replica-hour from an instant on; a past interval keeps the rate of its time."""

    __tablename__ = "rate"
    __table_args__ = (
        UniqueConstraint("account_id", "hardware_key", "effective_at", name="uq_rate"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    hardware_key: str
    nano_per_hour: int = Field(sa_type=BigInteger)
    effective_at: datetime = instant()
    source: str


class Offer(SQLModel, table=True):
    """One row of an account's price list as last read, with quota."""

    __tablename__ = "offer"

    account_id: str = Field(foreign_key="account.id", primary_key=True)
    hardware_key: str = Field(primary_key=True)
    accelerator: str = ""
    accelerators: int = 0
    memory_gb: str = ""
    accelerator_memory_gb: str = ""
    architecture: str = ""
    status: str = ""
    nano_per_hour: int | None = nano()
    quota_max: int | None = None
    quota_used: int | None = None
    quota_each: int = 0
    # Where the price is from, where it is not the cloud's own list of that moment.
    source: str = ""
    # What is priced: `compute` is hardware to run on, any other is billed beside it.
    component: str = "compute"
    read_at: datetime = instant()


class MeterInterval(SQLModel, table=True):
    """A stretch in which what is billed and its rate did not change; open while `ended_at` is None.

    Each `component` of an endpoint has stretches of its own: `compute` counts replicas, any other
    counts replicas times `units` (gigabytes of disk) in the `replicas*` columns. `burn_*` are
    nano-dollars per hour of the whole component; None where the rate is unknown.
    `evidence` says why we believe it: observed, transition (between two looks), unobserved.
    """

    __tablename__ = "meter_interval"
    __table_args__ = (
        Index("ix_meter_endpoint_start", "endpoint_id", "started_at"),
        Index("ix_meter_span", "started_at", "ended_at"),
        Index(
            "uq_meter_open",
            "endpoint_id",
            "component",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True)
    )
    endpoint_id: str = Field(foreign_key="endpoint.id")
    account_id: str = Field(foreign_key="account.id", index=True)
    started_at: datetime = instant()
    ended_at: datetime | None = maybe_instant()
    status: str
    evidence: str
    component: str = "compute"
    units: int = 1
    hardware_key: str
    rate_id: str | None = Field(default=None, foreign_key="rate.id")
    replicas_low: int
    replicas: int
    replicas_high: int
    burn_low: int | None = nano()
    burn: int | None = nano()
    burn_high: int | None = nano()
    # What a bill rounded to whole units may differ for this run, either way.
    rounding_nano: int = Field(default=0, sa_type=BigInteger)
    # Which rule or person made it run or sleep, for savings by cause.
    cause: str = ""


class UsageSample(SQLModel, table=True):
    """What was read of the requests of an endpoint in one stretch of ten minutes, kept.

    `requests` were counted in `covered_s` of its seconds; what came in the rest is unknown, and
    comes on top. Where a source tells only the time of the last request, `requests` are those
    times that were seen, a least number. A row without requests may stand for several whole
    stretches on end, up to a day: then `covered_s` is their length (`store.usage.samples`).
    """

    __tablename__ = "usage_sample"

    endpoint_id: str = Field(foreign_key="endpoint.id", primary_key=True)
    start: datetime = Field(sa_type=UtcDateTime, primary_key=True, index=True)
    requests: int
    covered_s: int
    last_request_at: datetime | None = maybe_instant()
    source: str = ""


class RuleRevision(SQLModel, table=True):
    """A schedule or idle policy as it was when the engine first decided by it.

    `digest` tells one revision of a rule from another: days off of calendars are part of it, so
    `version` may stay the same. `body` holds the columns of the rule and its days off.
    """

    __tablename__ = "rule_revision"
    __table_args__ = (UniqueConstraint("rule_id", "digest", name="uq_rule_revision"),)

    id: int | None = Field(
        default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True)
    )
    rule_id: str
    kind: str
    version: int
    digest: str
    at: datetime = instant()
    body: Json = document()


class EndpointFacts(SQLModel, table=True):
    """All that was known of a managed endpoint when its decision was made, but use and time.

    From `at` until the next one of the endpoint. `body` names rules by revision.
    """

    __tablename__ = "endpoint_facts"
    __table_args__ = (Index("ix_endpoint_facts_at", "endpoint_id", "at"),)

    id: int | None = Field(
        default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True)
    )
    endpoint_id: str = Field(foreign_key="endpoint.id")
    at: datetime = instant()
    digest: str
    body: Json = document()


class Event(SQLModel, table=True):
    """What happened: every change and every refusal to change, in the past tense."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_endpoint", "endpoint_id", "id"),)

    id: int | None = Field(
        default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True)
    )
    at: datetime = instant(index=True)
    kind: str = Field(index=True)
    account_id: str | None = Field(default=None, index=True)
    endpoint_id: str | None = None
    operation_id: str | None = None
    actor: str
    message: str
    data: Json = document()


class ApiToken(SQLModel, table=True):
    """An API token: only its SHA-256 is stored. Scopes: read, operate, admin."""

    __tablename__ = "api_token"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    digest: str = Field(unique=True)
    scope: str
    created_at: datetime = instant()
    expires_at: datetime | None = maybe_instant()
    last_used_at: datetime | None = maybe_instant()
    revoked_at: datetime | None = maybe_instant()


class WebSession(SQLModel, table=True):
    """A browser's session, made from a token; only digests of its secrets are stored."""

    __tablename__ = "web_session"

    digest: str = Field(primary_key=True)
    csrf_digest: str
    token_id: str = Field(foreign_key="api_token.id", index=True)
    created_at: datetime = instant()
    expires_at: datetime = instant()


class Setting(SQLModel, table=True):
    """A named fact of the whole installation, such as the global freeze."""

    __tablename__ = "setting"

    key: str = Field(primary_key=True)
    value: Json = document()
    updated_at: datetime = instant()


class Worker(SQLModel, table=True):
    """A process that runs the engine; its instants are the database's, not its own."""

    __tablename__ = "worker"

    id: str = Field(primary_key=True)
    host: str
    pid: int
    version: str
    started_at: datetime = instant()
    seen_at: datetime = instant()
    stopping: bool = False


class Claim(SQLModel, table=True):
    """A worker's ownership of an account until `expires_at` of the database's clock.

    `owner` is empty where it was given back. Each taking raises the epoch, which every write of
    the owner is checked against.
    """

    __tablename__ = "claim"

    account_id: str = Field(foreign_key="account.id", primary_key=True)
    owner: str = ""
    epoch: int = 0
    taken_at: datetime = instant()
    expires_at: datetime = instant()


class NotificationTarget(SQLModel, table=True):
    """Where people are told of events: references to secrets, never the secrets themselves."""

    __tablename__ = "notification_target"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    kind: str
    # A web address without credentials, or a reference to one; for `apprise` always a reference.
    address: str
    secret_ref: str = ""
    # The signing secret before the present one, while receivers change over.
    old_secret_ref: str = ""
    kinds: list[str] = array()
    least_severity: str
    selector: Json = document()
    owner: str = ""
    enabled: bool = True
    per_minute: int
    created_at: datetime = instant()
    created_by: str
    updated_at: datetime = instant()
    version: int = 1
    removed_at: datetime | None = maybe_instant()
    # Health: after a failure nothing is sent to it before `blocked_until`.
    delivered_at: datetime | None = maybe_instant()
    failing_since: datetime | None = maybe_instant()
    last_error: str = ""
    failures: int = 0
    blocked_until: datetime | None = maybe_instant()
    # The process that sends to it now; a crashed one loses it at `leased_until`.
    lease: str = ""
    leased_until: datetime | None = maybe_instant()


class Notice(SQLModel, table=True):
    """An event that people are told of, written with it; `id` is what receivers know it by."""

    __tablename__ = "notice"
    __table_args__ = (
        Index(
            "ix_notice_waiting",
            "seq",
            sqlite_where=text("expanded_at IS NULL"),
            postgresql_where=text("expanded_at IS NULL"),
        ),
        Index("ix_notice_endpoint", "endpoint_id", "seq"),
    )

    seq: int | None = Field(
        default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True)
    )
    id: str = Field(unique=True)
    at: datetime = instant(index=True)
    kind: str
    severity: str
    account_id: str | None = None
    endpoint_id: str | None = None
    operation_id: str | None = None
    actor: str
    message: str
    data: Json = document()
    # When it was turned into one delivery for each target that it concerns.
    expanded_at: datetime | None = maybe_instant()


class Delivery(SQLModel, table=True):
    """One notice on its way to one target: pending, delivered, failed, or dropped."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("notice_seq", "target_id", name="uq_delivery_once"),
        Index("ix_delivery_queue", "target_id", "status", "notice_seq"),
        Index("ix_delivery_sent", "target_id", "delivered_at"),
    )

    id: str = Field(primary_key=True)
    notice_seq: int = Field(sa_type=BigInteger, foreign_key="notice.seq")
    target_id: str = Field(foreign_key="notification_target.id")
    # What its order is kept for: the endpoint, else the account.
    subject: str
    status: str = "pending"
    attempts: int = 0
    created_at: datetime = instant()
    next_attempt_at: datetime = instant()
    delivered_at: datetime | None = maybe_instant()
    # The message that told of it, where that was a summary of several.
    summary: str = ""
    last_error: str = ""


class Restoration(SQLModel, table=True):
    """A time at which this store, or what it says of one account, was found to be an older one.

    `source` is how that was seen: restore (the command), mark (the one kept beside the store), or
    cloud. What happened in the clouds between `as_of` and `found_at` is not known here.
    """

    __tablename__ = "restoration"

    id: str = Field(primary_key=True)
    account_id: str | None = Field(default=None, foreign_key="account.id")
    source: str
    as_of: datetime | None = maybe_instant()
    found_at: datetime = instant()
    reason: str
    thawed_at: datetime | None = maybe_instant()
    thawed_by: str = ""
