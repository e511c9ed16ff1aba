"""The options of a SageMaker account, read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from orchestrator.providers.sagemaker.billing import Billing, BillingTerms

_LOCAL = re.compile(
    r"localhost|127\.\d+\.\d+\.\d+|::1|[A-Za-z0-9_-]+|.+\.(localhost|internal|test)"
)
_ROLE = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
# `initializing_billing` is the name that all clouds share; `creating_billing` goes before it.
_BILLING = {
    "initializing_billing": "creating",
    "creating_billing": "creating",
    "failed_billing": "failed",
    "deleting_billing": "deleting",
}
KNOWN = (
    "endpoint_url",
    "execution_role",
    "connect_timeout_s",
    "read_timeout_s",
    "max_attempts",
    "describes_per_pass",
    "sweep_minutes",
    *_BILLING,
)


@dataclass(frozen=True, slots=True)
class SageMakerOptions:
    """Where the APIs are, how to call them, how often to look, and the account's billing terms.

    `endpoint_url` is one address for every service, empty for AWS's own. `execution_role` is the
    ARN that models get when their spec names none. `max_attempts` counts reads; None: as usual.
    """

    endpoint_url: str = ""
    execution_role: str = ""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    max_attempts: int | None = None
    describes_per_pass: int = 500
    sweep_minutes: int = 15
    terms: BillingTerms = field(default_factory=BillingTerms)

    @classmethod
    def read(cls, options: Mapping[str, str]) -> SageMakerOptions:
        """Return checked options. Raises ValueError, which names the option and the remedy."""
        unknown = sorted(set(options) - set(KNOWN))
        if unknown:
            raise ValueError(f"unknown option {', '.join(unknown)}; known are {', '.join(KNOWN)}")
        attempts = options.get("max_attempts")
        return cls(
            endpoint_url=_url(options.get("endpoint_url", "")),
            execution_role=_role(options.get("execution_role", "")),
            connect_timeout_s=_seconds("connect_timeout_s", options, 5.0),
            read_timeout_s=_seconds("read_timeout_s", options, 30.0),
            max_attempts=None if attempts is None else _count("max_attempts", attempts, 20),
            describes_per_pass=_count(
                "describes_per_pass", options.get("describes_per_pass", "500"), 10_000
            ),
            sweep_minutes=_count("sweep_minutes", options.get("sweep_minutes", "15"), 1440),
            terms=BillingTerms(
                **{
                    to: Billing(_one_of(at, options[at], tuple(Billing)))
                    for at, to in _BILLING.items()
                    if at in options
                }
            ),
        )


def _url(value: str) -> str:
    """Return a base URL; specs with secrets go over plain HTTP to hosts of the own network only."""
    if not value:
        return ""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("endpoint_url: give an address like https://host, without a user in it")
    if parts.scheme == "http" and not _LOCAL.fullmatch(parts.hostname):
        raise ValueError(
            f"endpoint_url: use https, secrets must not go to {parts.hostname} in the open"
        )
    return value.rstrip("/")


def _role(value: str) -> str:
    if value and not _ROLE.fullmatch(value):
        raise ValueError(
            f"execution_role: {value!r} is not a role like arn:aws:iam::123456789012:role/name"
        )
    return value


def _seconds(name: str, options: Mapping[str, str], default: float) -> float:
    value = options.get(name, str(default))
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", value) or not float(value):
        raise ValueError(f"{name}: {value!r} is not a number of seconds above 0 and below 10000")
    return float(value)


def _count(name: str, value: str, most: int) -> int:
    if not re.fullmatch(r"\d{1,6}", value) or not 1 <= int(value) <= most:
        raise ValueError(f"{name}: {value!r} is not a whole number from 1 to {most}")
    return int(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")
    return value
