"""The names and tags of what this driver makes, the same for the same content."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

PREFIX = "endpoint-orchestrator:"
ENDPOINT_TAG = f"{PREFIX}endpoint"
INSTALLATION_TAG = f"{PREFIX}installation"
PAUSED_TAG = f"{PREFIX}paused"
KEPT_TAG = f"{PREFIX}kept"
UNFINISHED_TAG = f"{PREFIX}unfinished"
REPOSITORY_TAG = f"{PREFIX}repository"
SECRETS_TAG = f"{PREFIX}secrets"
# Stands for "made by somebody else": which settings are secret is not known.
FOREIGN: frozenset[str] = frozenset({"*"})
VARIANT = "AllTraffic"
LONGEST_NAME = 63
_LONGEST_TAG_VALUE = 256
_DIGITS = 8


def canonical(value: object) -> str:
    """Return JSON that is the same for the same content; instants become ISO 8601."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def digest_of(value: object) -> str:
    """Return 24 hex digits of what a document says."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:24]


def resource_name(endpoint: str, content: Mapping[str, Any], key: bytes | None = None) -> str:
    """Return `<endpoint>-<8 hex>`, at most 63 characters.

    The digest is keyed, so that a name tells nothing about secret values in the content.
    """
    digest = hmac.new(key or b"", canonical(content).encode(), hashlib.sha256).hexdigest()
    stem = endpoint[: LONGEST_NAME - _DIGITS - 1].rstrip("-")
    return f"{stem}-{digest[:_DIGITS]}"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return tags as AWS answers them by key."""
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in tags}


def asked_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return `key=value` texts by key; a text without `=` is a key with an empty value."""
    pairs = (tag.partition("=") for tag in tags)
    return {key: value for key, _, value in pairs}


def is_ours(key: str) -> bool:
    """Return whether a tag is one that this driver keeps for itself."""
    return key.startswith(PREFIX)


def is_reserved(key: str) -> bool:
    """Return whether AWS sets a tag by itself and refuses it from others."""
    return key.lower().startswith("aws:")


def secrets_tag(names: Iterable[str]) -> dict[str, str]:
    """Return the tag that tells which entries of an environment were given as secrets.

    Without room for all names there is no tag, and secrets are told by their look alone.
    """
    value = " ".join(sorted(names))
    return {SECRETS_TAG: value} if value and len(value) <= _LONGEST_TAG_VALUE else {}
