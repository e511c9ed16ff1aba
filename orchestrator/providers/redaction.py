"""Keeps secrets out of what is stored, shown and logged: markers for values, masks for texts."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MASK = "***"
MARKER = "redacted:"

_TOKEN = re.compile(
    r"""(?x)
      \b(?:hf|api_org)_[A-Za-z0-9]{8,}            # Hugging Face
    | \bsk-[A-Za-z0-9_-]{12,} | \bsk_(?:live|test)_[A-Za-z0-9]{8,}
    | \b(?:ghp|gho|ghs|ghu|ghr)_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{16,} | \bxox[abprs]-[A-Za-z0-9-]{8,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,} | \bAIza[A-Za-z0-9_-]{20,}
    | \beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?   # JSON web token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    """
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
# `token` but not `TOKENIZERS_PARALLELISM`, which is a setting; see `_COUNT_NAME` for tokens.
_SECRET_NAME = re.compile(
    r"(?i)token(?!s|iz)|secret|passw|passphrase|passcode|pgpass|(^|[_-])pass($|[_-])|(^|[_-])pwd"
    r"|(^|[_-])(pin|otp)$|credential|(^|[_-])creds?($|[_-])|api[_-]?key|access[_-]?key"
    r"|private|(^|[_-])auth|bearer|cookie|session|signature|(^|[_-])salt|(^|[_-])dsn"
    r"|connection[_-]?string|webhook|(^|[_-])key(s|$|[_-])|encrypt|license"
)
_TOKENS_NAME = re.compile(r"(?i)tokens")
# Tokens of a text, which are counted or listed, and not of a person.
_COUNT_NAME = re.compile(
    r"(?i)(^|[_-])(max|min|num|total|batch|batched|new|input|output|prefill|draft|speculative|extra"
    r"|special|stop|added|skip|ignore|count|per|context|cache|window)([_-]|tokens|$)"
)
# A number may be one of these.
_NUMBER_NAME = re.compile(r"(?i)(pin|otp|pwd|pass|passcode|password|passwd|passphrase)$")
_NUMBER = re.compile(r"\d{3,}")
# What stands for a value of the environment in a command line: $NAME, ${NAME}, $(NAME).
_VARIABLE = re.compile(r"[\"']?\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\}|\([A-Za-z_]\w*\))[\"']?")
_PLACE_NAME = re.compile(r"(?i)[_-](file|path|dir)$")
_DENSE_RUN = re.compile(r"[A-Za-z0-9]{32,}")
# Pairs inside of longer texts: `--api-key x`, `API_KEY=x`, `"api_key": "x"`.
_PAIR = re.compile(
    r"""--?([A-Za-z][\w-]*)[ =](\S+) | \b([A-Z_][A-Z0-9_]*)=(\S+) | "([\w-]+)"\s*:\s*"([^"]+)\"""",
    re.VERBOSE,
)
# Settings of model servers and of the libraries under them, by how their names begin.
_USUAL_SETTING = re.compile(
    r"(?i)(hf|sm|sagemaker|max|min|option|serving|ts|omp|neuron|nccl|cuda|pytorch|torch|vllm|tgi|num"
    r"|batch|sequence|model|messages|rope|log|dtype|transformers|tokenizers|tensor)(_|$)"
)
_REVISION_NAME = re.compile(r"(?i)revision|commit|sha|digest")
_HARMLESS = re.compile(r"(?i)|true|false|yes|no|on|off|none|null|-?\d{1,7}(\.\d{1,6})?(ms|[smhd])?")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text for people: `secrets` and everything that looks like a token are masked."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    text = _BEARER.sub(rf"\1 {MASK}", _TOKEN.sub(MASK, text))
    return _USERINFO.sub(rf"\1{MASK}@", text)


def is_redacted(value: object) -> bool:
    """Return whether a value is a marker that stands for a secret kept elsewhere."""
    return isinstance(value, str) and value.startswith(MARKER)


def looks_secret(name: str, value: str) -> bool:
    """Return whether a setting may hold a secret, by its name or by the look of its value."""
    return _is_secret_pair(name, value) or (
        not _HARMLESS.fullmatch(value) and _value_looks_secret(name, value)
    )


def secret_word(words: Sequence[str]) -> int | None:
    """Return the place of the first word of a command line that may hold a secret, else None.

    `$NAME` is none: the container puts in what its environment has. Nor is a mere long name,
    which is looked at less strictly than a setting.
    """
    flag = ""
    for place, word in enumerate(_VARIABLE.sub("none", word) for word in words):
        name, equals, value = word.partition("=")
        given = (name, value) if name.startswith("-") and equals else (flag, word)
        is_flag = word.startswith("-")
        is_pair = (equals or not is_flag) and not _PLACE_NAME.search(given[0])
        if (is_pair and _is_secret_pair(*given)) or _tells(*given):
            return place
        flag = word if is_flag and not equals else ""
    return None


def _tells(name: str, value: str) -> bool:
    if redact(value) != value or _has_secret_pair(value):
        return True
    if _REVISION_NAME.search(name):
        return False
    return any(_is_random(run) for run in _DENSE_RUN.findall(value))


def _value_looks_secret(name: str, value: str) -> bool:
    if redact(value) != value or _has_secret_pair(value):
        return True
    if _REVISION_NAME.search(name):
        return False
    return any(_is_random(run) for run in _LONG_RUN.findall(value))


def _has_secret_pair(text: str) -> bool:
    found = _PAIR.findall(text)
    return any(_is_secret_pair("".join(one[0::2]), "".join(one[1::2])) for one in found)


def _is_secret_pair(name: str, value: str) -> bool:
    """Tell whether a name says that its value, unless it is a mere number or word, is a secret."""
    if _NUMBER_NAME.search(name) and _NUMBER.fullmatch(value):
        return _SECRET_NAME.search(name) is not None
    if _HARMLESS.fullmatch(value):
        return False
    is_count = _COUNT_NAME.search(name) is not None
    tokens = _TOKENS_NAME.search(name) is not None and not is_count
    return tokens or _SECRET_NAME.search(name) is not None


def _is_random(run: str) -> bool:
    """A long run with digits and letters, not a path: file names rarely mix them so densely."""
    digits = sum(character.isdigit() for character in run)
    return digits >= 4 and len(run) - digits >= 4 and "/" not in run


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secret values by markers; with a `key` equal values give equal markers.

    The digest is an HMAC (RFC 2104), so that a marker cannot be looked up without the key.
    Without a key a marker only tells that a value is set.
    """

    key: bytes | None = field(default=None, repr=False)

    def marker(self, name: str, value: str) -> str:
        """Return what stands for `value` in everything that is kept."""
        if is_redacted(value):
            return value
        if not self.key:
            return f"{MARKER}set"
        digest = hmac.new(
            self.key, f"{name}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        return MARKER + digest.hexdigest()[:24]

    def setting(self, name: str, value: str) -> str:
        """Return `value`, or its marker when it may be a secret."""
        return self.marker(name, value) if looks_secret(name, value) else value

    def foreign(self, name: str, value: str) -> str:
        """Return `value` only where its name is that of a usual setting, or it cannot be a secret.

        For settings that others made: their names need not tell what they hold.
        """
        usual = _USUAL_SETTING.match(name) is not None or _HARMLESS.fullmatch(value) is not None
        return self.setting(name, value) if usual else self.marker(name, value)

    def arguments(self, words: Sequence[str]) -> list[str]:
        """Return a command line whose secret values are markers (`--api-key x`, `--token=x`)."""
        kept: list[str] = []
        flag = ""
        for word in words:
            name, equals, value = word.partition("=")
            if name.startswith("-") and equals:
                kept.append(f"{name}={self.setting(name, value)}")
            elif word.startswith("-"):
                kept.append(word)
            else:
                kept.append(self.setting(flag, word))
            flag = word if word.startswith("-") and not equals else ""
        return kept
