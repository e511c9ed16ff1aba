"""What `doctor` says of the configuration: where it is from, and what of it is unsafe."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from orchestrator.cli import urls
from orchestrator.cli.checks import Check, fail, ok, warn
from orchestrator.cli.doctor_exam import Exam
from orchestrator.domain.schedules.zones import zone_rules_version
from orchestrator.settings import Settings, config_file

_ZONE_RULES_YEARS = 2
_PRIVATE = ("token", "database_url", "database_direct_url")
_SAFE_MODES = frozenset({"require", "verify-ca", "verify-full"})


def check_settings(exam: Exam) -> Iterator[Check]:
    """Check settings, folders and zone rules."""
    settings, file = exam.settings, config_file()
    told = f"valid; file {file}" if file else "valid; no file, all from environment"
    yield ok("settings", told)
    chosen = [one for one in settings.sources() if one.origin != "default"]
    origins = ", ".join(
        f"{one.name} ({one.origin} {one.where})".replace(" )", ")") for one in chosen
    )
    yield ok("settings set", origins or "none; all are defaults")
    if file is not None:
        yield from _file(settings, file)
    yield from _unsafe(settings)
    yield from _unused(settings)
    yield from _state_dir(settings)
    yield _zone_rules(exam)


def _file(settings: Settings, file: Path) -> Iterator[Check]:
    secret = [
        one.name for one in settings.sources() if one.origin == "file" and one.name in _PRIVATE
    ]
    if secret and _others_may_look(file):
        detail = f"{file} holds {', '.join(secret)} and is readable by others"
        yield fail("settings file", detail, f"chmod 600 {file}")


def _unsafe(settings: Settings) -> Iterator[Check]:
    """Yield combinations that let others in, or let secrets out."""
    public = settings.public_url
    if not _is_loopback(settings.host):
        if public is None:
            remedy = "set public_url to the https address that people use, or host to 127.0.0.1"
            yield fail(
                "host", f"{settings.host} is beyond this machine, without public_url", remedy
            )
        if settings.metrics_public:
            remedy = "unset metrics_public and give Prometheus a token that may read"
            yield warn("metrics", "costs are shown to everybody who reaches the port", remedy)
    if public is not None and not public.startswith("https://") and not urls.is_loopback(public):
        yield fail("public_url", f"{public} sends tokens in clear text", "use https")
    if settings.metrics_port is not None and not _is_loopback(settings.metrics_host):
        remedy = "set metrics_host to 127.0.0.1, or keep that network to Prometheus"
        yield warn("metrics_host", f"{settings.metrics_host} is served without encryption", remedy)
    server = settings.server_url
    if server and server.startswith("http://") and not urls.is_loopback(server):
        yield fail("server_url", f"{server} sends the token in clear text", "use https")
    if settings.allow_private_webhooks:
        remedy = "unset it unless a target is within your own network"
        yield warn("allow_private_webhooks", "webhooks may reach private machines", remedy)
    for name in ("database_url", "database_direct_url"):
        yield from _database_address(name, getattr(settings, name))


def _database_address(name: str, url: str | None) -> Iterator[Check]:
    if url is None or not url.startswith("postgresql"):
        return
    parts = urlsplit(url)
    mode = parse_qs(parts.query).get("sslmode", [os.environ.get("PGSSLMODE", "")])[0]
    if parts.hostname and not _is_loopback(parts.hostname) and mode not in _SAFE_MODES:
        detail = f"the connection to {parts.hostname} may be in clear text"
        yield warn(name, detail, "add ?sslmode=verify-full, or require")


def _unused(settings: Settings) -> Iterator[Check]:
    """Yield settings that have no effect beside others."""
    if settings.database_url.startswith("sqlite"):
        for name in ("database_direct_url", "claim_lease_s"):
            if name in settings.model_fields_set:
                yield warn(name, "it has no effect on SQLite", "unset it, or move to Postgres")
    if settings.transition_interval_s > settings.observe_interval_s:
        yield warn(
            "transition_interval_s",
            "endpoints that move are looked at less often than those at rest",
            "make it smaller than observe_interval_s",
        )


def _is_loopback(host: str) -> bool:
    return urls.is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}")


def _state_dir(settings: Settings) -> Iterator[Check]:
    folder = settings.state_dir
    if not folder.exists():
        parent = next(place for place in folder.parents if place.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok("state dir", f"{folder} will be made by `orchestrator serve`")
        else:
            yield fail("state dir", f"{parent} is not writable", "set ORCHESTRATOR_STATE_DIR")
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield fail("state dir", f"{folder} is not writable", f"chown or chmod {folder}")
    elif _others_may_look(folder):
        yield warn("state dir", f"{folder} is open to others", f"chmod 700 {folder}")
    else:
        yield ok("state dir", f"{folder} is writable and private")
    token = settings.admin_token_file
    if token.exists() and _others_may_look(token):
        yield fail("admin token", f"{token} is readable by others", f"chmod 600 {token}")


def _others_may_look(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _zone_rules(exam: Exam) -> Check:
    version = zone_rules_version()
    if exam.now.year - int(version[:4]) >= _ZONE_RULES_YEARS:
        return warn("time zones", f"rules of {version} are old", "upgrade the package tzdata")
    return ok("time zones", f"rules of {version}")
