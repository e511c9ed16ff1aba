"""Whose the credentials are, and which places they reach."""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.providers.base import Identity, ProviderError
from orchestrator.providers.sagemaker.rights import READS, read_rights
from orchestrator.providers.sagemaker.session import AwsSession

ENABLED = ("ENABLED", "ENABLED_BY_DEFAULT")
# Without these nothing can be observed.
_ESSENTIAL = 3


def read_identity(session: AwsSession, clock: Clock) -> Identity:
    """Return the identity, with what will stand in the way. Raises ProviderError."""
    who = session.read("sts", "GetCallerIdentity")
    account, arn = str(who.get("Account") or ""), str(who.get("Arn") or "")
    kind, name = _principal(arn)
    problems = []
    if session.namespace and account != session.namespace:
        problems.append(f"the credentials belong to AWS account {account}, not {session.namespace}")
    regions, doubt = _regions(session)
    problems += [doubt] if doubt else []
    if not doubt and session.region not in regions:
        problems.append(f"region {session.region} is not enabled, or has no SageMaker endpoints")
    lacking = [
        right.name
        for right in read_rights(session, clock, READS[:_ESSENTIAL])
        if right.allowed is False
    ]
    if lacking:
        problems.append(f"the credentials lack {', '.join(lacking)}: nothing can be seen without")
    return Identity(
        name=name,
        kind=kind,
        namespaces=(account,),
        role=name if kind == "role" else "",
        regions=regions,
        regions_told=not doubt,
        problems=tuple(problems),
    )


def _principal(arn: str) -> tuple[str, str]:
    """Return kind and name of an ARN such as `arn:aws:sts::1:assumed-role/name/session`."""
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        return "role", rest.partition("/")[0]
    return kind or "unknown", rest.rpartition("/")[2] or kind


def _regions(session: AwsSession) -> tuple[tuple[str, ...], str]:
    """Return the enabled regions that SageMaker is in; where not told, all, with a problem."""
    known = session.regions()
    try:
        rows = session.pages(
            "account", "ListRegions", "Regions", RegionOptStatusContains=list(ENABLED)
        )
        enabled = {
            str(row.get("RegionName")) for row in rows if row.get("RegionOptStatus") in ENABLED
        }
    except ProviderError as error:
        return known, f"the enabled regions are not told ({error}); all are listed"
    return tuple(region for region in known if region in enabled), ""
