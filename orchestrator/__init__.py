"""Control plane for managed model endpoints: inventory, lifecycle, schedules, exact costs."""

__version__ = "0.1.0"
