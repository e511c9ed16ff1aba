"""Files of rules for tests of the API: asked for, applied, refused."""

from __future__ import annotations

from typing import Any

from orchestrator.services.rules_yaml import dump
from tests.api.site import Site, problem

FILE = """\
version: 1
calendars:
  ours:
    dates:
      2026-12-24: Christmas Eve
  bavaria:
    holidays: {country: DE, subdivision: BY, language: en_US}
schedules:
  office-hours:
    timezone: Europe/Berlin
    windows: [mon-fri 08:00-19:00 ready-by, last fri 20:00-22:00 keep-running]
    points: [stop 0 22 * * *]
    dates: ["2026-12-27 extra 10:00-16:00 # sale", 2026-12-31 off]
    calendars: [ours, bavaria]
    selector: {account: lab}
policies:
  idle-30:
    timeout_minutes: 30
    quiet_hours: {timezone: Europe/Berlin, windows: [mon-fri 09:00-18:00]}
    selector: {labels: {team: search}}
expiry_policies:
  trials:
    max_ttl: 30d
    warn_before: [3d, 1d]
    calendars: [ours]
    selector: {labels: {team: search}}
endpoints:
  lab/search:
    labels: {team: search}
    owner: ada
"""
SCALING = {"min_replicas": 1, "max_replicas": 2}
SCHEDULE: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00"],
    "selector": {"account": "lab"},
}


SPEC: dict[str, Any] = {
    "repository": "acme/model",
    "hardware": {
        "vendor": "aws",
        "region": "us-east-1",
        "instance_type": "nvidia-l4",
        "instance_size": "x1",
        "accelerator": "gpu",
    },
    "scaling": SCALING,
}


def apply(site: Site, text: str, *, dry_run: bool = False, **body: Any) -> Any:
    query = "?dry_run=true" if dry_run else ""
    response = site.post(f"/v1/rules/apply{query}", {"text": text, **body})
    assert response.status_code == 200, response.text
    return response.json()["would"] if dry_run else response.json()


def refused(site: Site, text: str, status: int = 422, **body: Any) -> dict[str, str]:
    """Return what is wrong by field, after checking that nothing was changed by it."""
    before = (exported(site), len(site.events()))
    answer = problem(site.post("/v1/rules/apply", {"text": text, **body}), status, "rules_refused")
    refusals = 1 if status == 409 else 0
    assert (exported(site), len(site.events()) - refusals) == before
    return {one["field"]: one["message"] for one in answer["errors"]}


def file(**sections: Any) -> str:
    return dump({"version": 1, **sections})


def actions(answer: Any) -> dict[str, str]:
    return {f"{one['section']}/{one['name']}": one["action"] for one in answer["items"]}


def one(answer: Any, name: str) -> dict[str, Any]:
    (found,) = [item for item in answer["items"] if item["name"] == name]
    return dict(found)


def exported(site: Site) -> str:
    return str(site.get("/v1/rules")["text"])
