"""Creates and updates between their stored form, without secret values, and the driver's.

A value of `environment` or `secrets` is either a reference (`env:NAME`, `file:/path`), which
is stored and resolved at the call, or given itself. A value of `environment` that does not
look like a secret is stored; all others live in memory alone, and only their names are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.providers.credentials import resolve_credential
from orchestrator.providers.redaction import looks_secret, secret_word
from orchestrator.services.context import Secrets
from orchestrator.services.errors import invalid
from orchestrator.store.tables import Json, Operation

MAPS = ("environment", "secrets")
WORDS = ("command", "arguments")
REFERENCE_PREFIXES = ("env:", "file:")

Material = tuple[Json, Secrets]
Resolve = Callable[[str], str]


class SecretsLostError(Exception):
    """Secret values were held in memory by a process that has ended."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request in two parts: what may be stored, and the values that may not."""

    stored: Json
    secrets: Secrets


def is_reference(value: str) -> bool:
    """Tell whether a value refers to a secret instead of being one."""
    return value.startswith(REFERENCE_PREFIXES)


def _storable(name: str, key: str, value: str) -> bool:
    """Tell whether a given value may be stored; a value of `secrets` never is."""
    return name == "environment" and not looks_secret(key, value)


def check_words(request: EndpointSpec | EndpointChange, prefix: str = "") -> None:
    """Raise ServiceError 422 for a command line that holds a secret, as it is stored and shown."""
    for name in WORDS:
        place = secret_word(getattr(request, name) or ())
        if place is not None:
            raise invalid(
                f"{prefix}{name}.{place}",
                "This is, or may be, a secret, which a command line does not hold.",
                remedy="Give it in `secrets` or `environment`, and write $NAME here.",
            )


def pack(request: EndpointSpec | EndpointChange) -> Parcel:
    """Return a request in its stored form, and its plain secret values apart."""
    stored: Json = {}
    for item in fields(request):
        value = getattr(request, item.name)
        if item.name not in MAPS and value is not None:
            stored[item.name] = _plain(value)
    values: dict[str, dict[str, str]] = {}
    for name in MAPS:
        given: Mapping[str, str] | None = getattr(request, name)
        if given is None:
            continue
        refs = {key: value for key, value in given.items() if is_reference(value)}
        own = {key: value for key, value in given.items() if key not in refs}
        plain = {key: value for key, value in own.items() if _storable(name, key, value)}
        values[name] = {key: value for key, value in own.items() if key not in plain}
        stored[name] = {"references": refs, "values": sorted(values[name])}
        if plain:
            stored[name]["plain"] = plain
    return Parcel(stored, Secrets(values.get("environment", {}), values.get("secrets", {})))


def material(
    operation: Operation, kept: Secrets | None, resolve: Resolve = resolve_credential
) -> Material:
    """Return an operation's stored request and all its secret values.

    Raises SecretsLostError when values kept in memory are gone, CredentialsError for a bad
    reference.
    """
    stored = operation.request["spec"]
    filled = {name: _fill(name, stored.get(name) or {}, kept, resolve) for name in MAPS}
    return stored, Secrets(filled["environment"], filled["secrets"])


def to_spec(stored: Json, secrets: Secrets) -> EndpointSpec:
    """Return what the driver creates."""
    return EndpointSpec(**_arguments(stored, secrets))


def to_change(stored: Json, secrets: Secrets) -> EndpointChange:
    """Return what the driver changes; a map that was not given stays as it is."""
    return EndpointChange(**_arguments(stored, secrets))


def _fill(
    name: str, stored: Mapping[str, Any], kept: Secrets | None, resolve: Resolve
) -> dict[str, str]:
    filled = {key: resolve(ref) for key, ref in stored.get("references", {}).items()}
    plain: Mapping[str, str] = stored.get("plain", {})
    wanted: list[str] = stored.get("values", [])
    held: Mapping[str, str] = {} if kept is None else getattr(kept, name)
    missing = [key for key in wanted if key not in held]
    if missing:
        raise SecretsLostError(
            f"the values of {name} ({', '.join(missing)}) are not in the engine's memory: it was "
            "restarted since, or another process has taken the account over; ask again, or give "
            "references such as env:NAME"
        )
    return {**filled, **plain} | {key: held[key] for key in wanted}


def hidden(stored: Json, secrets: Secrets) -> tuple[str, ...]:
    """Return the values of a request that no text may show: all but those stored plainly."""
    found = []
    for name in MAPS:
        plain = (stored.get(name) or {}).get("plain", {})
        held: Mapping[str, str] = getattr(secrets, name)
        found += [value for key, value in held.items() if key not in plain]
    return tuple(found)


def _arguments(stored: Json, secrets: Secrets) -> dict[str, Any]:
    arguments = {name: value for name, value in stored.items() if name not in MAPS}
    if arguments.get("hardware") is not None:
        arguments["hardware"] = Hardware(**arguments["hardware"])
    if arguments.get("scaling") is not None:
        arguments["scaling"] = Scaling(**arguments["scaling"])
    for name in ("command", "arguments", "tags"):
        if arguments.get(name) is not None:
            arguments[name] = tuple(arguments[name])
    for name in MAPS:
        if name in stored:
            arguments[name] = getattr(secrets, name)
    return arguments


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Hardware | Scaling):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return list(value) if isinstance(value, tuple) else value
