"""Structured logs to standard error, with every secret redacted before anything is written."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from pydantic import SecretBytes, SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
_CHATTY = ("httpx2", "httpcore2", "huggingface_hub", "botocore", "boto3", "urllib3")
_PREAMBLES = ("Context impl ", "Will assume ")
_MAX_DEPTH = 12

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credential"
    r"|authorization|cookie|session|csrf|signature|^pwd$"
)
# Keys that look secret and are not: references, names, identifiers and counts.
_HARMLESS_KEY = re.compile(
    r"(_ref|_refs|_id|_ids|_name|_names|_count|_scope|_at|_s)$"
    r"|^(max|min|num|total|used|prompt|completion|input|output)_.*tokens$|^tokens?_(used|limit)$"
)
_HARMLESS_CAMEL = re.compile(r"^(max|min|num|total)[A-Z]\w*Tokens$")
# Maps of a container's environment: names may be shown, values may be secrets.
_SECRET_MAP_KEY = re.compile(r"^(env|environ|environment|secrets|headers)$")

# Lengths are bounded so that a long line costs time in proportion to its length.
_ASSIGNMENT = re.compile(
    r"""(?P<key>[\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key"""
    r"""|private[_-]?key|credential|authorization|cookie|csrf|signature)[\w-]{0,40})"""
    r"""(?P<mark>\\?["']?\s{0,3}[=:]\s{0,3})"""
    r"""(?P<value>\w{0,9}\[redacted\]|(?:[a-z_.]{1,30}\()?b?\\?"[^"]*"|(?:[a-z_.]{1,30}\()?b?\\?'[^']*'"""
    r"""|(?:(?:bearer|basic|token)\s+)?[^\s,;&"'}\])]+)""",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"(?:(?:bearer|basic|token)\s+)?<[a-z_ -]{1,30}>[`.]*", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][a-z]{0,13}[.,;]?")
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        REDACTED,
    ),
    (
        re.compile(
            r"(?P<scheme>[a-z][a-z0-9+.-]{0,30}://)(?P<user>[^\s:/@\"']*):[^\s\"'<>]*@",
            re.IGNORECASE,
        ),
        rf"\g<scheme>\g<user>:{REDACTED}@",
    ),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (
        re.compile(r"(?<![A-Za-z0-9])(hf|api_org|hf_oauth|hf_jwt)_[A-Za-z0-9]{10,}"),
        rf"\1_{REDACTED}",
    ),
    (re.compile(r"(?<![A-Za-z0-9])orc_[A-Za-z0-9_-]{8,}"), f"orc_{REDACTED}"),
    (re.compile(r"(?<![A-Z0-9])(AKIA|ASIA)[A-Z0-9]{12,}"), rf"\1{REDACTED}"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abeprs]-[A-Za-z0-9-]{10,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
)


def redact_text(text: str) -> str:
    """Return `text` with tokens, bearer headers, assigned secrets and URL passwords redacted."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _ASSIGNMENT.sub(_redact_assignment, text)


def redact(value: object) -> Any:
    """Return a copy of `value` that is safe to write: secrets are redacted at any depth."""
    return _redact(value, 0)


def configure(
    level: str = "info",
    fmt: Literal["json", "console"] = "console",
    stream: TextIO | None = None,
) -> None:
    """Send all logs, ours and the libraries', through one chain to `stream` (standard error).

    Safe to call again; the last call holds.
    """
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StandardError() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.ExtraAdder()],
            processors=_last_processors(fmt, colours=_is_terminal(stream or sys.stderr)),
        )
    )
    _route_standard_logging(handler, level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose every word passes through the redaction."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Redact a whole log event: message, values at any depth, and exception texts."""
    del logger, method
    event.pop("color_message", None)  # uvicorn's second copy of its message
    return {str(key): _redact_pair(str(key), value, 0) for key, value in event.items()}


def _last_processors(fmt: str, *, colours: bool) -> list[Processor]:
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redact_event,
        renderer,
    ]


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at that moment, as it may be redirected later."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stderr
        super().emit(record)


def _is_terminal(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", bool)())


def _route_standard_logging(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # One line per request or timer tick of a library is noise below debug.
    quiet = logging.NOTSET if level == "DEBUG" else logging.WARNING
    for name in (*_CHATTY, "apscheduler", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(quiet)
    logging.getLogger("alembic.runtime.migration").addFilter(_is_no_preamble)


def _is_no_preamble(record: logging.LogRecord) -> bool:
    """Drop what Alembic says at every look at the revision, which probes make all the time."""
    return not record.getMessage().startswith(_PREAMBLES)


def _redact(value: object, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr | SecretBytes):
        return REDACTED
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {
            redact_text(str(key)): _redact_pair(str(key), item, depth + 1)
            for key, item in value.items()
        }
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_redact(item, depth + 1) for item in value]
    return redact_text(_as_text(value))


def _as_text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return str(value) if isinstance(value, str | BaseException) else repr(value)


def _redact_pair(key: str, value: object, depth: int) -> Any:
    if isinstance(value, Mapping) and _SECRET_MAP_KEY.search(key.lower()):
        return {redact_text(str(name)): REDACTED for name in value}
    if _is_secret_key(key) and not (value is None or isinstance(value, bool)):
        return REDACTED
    return _redact(value, depth)


def _is_secret_key(key: str) -> bool:
    name = key.lower().replace("-", "_")
    if name.endswith("session_id"):
        return True
    if _HARMLESS_KEY.search(name) or _HARMLESS_CAMEL.search(key):
        return False
    return _SECRET_KEY.search(name) is not None


def _redact_assignment(match: re.Match[str]) -> str:
    if not _is_secret_key(match["key"].lstrip(".-")) or _is_prose(match):
        return match[0]
    return f"{match['key']}{match['mark']}{REDACTED}"


def _is_prose(match: re.Match[str]) -> bool:
    """Tell a sentence such as `env:HF_TOKEN: the variable is not set` from an assignment."""
    value = match["value"].strip("\"'")
    if value.lower() in ("", "none", "null") or _PLACEHOLDER.fullmatch(value):
        return True
    told = match["mark"].startswith(":") and match["mark"].endswith(" ")
    if told and match.string.startswith("env:", max(0, match.start() - 4)):
        return True
    return told and "pass" not in match["key"].lower() and _WORD.fullmatch(value) is not None
