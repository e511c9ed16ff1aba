"""AddTags, ListTags, DeleteTags of SageMaker, and GetResources of the tagging service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Params, Result
from orchestrator.sandbox.aws.errors import AwsError, invalid
from orchestrator.sandbox.aws.listing import cut, offset
from orchestrator.sandbox.aws.place import Place

_MOST = 50


def from_list(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping; raises AwsError for keys that AWS keeps for itself, or too many."""
    return merged({}, tags)


def merged(old: Mapping[str, str], tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Old and new tags together; raises AwsError."""
    new = {tag["Key"]: tag["Value"] for tag in tags}
    if any(key.lower().startswith("aws:") for key in new):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    both = {**old, **new}
    if len(both) > _MOST:
        raise AwsError("ResourceLimitExceeded", f"A resource may have {_MOST} tags.")
    return both


def to_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API shows them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def find_tags(place: Place, arn: str) -> dict[str, str]:
    """The tags of an ARN, whatever the case of its name; raises AwsError."""
    for known, tags in place.tagged():
        if known.lower() == arn.lower():
            return tags
    raise invalid(f'Could not find resource "{arn}".')


def add_tags(call: AwsCall) -> Result:
    """Add or replace tags."""
    tags = find_tags(call.place, call.params["ResourceArn"])
    tags.update(merged(tags, call.params["Tags"]))
    return {"Tags": to_list(tags)}


def list_tags(call: AwsCall) -> Result:
    """A page of tags."""
    tags = find_tags(call.place, call.params["ResourceArn"])
    size = call.params.get("MaxResults", _MOST)
    return cut(to_list(tags), "Tags", call.params.get("NextToken"), size)


def delete_tags(call: AwsCall) -> Result:
    """Remove tags by key; keys that are not there are passed over."""
    tags = find_tags(call.place, call.params["ResourceArn"])
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


def get_resources(call: AwsCall) -> Result:
    """ARNs with their tags, 100 a page: only what has tags, or had."""
    params = call.params
    rows = [
        {"ResourceARN": arn, "Tags": to_list(tags)}
        for arn, tags in call.place.tagged()
        if tags and _wanted(params, arn) and _has(params, tags)
    ]
    start, size = offset(params.get("PaginationToken")), params.get("ResourcesPerPage", 100)
    more = start + size < len(rows)
    shown = rows[start : start + size]
    return {
        "ResourceTagMappingList": shown,
        "PaginationToken": f"page-{start + size}" if more else "",
    }


def _wanted(params: Params, arn: str) -> bool:
    kinds = [kind.removeprefix("sagemaker").lstrip(":") for kind in _kinds(params)]
    kind = arn.split(":", 5)[5].partition("/")[0]
    arns = params.get("ResourceARNList")
    return (not kinds or kind in kinds or "" in kinds) and (not arns or arn in arns)


def _kinds(params: Params) -> list[str]:
    wanted = params.get("ResourceTypeFilters", [])
    return [kind for kind in wanted if kind.startswith("sagemaker")] or list(wanted)


def _has(params: Params, tags: Mapping[str, str]) -> bool:
    return all(
        row["Key"] in tags and (not row.get("Values") or tags[row["Key"]] in row["Values"])
        for row in params.get("TagFilters", ())
    )


HANDLERS: Handlers = {
    ("sagemaker", "AddTags"): (add_tags, True),
    ("sagemaker", "ListTags"): (list_tags, False),
    ("sagemaker", "DeleteTags"): (delete_tags, True),
    ("resourcegroupstaggingapi", "GetResources"): (get_resources, False),
}
