"""Tags, scalable targets and policies of many endpoints, for one listing: singly, or in bulk.

Which of a listing's endpoints will be read is not known before. So the first few are asked for
one by one, until the whole would have cost no more calls; then all are fetched at once. At worst
this takes twice the calls of the better way.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchestrator.providers.base import NotFoundError, ProviderError
from orchestrator.providers.sagemaker.naming import tag_map
from orchestrator.providers.sagemaker.session import AwsSession

_log = logging.getLogger(__name__)

SCALING = "application-autoscaling"
TAGGING = "resourcegroupstaggingapi"
# The largest pages that the services give.
TAGS_PAGE, TARGETS_PAGE, POLICIES_PAGE = 100, 50, 10

Row = Mapping[str, Any]
Tags = dict[str, str]


class _Bulk:
    """Rows by key: `pages` is what fetching all of them costs in calls."""

    def __init__(self, pages: int, fetch: Callable[[], dict[str, Any]]) -> None:
        self._pages = pages
        self._fetch = fetch
        self._asked = 0
        self._all: dict[str, Any] | None = None
        self._refused = pages == 0
        self._lock = threading.Lock()

    def rows(self) -> dict[str, Any] | None:
        """Return all rows, None while asking singly is the cheaper way or the only one."""
        with self._lock:
            if self._all is not None or self._refused:
                return self._all
            self._asked += 1
            if self._asked >= self._pages:
                try:
                    self._all = self._fetch()
                except ProviderError as error:
                    # Whatever fails in bulk is asked for singly: that tells what is the matter.
                    _log.warning("a bulk read is replaced by single ones: %s", error)
                    self._refused = True
            return self._all


class Sweep:
    """What is shared by the reads of one listing of `size` endpoints; 0: a single read."""

    def __init__(self, session: AwsSession, size: int = 0) -> None:
        self._session = session
        self._tags = _Bulk(_pages(size, TAGS_PAGE), self._all_tags)
        self._targets = _Bulk(_pages(size, TARGETS_PAGE), self._all_targets)
        self._policies = _Bulk(_pages(size, POLICIES_PAGE), self._all_policies)

    def tags(self, arn: str, *, fresh: bool) -> Tags:
        """Return the tags of an endpoint.

        The bulk API learns of changes with a delay, so that `fresh` endpoints are asked directly.
        """
        found = None if fresh else self._tags.rows()
        if found is not None:
            return dict(found.get(arn.lower(), {}))
        return read_tags(self._session, arn)

    def targets(self, resources: Sequence[str]) -> list[Row]:
        """Return the scalable targets of some variants or inference components."""
        found = self._targets.rows()
        if found is not None:
            return [row for resource in resources for row in found.get(resource, ())]
        rows: list[Row] = []
        for start in range(0, len(resources), TARGETS_PAGE):
            ids = list(resources[start : start + TARGETS_PAGE])
            rows += self._scaling("DescribeScalableTargets", "ScalableTargets", ResourceIds=ids)
        return rows

    def policies(self, resources: Sequence[str]) -> list[Row]:
        """Return the scaling policies of some variants or inference components."""
        rows: list[Row] = []
        for resource in resources:
            found = self._policies.rows()
            if found is None:
                rows += self._scaling(
                    "DescribeScalingPolicies", "ScalingPolicies", ResourceId=resource
                )
            else:
                rows += found.get(resource, ())
        return rows

    def _all_tags(self) -> dict[str, Any]:
        rows = self._session.pages(
            TAGGING,
            "GetResources",
            "ResourceTagMappingList",
            ResourceTypeFilters=["sagemaker:endpoint"],
            ResourcesPerPage=TAGS_PAGE,
        )
        return {str(row.get("ResourceARN")).lower(): tag_map(row.get("Tags") or ()) for row in rows}

    def _all_targets(self) -> dict[str, Any]:
        return _by_resource(self._scaling("DescribeScalableTargets", "ScalableTargets"))

    def _all_policies(self) -> dict[str, Any]:
        return _by_resource(self._scaling("DescribeScalingPolicies", "ScalingPolicies"))

    def _scaling(self, operation: str, key: str, **params: Any) -> Iterable[Row]:
        return self._session.pages(SCALING, operation, key, ServiceNamespace="sagemaker", **params)


def read_tags(session: AwsSession, arn: str) -> Tags:
    """Return the tags of one resource; none for one that is gone meanwhile."""
    try:
        return tag_map(session.pages("sagemaker", "ListTags", "Tags", ResourceArn=arn))
    except NotFoundError:
        return {}


def _pages(size: int, page: int) -> int:
    return -(-size // page)


def _by_resource(rows: Iterable[Row]) -> dict[str, Any]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row.get("ResourceId"))].append(row)
    return dict(found)
