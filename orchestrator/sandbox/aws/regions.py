"""Account Management: which regions an account has switched on."""

from __future__ import annotations

from orchestrator.sandbox.aws.accounts import REGIONS
from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.tokens import page

# Regions that are open to every account without being asked for; later ones are opt-in.
_BY_DEFAULT = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
        *("ap-southeast-1", "ap-southeast-2"),
    }
)
_PAGE = 50


def list_regions(call: AwsCall) -> Result:
    """The regions with their opt-in status, by name; raises AwsError."""
    wanted = call.params.get("RegionOptStatusContains")
    rows = [
        {"RegionName": region, "RegionOptStatus": status}
        for region in sorted({*REGIONS, *call.account.regions})
        if (status := _status(call, region)) and (not wanted or status in wanted)
    ]
    shown, token = page(
        rows,
        call.params.get("NextToken"),
        call.params.get("MaxResults", _PAGE),
        refused_as="ValidationException",
    )
    return {"Regions": shown} if token is None else {"Regions": shown, "NextToken": token}


def _status(call: AwsCall, region: str) -> str:
    if region not in call.account.regions:
        return "DISABLED"
    return "ENABLED_BY_DEFAULT" if region in _BY_DEFAULT else "ENABLED"


HANDLERS: Handlers = {("account", "ListRegions"): (list_regions, False)}
