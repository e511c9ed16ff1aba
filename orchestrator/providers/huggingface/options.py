"""The options of a Hugging Face account, read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from huggingface_hub import constants

from orchestrator.providers.huggingface.billing import Billing, BillingTerms
from orchestrator.providers.huggingface.session import Timeouts

_LOCAL = re.compile(
    r"localhost|127\.\d+\.\d+\.\d+|::1|[A-Za-z0-9_-]+|.+\.(localhost|internal|test)"
)
_TIMEOUTS = {
    "connect_timeout_s": "connect",
    "read_timeout_s": "read",
    "write_timeout_s": "write",
    "pool_timeout_s": "pool",
}
_BILLING = {
    "initializing_billing": "initializing",
    "pending_billing": "pending",
    "failed_billing": "failed",
}
KNOWN = ("api_url", "hub_url", "retry_cap_s", *_TIMEOUTS, *_BILLING)


@dataclass(frozen=True, slots=True)
class HuggingFaceOptions:
    """Where the APIs are, how long to wait for them, and the account's billing terms.

    `retry_cap_s` is the longest wait that a throttled read is worth before it is given up.
    """

    api_url: str = constants.INFERENCE_ENDPOINTS_ENDPOINT
    hub_url: str = "https://huggingface.co"
    timeouts: Timeouts = field(default_factory=Timeouts)
    terms: BillingTerms = field(default_factory=BillingTerms)
    retry_cap_s: float = 10.0

    @classmethod
    def read(cls, options: Mapping[str, str]) -> HuggingFaceOptions:
        """Return checked options. Raises ValueError, which names the option and the remedy."""
        unknown = sorted(set(options) - set(KNOWN))
        if unknown:
            raise ValueError(f"unknown option {', '.join(unknown)}; known are {', '.join(KNOWN)}")
        default = cls()
        return cls(
            api_url=_url("api_url", options.get("api_url", default.api_url)),
            hub_url=_url("hub_url", options.get("hub_url", default.hub_url)),
            timeouts=Timeouts(
                **{to: _seconds(at, options[at]) for at, to in _TIMEOUTS.items() if at in options}
            ),
            terms=BillingTerms(
                **{to: _billing(at, options[at]) for at, to in _BILLING.items() if at in options}
            ),
            retry_cap_s=_seconds("retry_cap_s", options.get("retry_cap_s", "10")),
        )


def _url(name: str, value: str) -> str:
    """Return a base URL; a token goes over plain HTTP to hosts of the own network only."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError(f"{name}: give an address like https://host/path, without a user in it")
    if parts.scheme == "http" and not _LOCAL.fullmatch(parts.hostname):
        raise ValueError(
            f"{name}: use https, the token must not go to {parts.hostname} in the open"
        )
    return value.rstrip("/")


def _seconds(name: str, value: str) -> float:
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", value) or not float(value):
        raise ValueError(f"{name}: {value!r} is not a number of seconds above 0 and below 10000")
    return float(value)


def _billing(name: str, value: str) -> Billing:
    if value not in list(Billing):
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(Billing)}")
    return Billing(value)
