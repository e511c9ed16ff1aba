"""CloudWatch alarms: PutMetricAlarm, DescribeAlarms, DeleteAlarms."""

from __future__ import annotations

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Params, Result
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.listing import cut
from orchestrator.sandbox.aws.scaler import Document
from orchestrator.sandbox.instants import to_datetime

_SET = ("StateValue", "StateReason", "StateUpdatedTimestamp")


def put_alarm(call: AwsCall) -> Result:
    """Add or replace an alarm; a new one starts with INSUFFICIENT_DATA."""
    place, name, now = call.place, call.params["AlarmName"], to_datetime(call.now)
    fresh = {
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
    }
    old = place.alarms.get(name, fresh)
    place.alarms[name] = {
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        **{key: value for key, value in call.params.items() if key != "Tags"},
        **{key: old[key] for key in _SET if key in old},
        "AlarmArn": place.alarm_arn(name),
        "AlarmConfigurationUpdatedTimestamp": now,
    }
    return {}


def describe_alarms(call: AwsCall) -> Result:
    """A page of alarms by names, prefix, state or action."""
    params = call.params
    kinds = params.get("AlarmTypes", ["MetricAlarm"])
    every = call.place.alarms.values() if "MetricAlarm" in kinds else ()
    rows = [row for row in every if _wanted(params, row)]
    page = cut(rows, "MetricAlarms", params.get("NextToken"), params.get("MaxRecords", 50))
    return {**page, "CompositeAlarms": []}


def _wanted(params: Params, row: Document) -> bool:
    return (
        ("AlarmNames" not in params or row["AlarmName"] in params["AlarmNames"])
        and row["AlarmName"].startswith(params.get("AlarmNamePrefix", ""))
        and params.get("StateValue") in {None, row["StateValue"]}
        and any(
            action.startswith(params.get("ActionPrefix", ""))
            for action in row.get("AlarmActions") or [""]
        )
    )


def delete_alarms(call: AwsCall) -> Result:
    """Remove alarms; if one is not there none is removed."""
    names = call.params["AlarmNames"]
    missing = [name for name in names if name not in call.place.alarms]
    if missing:
        raise AwsError("ResourceNotFound", f"Alarms not found: {', '.join(missing)}", 404)
    for name in set(names):
        del call.place.alarms[name]
    return {}


HANDLERS: Handlers = {
    ("cloudwatch", "PutMetricAlarm"): (put_alarm, True),
    ("cloudwatch", "DescribeAlarms"): (describe_alarms, False),
    ("cloudwatch", "DeleteAlarms"): (delete_alarms, True),
}
