"""A strict reading of YAML: what is written is what is meant, and every value has its line.

Only `true`, `false`, `null` and whole numbers are more than text, so that `no`, `08:00` and
`2026-12-24` stay what they are. Keys are text and unique. Anchors, aliases, tags and several
documents are refused: a rule is read where it stands, and no small text becomes a large one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LONGEST = 512 * 1024
DEEPEST = 20
MOST_VALUES = 100_000
Path = tuple[str | int, ...]
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_WORDS: Mapping[str, bool | None] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}
# Line ends besides the usual one: readers of YAML differ about them.
_BREAKS = frozenset("\r\x85\u2028\u2029")
# The parser in C is the same grammar, many times faster.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text cannot be read; `line` counts from 1, `path` is where in the document."""

    def __init__(self, message: str, line: int, path: Path = ()) -> None:
        super().__init__(message)
        self.line = line
        self.path = path


@dataclass(slots=True)
class Loaded:
    """A document, and the line of each value by its path."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """Return the line of a value, or of the nearest that is around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load(text: str) -> Loaded:
    """Return the one document of a text. Raises YamlError, which tells the line."""
    if len(text.encode()) > LONGEST:
        raise YamlError(f"the file is longer than {LONGEST // 1024} KiB", 1)
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise YamlError(f"not valid YAML: {error.problem or 'it cannot be read'}", line) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise YamlError("not valid YAML: it has characters that are not allowed", 1) from error
    return reader.loaded


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None


class _Reader:
    """Builds a document from its events, without recursion."""

    def __init__(self) -> None:
        self.loaded = Loaded()
        self._open: list[_Open] = []
        self._documents = 0
        self._count = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlError("a file has one document; take out the second `---`", line)
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error("anchors and aliases (& and *) are not read; write it out", line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin({}, event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)

    def _begin(self, value: dict[str, Any] | list[Any], event: Any, line: int) -> None:
        self._check_tag(event, line)
        if self._is_key:
            raise self._error("a key is text", line)
        path = self._add(value, line)
        if len(self._open) >= DEEPEST:
            raise self._error(f"it is nested more than {DEEPEST} deep", line)
        self._open.append(_Open(value, path))

    def _scalar(self, event: Any, line: int) -> None:
        self._check_tag(event, line)
        if self._is_key:
            self._key(str(event.value), line)
        else:
            self._add(event.value if event.style else _plain(event.value), line)

    def _key(self, key: str, line: int) -> None:
        top = self._open[-1]
        if key == "<<":
            raise self._error("merging (<<) is not read; write it out", line)
        if key in top.value:
            raise self._error(f"{key[:60]!r} is there twice", line)
        top.key = key
        self.loaded.lines[*top.path, key] = line

    def _add(self, value: Any, line: int) -> Path:
        self._count += 1
        if self._count > MOST_VALUES:
            raise self._error(f"it has more than {MOST_VALUES} values", line)
        path: Path = ()
        if not self._open:
            self.loaded.value = value
        else:
            top = self._open[-1]
            if isinstance(top.value, list):
                path = (*top.path, len(top.value))
                top.value.append(value)
            elif top.key is not None:
                path = (*top.path, top.key)
                top.value[top.key], top.key = value, None
        self.loaded.lines.setdefault(path, line)
        return path

    @property
    def _is_key(self) -> bool:
        top = self._open[-1] if self._open else None
        return top is not None and isinstance(top.value, dict) and top.key is None

    def _check_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            raise self._error(f"tags such as {event.tag[:40]} are not read", line)

    def _error(self, message: str, line: int) -> YamlError:
        top = self._open[-1] if self._open else None
        if top is None:
            return YamlError(message, line)
        return YamlError(message, line, top.path if top.key is None else (*top.path, top.key))


def _plain(text: str) -> Any:
    """Return what a value without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # the library comes without types
    """Writes text so that this reader, and others, read it back as text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write out what occurs twice."""
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key, as people do."""
        del indentless
        super().increase_indent(flow=flow, indentless=False)


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    if _BREAKS & set(text):
        style = '"'
    elif style is None and (_plain(text) != text or _misread(text)):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _misread(text: str) -> bool:
    """Tell whether other readers of YAML would take a text for a number, a time or a word."""
    return text[:1].isdigit() or text.lower() in (
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "true",
        "false",
    )


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """Return a document as YAML, in the order that it has."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return text
