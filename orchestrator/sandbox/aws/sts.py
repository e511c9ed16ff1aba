"""STS: who a key belongs to, and keys of roles.

A key of a role names its account and its role, so nothing needs to be remembered: the simulation
trusts every role, unless `sts:AssumeRole` is denied to the account that asks.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.sandbox.aws.access import denied
from orchestrator.sandbox.aws.accounts import AwsAccount
from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.instants import to_datetime

if TYPE_CHECKING:
    from orchestrator.sandbox.aws.cloud import AwsCloud

ROLE_KEY = "ASIAEXAMPLE"
"""How the id of a key of a role begins; the account and the name of the role follow."""

_ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):role/(?:[^/]+/)*([\w+=,.@-]+)")
_ROLE_KEY = re.compile(ROLE_KEY + r"(\d{12})(\w+)")


def account_of(cloud: AwsCloud, access_key: str) -> AwsAccount | None:
    """The account that a key opens, or None for an unknown key."""
    role = _ROLE_KEY.fullmatch(access_key)
    if role is not None:
        return cloud.accounts.get(role.group(1))
    return cloud.account_of(access_key)


def principal(account: AwsAccount, access_key: str) -> str:
    """The ARN of who holds a key."""
    role = _ROLE_KEY.fullmatch(access_key)
    if role is not None:
        return f"arn:aws:sts::{account.id}:assumed-role/{role.group(2)}/session"
    return f"arn:aws:iam::{account.id}:user/{account.name or 'sandbox'}"


def get_caller_identity(call: AwsCall) -> Result:
    """Account, id and ARN of who asks; needs no right."""
    return {
        "UserId": call.access_key,
        "Account": call.account.id,
        "Arn": principal(call.account, call.access_key),
    }


def assume_role(call: AwsCall) -> Result:
    """A key of a role for `DurationSeconds`, an hour unless said; raises AwsError."""
    arn = call.params["RoleArn"]
    found = _ROLE_ARN.fullmatch(arn)
    if found is None or found.group(1) not in call.cloud.accounts:
        who = principal(call.account, call.access_key)
        raise denied(who, "sts:AssumeRole", arn, query=True)
    account_id, role = found.groups()
    key = ROLE_KEY + account_id + re.sub(r"\W", "_", role)
    session = call.params["RoleSessionName"]
    ends = to_datetime(call.now) + timedelta(seconds=call.params.get("DurationSeconds", 3600))
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "sandbox",
            "SessionToken": f"sandbox-{session}",
            "Expiration": ends,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"AROAEXAMPLE:{session}",
            "Arn": f"arn:aws:sts::{account_id}:assumed-role/{role}/{session}",
        },
    }


HANDLERS: Handlers = {
    ("sts", "GetCallerIdentity"): (get_caller_identity, False),
    ("sts", "AssumeRole"): (assume_role, False),
}
