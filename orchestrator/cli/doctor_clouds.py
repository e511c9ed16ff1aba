"""What `doctor` finds out about the cloud of one account, by looking only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

from orchestrator.cli import formats
from orchestrator.cli.checks import Check, Level, fail, found, ok, unknown, warn
from orchestrator.domain.endpoints import Contract, HardwareOffer, Stop
from orchestrator.domain.money import format_dollars
from orchestrator.logs import redact_text
from orchestrator.providers.base import Identity, Listing, Provider, ProviderError, Right
from orchestrator.services.accounts import place
from orchestrator.services.context import ProviderMaker
from orchestrator.store.tables import Account, Endpoint

# More than this, and the engine starts frozen.
SKEW_FAILS = timedelta(seconds=60)
SKEW_WARNS = timedelta(seconds=5)
WRONG_CLOCK = "this clock, or that of a worker, is or was wrong: set it (NTP)"
OLD_PRICES = timedelta(days=1)
_TOP = 3
# What is told of every account, if only that it is not known.
_ASKED = ("identity", "rights", "cloud", "clock", "prices", "quotas", "calls")
_SHORTEST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Looked:
    """An account as it is stored, with its endpoints, and the instant of this check."""

    account: Account
    endpoints: Sequence[Endpoint]
    now: datetime

    @property
    def name(self) -> str:
        """Return how its checks begin."""
        return f"account {self.account.name}"

    @property
    def acts(self) -> bool:
        """Tell whether anything in it may be changed."""
        return any(row.managed for row in self.endpoints)


def check_account(make: ProviderMaker, looked: Looked) -> Iterator[Check]:
    """Check the credentials, what they may do, and what the cloud tells."""
    told: set[str] = set()
    try:
        with closing(make(looked.account)) as provider:
            for check in _look(looked, provider):
                told.add(check.name)
                yield check
    except ProviderError as error:
        remedy = f"check {looked.account.credential_ref} in the environment of the server"
        yield fail(looked.name, redact_text(str(error)), remedy)
        asked = [f"{looked.name} {what}" for what in _ASKED]
        for name in (*asked, *_deleted_to_pause(looked)):
            if name not in told:
                yield unknown(name, "not checked: the cloud gave no answer before")
    yield _price_age(looked)


def _look(looked: Looked, provider: Provider) -> Iterator[Check]:
    began = perf_counter()
    yield from _identity(looked, provider.identity(), _since(began))
    yield from _rights(looked, provider)
    yield from _listing(looked.name, provider)
    yield from _prices(looked, provider)
    yield from _usage(looked, provider)
    yield from _contracts(looked, provider)
    yield from _calls(looked, provider)


def _identity(looked: Looked, identity: Identity, milliseconds: int) -> Iterator[Check]:
    account, name = looked.account, f"{looked.name} identity"
    remedy = "give the account other credentials, or another place"
    if account.namespace not in identity.namespaces:
        reached = ", ".join(identity.namespaces) or "nothing"
        yield fail(name, f"{identity.name} does not reach {account.namespace}: {reached}", remedy)
    elif identity.problems:
        yield warn(name, redact_text("; ".join(identity.problems)), remedy)
    else:
        who = f"{identity.name} ({identity.kind})" if identity.kind else identity.name
        yield ok(name, f"{who} reaches {place(account)}", milliseconds)


def _rights(looked: Looked, provider: Provider) -> Iterator[Check]:
    """Say which rights are missing: a failure where something is managed, else perhaps intended."""
    name, began = f"{looked.name} rights", perf_counter()
    try:
        rights = provider.rights()
    except ProviderError as error:
        told = f"they could not be read: {redact_text(str(error))}"
        yield unknown(name, told, "try again shortly")
        return
    missing = [right for right in rights if right.allowed is False]
    untold = [right for right in rights if right.allowed is None]
    told = f"{len(rights) - len(missing) - len(untold)} of {len(rights)} are there"
    if untold:
        told += f", {_names(untold)} cannot be told without acting"
    if not missing:
        yield ok(name, told, _since(began))
        return
    needed = looked.acts and any(right.essential for right in missing)
    remedy = "grant them to the credentials" if looked.acts else "needed only to act, not to look"
    yield found("fail" if needed else "warn", name, f"{told}; {len(missing)} missing", remedy)
    for purpose, lacking in _by_purpose(missing).items():
        level: Level = "fail" if looked.acts and lacking[0].essential else "warn"
        yield found(level, f"{name}: {purpose}", f"missing: {_names(lacking)}", remedy)


def _by_purpose(rights: Sequence[Right]) -> Mapping[str, list[Right]]:
    by_purpose: defaultdict[str, list[Right]] = defaultdict(list)
    for right in rights:
        by_purpose[right.needed_for].append(right)
    return by_purpose


def _names(rights: Sequence[Right]) -> str:
    return ", ".join(right.name for right in rights)


def _listing(name: str, provider: Provider) -> Iterator[Check]:
    began = perf_counter()
    listing = provider.list_endpoints()
    took = _since(began)
    if listing.error is not None or not listing.complete:
        reason = redact_text(listing.problem or str(listing.error))
        yield fail(f"{name} cloud", reason, "check the network and the status page of the cloud")
    else:
        yield ok(f"{name} cloud", f"{len(listing.sightings)} endpoints", took)
    yield from _skew(f"{name} clock", listing)


def _skew(name: str, listing: Listing) -> Iterator[Check]:
    if listing.cloud_time is None:
        yield unknown(name, "the cloud told no time, so the clock was not compared")
        return
    # The cloud's Date has whole seconds, and was written somewhere between asking and answering.
    early = listing.asked_at - listing.cloud_time - timedelta(seconds=1)
    late = listing.cloud_time - listing.answered_at
    skew = max(early, late, timedelta(0))
    text = f"this clock differs from the cloud's by {skew.total_seconds():.0f} s"
    if skew > SKEW_FAILS:
        yield fail(name, text, "set the clock (NTP); the engine stays frozen until then")
    elif skew > SKEW_WARNS:
        yield warn(name, text, "set the clock (NTP)")
    else:
        yield ok(name, "agrees with the cloud's")


def _prices(looked: Looked, provider: Provider) -> Iterator[Check]:
    """Say where prices are from, which are lacking for what runs, and whether quotas are told."""
    name, began = f"{looked.name} prices", perf_counter()
    try:
        offers = provider.hardware()
    except ProviderError as error:
        yield warn(name, f"no price list: {redact_text(str(error))}", "costs are shown as unpriced")
        return
    took = _since(began)
    priced = [offer for offer in offers if offer.nano_per_hour is not None]
    lacking = _unpriced(looked, priced)
    sources = sorted({offer.source for offer in offers if offer.source})
    if lacking:
        yield warn(name, f"no price for {', '.join(lacking)}", "what runs there reads unpriced")
    elif sources:
        yield warn(name, redact_text("; ".join(sources)), "let the credentials read the price list")
    else:
        yield ok(name, f"{len(priced)} read from the cloud's list of now", took)
    yield _quotas(f"{looked.name} quotas", offers)


def _price_age(looked: Looked) -> Check:
    """Say how old the stored price list is, which all costs are counted by."""
    name, read_at = f"{looked.name} price list", looked.account.rates_at
    if read_at is None:
        return unknown(name, "the engine has not read it yet", "orchestrator serve")
    age = looked.now - read_at
    told = f"the engine's last reading {formats.age(age)}"
    if age > OLD_PRICES:
        return warn(name, told, "see its log: costs are counted by old prices")
    if age < -SKEW_WARNS:
        return warn(name, told, WRONG_CLOCK)
    return ok(name, told)


def _unpriced(looked: Looked, priced: Sequence[HardwareOffer]) -> list[str]:
    known = {offer.hardware.key for offer in priced}
    used = {
        key
        for row in looked.endpoints
        for key in (row.hardware_key, *(str(extra["key"]) for extra in row.extras))
    }
    return sorted(used - known - {""})


def _quotas(name: str, offers: Sequence[HardwareOffer]) -> Check:
    told = [offer for offer in offers if offer.quota_max is not None]
    if told:
        return ok(name, f"told for {len(told)} kinds of hardware")
    lost = "whether there is room to resume is then seen only by trying"
    return warn(name, "the cloud tells none", lost)


# Whose counts are read: those that rules watch, and others for the record of use.
_READ = (
    ("endpoints", "every_seconds", ""),
    ("recorded", "record_every_seconds", " for the record"),
)


def _usage(looked: Looked, provider: Provider) -> Iterator[Check]:
    """Say what counting requests costs, where the cloud charges for it."""
    each, watch = provider.capabilities.usage_nano_per_reading, looked.account.usage_watch
    if not each:
        return
    cost = f"one count of one endpoint costs {format_dollars(each, 6)}"
    read = [
        f"{watch[number]} endpoints every {formats.duration(watch[every])}{why}"
        for number, every, why in _READ
        if watch.get(number)
    ]
    if read:
        cost += (
            f"; {' and '.join(read)} cost {format_dollars(watch['month_nano'])} a month, at most "
            f"{format_dollars(watch['cap_nano'])}"
        )
    else:
        cost += "; no rule needs counts now"
    yield ok(f"{looked.name} usage", cost)


def _contracts(looked: Looked, provider: Provider) -> Iterator[Check]:
    """Read again what a pause by deletion would mean, before anything is ever deleted."""
    for name, row in _deleted_to_pause(looked).items():
        try:
            yield _contract(name, provider.contract(row.name))
        except ProviderError as error:
            yield fail(name, f"its contract cannot be read: {redact_text(str(error))}", _AGAIN)


def _deleted_to_pause(looked: Looked) -> Mapping[str, Endpoint]:
    """Return, by the name of its check, what is there now and may be deleted to pause it."""
    return {
        f"pause of {looked.account.name}/{row.name}": row
        for row in looked.endpoints
        if row.stop == Stop.RECREATE and row.allow_recreate and row.stop_sent_at is None
    }


_AGAIN = "it is not deleted as long as that is so"


def _contract(name: str, contract: Contract) -> Check:
    if contract.obstacles:
        return fail(name, redact_text("; ".join(contract.obstacles)), _AGAIN)
    if contract.foreign:
        who = ", ".join(contract.foreign)
        return warn(name, f"another tool manages it: {who}", "it is paused only if that is forced")
    minutes = contract.minutes_to_return
    back = "" if minutes is None else f"; it serves again after about {minutes} min"
    lost = f"; loses {', '.join(contract.lost)}" if contract.lost else ""
    alarms = f"; alarms will fire: {', '.join(contract.alarms)}" if contract.alarms else ""
    return ok(name, f"can be deleted and made again{back}{lost}{alarms}")


def _calls(looked: Looked, provider: Provider) -> Iterator[Check]:
    """Say what this check took, and what looking after the account takes."""
    account, mine = looked.account, sum(provider.calls().values())
    told = f"{mine} for this check"
    counts = Counter({str(key): int(value) for key, value in account.call_counts.items()})
    if account.calls_since is not None and counts:
        hours = max(looked.now - account.calls_since, _SHORTEST) / timedelta(hours=1)
        top = ", ".join(f"{key} {count}" for key, count in counts.most_common(_TOP))
        told += f"; {counts.total()} so far, {counts.total() / hours:.0f} an hour, most: {top}"
    yield ok(f"{looked.name} calls", told)


def _since(began: float) -> int:
    return round(1000 * (perf_counter() - began))
