"""Whose credentials a scan uses, and which places they reach: the same for every kind of cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.logs import redact_text
from orchestrator.providers.base import CredentialsError, Identity, Provider, ProviderError
from orchestrator.providers.registry import (
    CLOUDS,
    Cloud,
    ProviderAccount,
    ProviderHooks,
    is_reference,
    make_provider,
)


@dataclass(frozen=True, slots=True)
class Target:
    """What to look at; empty where the default serves. `options` are as a person wrote them.

    Options read `KEY=VALUE` for the one kind of cloud that is scanned, or `KIND.KEY=VALUE`.
    """

    kinds: Sequence[str] = ()
    credential: str | None = None
    namespaces: Sequence[str] = ()
    regions: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    usage: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of cloud with the credentials for it.

    `identity` is None when the cloud did not tell, as `error` says; `asked` tells that a person
    named this kind. `calls` were made to find out.
    """

    kind: str
    reference: str
    identity: Identity | None = None
    error: ProviderError | None = None
    asked: bool = False
    calls: int = 0

    @property
    def cloud(self) -> Cloud:
        """Return what is known of its kind."""
        return CLOUDS[self.kind]


@dataclass(frozen=True, slots=True)
class Absent:
    """A kind of cloud for which no credentials were found, and why."""

    kind: str
    reasons: tuple[str, ...]

    @property
    def cloud(self) -> Cloud:
        """Return what is known of its kind."""
        return CLOUDS[self.kind]

    @property
    def sentence(self) -> str:
        """Return why, and what to do."""
        why = " ".join(redact_text(reason) for reason in self.reasons)
        return (
            f"{self.cloud.title}: {why} To name other credentials: "
            f"--provider {self.kind} --credential REF ({self.cloud.reference_help})."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of one cloud, in one region where the cloud has regions."""

    source: Source
    namespace: str
    region: str = ""

    @property
    def label(self) -> str:
        """Return how people tell it from others."""
        return f"{self.namespace}/{self.region}" if self.region else self.namespace


class Drivers:
    """Makes drivers for a scan; does no I/O."""

    def __init__(self, target: Target, hooks: ProviderHooks) -> None:
        self._hooks = hooks
        self.kinds = chosen_kinds(target)
        self._options = _options_by_kind(target.options, self.kinds)

    def make(self, kind: str, reference: str, namespace: str, region: str = "") -> Provider:
        """Return a driver. Raises ValueError for what its cloud cannot have."""
        account = ProviderAccount(
            id="scan",
            name=namespace or kind,
            provider=kind,
            namespace=namespace,
            region=region,
            credential_ref=reference,
            options=self._options.get(kind, {}),
        )
        return make_provider(account, self._hooks)

    def at(self, place: Place) -> Provider:
        """Return the driver of a place. Raises CliError for what its cloud cannot have."""
        try:
            source = place.source
            return self.make(source.kind, source.reference, place.namespace, place.region)
        except ValueError as error:
            raise CliError(redact_text(str(error)), ExitCode.USAGE) from None

    def accepts(self, source: Source, namespace: str) -> str:
        """Return why a kind of cloud cannot have such a namespace, empty when it can."""
        try:
            region = source.cloud.home_region
            self.make(source.kind, source.reference, namespace, region).close()
        except ValueError as error:
            return redact_text(str(error))
        return ""


def chosen_kinds(target: Target) -> tuple[str, ...]:
    """Return the kinds of clouds that a person means. Raises CliError for wrong ones.

    Credentials are only tried at a cloud that they are certainly meant for.
    """
    known = ", ".join(CLOUDS)
    for kind in target.kinds:
        if kind not in CLOUDS:
            raise CliError(f"{kind!r} is no known kind of cloud", ExitCode.USAGE, f"one of {known}")
    kinds = tuple(dict.fromkeys(target.kinds)) or _kinds_of(target.credential)
    for kind in kinds:
        cloud = CLOUDS[kind]
        if target.credential is not None and not is_reference(cloud, target.credential):
            raise CliError(
                f"--credential is no reference to credentials of {cloud.title}",
                ExitCode.AUTH,
                f"write {cloud.reference_help}",
            )
    if target.credential is not None and len(kinds) > 1:
        raise CliError(
            "--credential belongs to one cloud", ExitCode.USAGE, f"add --provider, one of {known}"
        )
    return kinds


def _kinds_of(credential: str | None) -> tuple[str, ...]:
    """Return the kinds that a reference can only belong to; all where it does not tell."""
    if credential is None:
        return tuple(CLOUDS)
    own = [kind for kind, cloud in CLOUDS.items() if re.fullmatch(cloud.references, credential)]
    return tuple(own) or tuple(CLOUDS)


def _options_by_kind(options: Mapping[str, str], kinds: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in options.items():
        kind, dot, key = name.partition(".")
        if dot and kind in CLOUDS:
            found.setdefault(kind, {})[key] = value
        elif len(kinds) == 1:
            found.setdefault(kinds[0], {})[name] = value
        else:
            raise CliError(
                f"--option {name}: of which cloud?",
                ExitCode.USAGE,
                f"write KIND.{name}=VALUE, or name one --provider",
            )
    return found


def find_sources(drivers: Drivers, target: Target) -> tuple[list[Source], list[Absent]]:
    """Ask each kind of cloud who the credentials are.

    Raises CliError when there are none for any kind.
    """
    with ThreadPoolExecutor(max_workers=len(drivers.kinds)) as pool:
        found = list(pool.map(lambda kind: _source(drivers, kind, target), drivers.kinds))
    sources = [each for each in found if isinstance(each, Source)]
    absent = [each for each in found if isinstance(each, Absent)]
    if not sources:
        why = " ".join(each.sentence for each in absent)
        raise CliError(f"no credentials were found. {why}", ExitCode.AUTH)
    return sources, absent


def _source(drivers: Drivers, kind: str, target: Target) -> Source | Absent:
    """Return the first credentials that there are, be they good or not."""
    reasons = []
    references = (target.credential,) if target.credential else CLOUDS[kind].usual_references
    for reference in references:
        found = _asked(drivers, kind, reference, asked=kind in target.kinds)
        # Without credentials nothing can be sent, so that no call was made.
        if found.calls or not isinstance(found.error, CredentialsError):
            return found
        reasons.append(str(found.error))
    return Absent(kind, tuple(reasons))


def _asked(drivers: Drivers, kind: str, reference: str, *, asked: bool) -> Source:
    home = CLOUDS[kind].home_region
    try:
        provider = drivers.make(kind, reference, "", home)
    except ValueError as error:
        raise CliError(redact_text(str(error)), ExitCode.USAGE) from None
    identity, problem = None, None
    with closing(provider):
        try:
            identity = provider.identity()
        except ProviderError as error:
            problem = error
        return Source(kind, reference, identity, problem, asked, sum(provider.calls().values()))


def find_places(drivers: Drivers, sources: Sequence[Source], target: Target) -> list[Place]:
    """Return the places to look at; one without namespace stands for a cloud that did not tell.

    Raises CliError for a namespace that no cloud can have, or a region where none has regions.
    """
    if target.regions:
        sources = [source for source in sources if source.cloud.home_region]
        if not sources:
            raise CliError("no cloud of this scan has regions", ExitCode.USAGE, "omit --region")
    found = [place for source in sources for place in _places(drivers, source, sources, target)]
    if not found:
        _refuse_namespaces(drivers, sources, target)
    return found


def _places(
    drivers: Drivers, source: Source, sources: Sequence[Source], target: Target
) -> Iterator[Place]:
    regions = _regions(source, target)
    namespaces = list(_namespaces(drivers, source, sources, target))
    if source.identity is None and not (target.namespaces and regions):
        yield Place(source, "")
        return
    for namespace in namespaces:
        for region in regions:
            yield Place(source, namespace, region)


def _regions(source: Source, target: Target) -> tuple[str, ...]:
    if not source.cloud.home_region:
        return ("",)
    told = source.identity.regions if source.identity is not None else ()
    return tuple(dict.fromkeys(target.regions)) or told


def _namespaces(
    drivers: Drivers, source: Source, sources: Sequence[Source], target: Target
) -> Iterator[str]:
    """Yield the namespaces of one source: those that were given and may be its, else all."""
    mine = source.identity.namespaces if source.identity is not None else ()
    if not target.namespaces:
        yield from (name for name in dict.fromkeys(mine) if name)
    reached = {name for one in sources if one.identity for name in one.identity.namespaces}
    for name in dict.fromkeys(target.namespaces):
        if name in mine or (name not in reached and not drivers.accepts(source, name)):
            yield name


def _refuse_namespaces(drivers: Drivers, sources: Sequence[Source], target: Target) -> None:
    for name in target.namespaces:
        why = "; ".join(filter(None, (drivers.accepts(source, name) for source in sources)))
        if why:
            raise CliError(why, ExitCode.USAGE)
