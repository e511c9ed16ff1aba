"""SageMaker and the services around it that change it: every operation with its handler.

A handler that changes something goes through the cloud, so that a journal hears of it.
"""

from __future__ import annotations

from orchestrator.sandbox.aws import (
    alarms,
    autoscaling,
    components,
    configs,
    endpoints,
    models,
    runtime,
    tags,
)
from orchestrator.sandbox.aws.calls import AwsCall, Handler, Handlers, Result

PLAIN: Handlers = {
    **models.HANDLERS,
    **configs.HANDLERS,
    **endpoints.HANDLERS,
    **components.HANDLERS,
    **tags.HANDLERS,
    **autoscaling.HANDLERS,
    **alarms.HANDLERS,
    **runtime.HANDLERS,
}
"""The handlers themselves."""


def _change(call: AwsCall) -> Result:
    return call.cloud.change(call)


def _told(entry: tuple[Handler, bool]) -> tuple[Handler, bool]:
    handler, mutating = entry
    return (_change if mutating else handler), mutating


HANDLERS: Handlers = {key: _told(entry) for key, entry in PLAIN.items()}
"""By service and operation: who answers, and whether that changes anything."""
