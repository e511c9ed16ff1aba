"""Every operation that the simulated AWS answers."""

from __future__ import annotations

from orchestrator.sandbox.aws import dispatch, metrics, pricing, regions, service_quotas, sts
from orchestrator.sandbox.aws.calls import Handlers

HANDLERS: Handlers = {
    **dispatch.HANDLERS,
    **sts.HANDLERS,
    **regions.HANDLERS,
    **pricing.HANDLERS,
    **service_quotas.HANDLERS,
    **metrics.HANDLERS,
}
"""By service and operation: who answers, and whether that changes anything."""
