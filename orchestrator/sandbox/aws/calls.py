"""What a handler of an operation is given, and the shape of the tables of handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.sandbox.aws.accounts import AwsAccount
from orchestrator.sandbox.aws.place import Place

if TYPE_CHECKING:
    from orchestrator.sandbox.aws.cloud import AwsCloud

Params = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One operation with its parameters as botocore has them in Python.

    `service` is botocore's name, such as `sagemaker-runtime`. A read shows the moment `instant`
    (microseconds since the epoch), which with `past` lies before now; further pages begin `shift`
    places later. `access_key` is the id of the key that signed.
    """

    cloud: AwsCloud
    account: AwsAccount
    region: str
    service: str
    operation: str
    params: Params
    instant: int
    past: bool = False
    shift: int = 0
    access_key: str = ""

    @property
    def place(self) -> Place:
        """What this account has in this region."""
        return self.cloud.place(self.account.id, self.region)

    @property
    def now(self) -> int:
        """The present instant; changes happen now even while reads show the past."""
        return self.cloud.instant


Handler = Callable[[AwsCall], Result]
Handlers = Mapping[tuple[str, str], tuple[Handler, bool]]
"""By service and operation: who answers, and whether that changes anything."""
