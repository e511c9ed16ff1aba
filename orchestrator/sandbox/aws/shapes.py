"""Holds requests and answers against the shapes of the service model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.model import Shape

from orchestrator.sandbox.aws.service_models import pattern

_PYTHON: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "blob": (bytes,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


class AnswerShapeError(Exception):
    """An answer of the simulated cloud that AWS could not give: a defect of the simulation."""


def problems(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """What AWS would say of a decoded request, one text for each failed constraint."""
    match shape.type_name:
        case "structure":
            yield from _structure_problems(shape, value, where)
        case "list":
            yield from _bounds(shape, value, where)
            for place, item in enumerate(value, start=1):
                yield from problems(shape.member, item, f"{where}.{place}.member")
        case "map":
            yield from _bounds(shape, value, where)
            for key, item in value.items():
                yield from problems(shape.key, key, where)
                yield from problems(shape.value, item, f"{where}.{key}.member")
        case _:
            yield from _bounds(shape, value, where)


def _structure_problems(shape: Shape, value: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, member in shape.members.items():
        place = f"{where}.{_camel(name)}" if where else _camel(name)
        if value.get(name) is not None:
            yield from problems(member, value[name], place)
        elif name in shape.required_members:
            yield _failed("null", place, "Member must not be null")


def _bounds(shape: Shape, value: Any, where: str) -> Iterator[str]:
    shown = None if shape.metadata.get("sensitive") else _shown(value)
    rules = shape.metadata
    sized = isinstance(value, str | bytes | list | dict)
    size = len(value) if sized else value
    noun = "length" if sized else "value"
    comparable = isinstance(size, int | float) and not isinstance(size, bool)
    if comparable and "max" in rules and size > rules["max"]:
        text = f"Member must have {noun} less than or equal to {rules['max']}"
        yield _failed(shown, where, text)
    if comparable and "min" in rules and size < rules["min"]:
        text = f"Member must have {noun} greater than or equal to {rules['min']}"
        yield _failed(shown, where, text)
    if isinstance(value, str):
        yield from _string_problems(rules, value, shown, where)


def _string_problems(
    rules: Mapping[str, Any], value: str, shown: str | None, where: str
) -> Iterator[str]:
    if "pattern" in rules and pattern(rules["pattern"]).fullmatch(value) is None:
        text = f"Member must satisfy regular expression pattern: {rules['pattern']}"
        yield _failed(shown, where, text)
    if "enum" in rules and value not in rules["enum"]:
        listed = ", ".join(rules["enum"])
        yield _failed(shown, where, f"Member must satisfy enum value set: [{listed}]")


def _failed(shown: str | None, where: str, constraint: str) -> str:
    value = "Value" if shown is None else "Value null" if shown == "null" else f"Value '{shown}'"
    return f"{value} at '{where}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def summary(found: list[str]) -> str:
    """The message of a ValidationException about these problems."""
    noun = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {noun} detected: {'; '.join(found)}"


def check_answer(shape: Shape, value: Any, where: str) -> None:
    """Raises AnswerShapeError for what is not in the model: members, types, words, gaps."""
    if not _has_type(value, _PYTHON[shape.type_name]):
        raise AnswerShapeError(f"{where}: {type(value).__name__}, not {shape.type_name}")
    match shape.type_name:
        case "structure":
            _check_structure(shape, value, where)
        case "list":
            for place, item in enumerate(value):
                check_answer(shape.member, item, f"{where}[{place}]")
        case "map":
            for key, item in value.items():
                check_answer(shape.key, key, f"{where}.{key}")
                check_answer(shape.value, item, f"{where}.{key}")
        case "string":
            if shape.enum and value not in shape.enum:
                raise AnswerShapeError(f"{where}: {value!r} is not a word of {shape.name}")
        case "timestamp":
            if value.tzinfo is None:
                raise AnswerShapeError(f"{where}: an instant without a zone")


def _has_type(value: Any, wanted: tuple[type, ...]) -> bool:
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))


def _check_structure(shape: Shape, value: Mapping[str, Any], where: str) -> None:
    unknown = sorted(value.keys() - shape.members.keys())
    if unknown:
        raise AnswerShapeError(f"{where}: {shape.name} has no {', '.join(unknown)}")
    missing = [name for name in shape.required_members if name not in value]
    if missing:
        raise AnswerShapeError(f"{where}: {shape.name} lacks {', '.join(missing)}")
    for name, item in value.items():
        check_answer(shape.members[name], item, f"{where}.{name}")
