"""Python values to and from what is on the wire: JSON, query strings, XML.

The Python side is botocore's: dicts by member name, aware datetimes, bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import Shape

_JSON_NAMES = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}
_JAVA_NAMES = {
    "string": "a String",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
    "list": "a List",
    "map": "a Map",
    "structure": "a Structure",
}
_PYTHON: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WireValueError(Exception):
    """A value on the wire has another type than the model says; the text is the cloud's."""


def wire_name(member: Shape, name: str) -> str:
    """What a member is called on the wire."""
    return str(member.serialization.get("name", name))


# JSON


def from_json(shape: Shape, value: Any) -> Any:
    """The Python value of a JSON value; unknown members are dropped, as AWS does.

    Raises WireValueError.
    """
    match shape.type_name:
        case "timestamp":
            return _read_timestamp(value)
        case "blob":
            return _read_blob(value)
    wanted = _PYTHON[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise WireValueError(_mistyped(shape, value))
    return _inside(shape, value)


def _inside(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {
                name: from_json(member, value[wire_name(member, name)])
                for name, member in shape.members.items()
                if value.get(wire_name(member, name)) is not None
            }
        case "list":
            return [from_json(shape.member, item) for item in value]
        case "map":
            return {key: from_json(shape.value, item) for key, item in value.items()}
    return value


def _mistyped(shape: Shape, value: Any) -> str:
    found = _JSON_NAMES.get(type(value), "NULL_VALUE")
    return f"{found} can not be converted to {_JAVA_NAMES.get(shape.type_name, shape.type_name)}"


def _read_timestamp(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise WireValueError("Invalid timestamp") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _read_blob(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, binascii.Error) as error:
        raise WireValueError("Invalid base64 data") from error


def to_json(shape: Shape, value: Any) -> Any:
    """The JSON value of a Python value that the model has been held against."""
    match shape.type_name:
        case "structure":
            members = shape.members
            return {
                wire_name(members[name], name): to_json(members[name], item)
                for name, item in value.items()
                if "location" not in members[name].serialization
            }
        case "list":
            return [to_json(shape.member, item) for item in value]
        case "map":
            return {key: to_json(shape.value, item) for key, item in value.items()}
        case "timestamp":
            style = str(shape.serialization.get("timestampFormat", "unixTimestamp"))
            return _write_timestamp(style, value)
        case "blob":
            return base64.b64encode(value).decode()
    return value


def _write_timestamp(style: str, value: datetime) -> str | int | float:
    moment = value.astimezone(UTC)
    match style:
        case "iso8601":
            text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
            return text.replace("+00:00", "Z")
        case "rfc822":
            return format_datetime(moment.replace(microsecond=0), usegmt=True)
    seconds = round(moment.timestamp(), 3)
    return int(seconds) if seconds.is_integer() else seconds


# Headers and parts of a path


def from_text(shape: Shape, text: str) -> Any:
    """The Python value of a text of a header, path or query; raises WireValueError."""
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                return _read_timestamp(float(text) if text.isdecimal() else text)
            case "blob":
                return _read_blob(text)
    except (KeyError, ValueError) as error:
        raise WireValueError(f"'{text}' can not be converted to {shape.type_name}") from error
    return text


def to_text(shape: Shape, value: Any, style: str = "iso8601") -> str:
    """The text of a Python value in a header or an XML element."""
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            return str(_write_timestamp(shape.serialization.get("timestampFormat", style), value))
        case "blob":
            return base64.b64encode(value).decode()
    return str(value)


# The query protocol; no operation that is simulated has maps or flattened lists in it


def from_query(shape: Shape, flat: Mapping[str, str], prefix: str = "") -> Any:
    """The Python value under a prefix of a flat form, None if there is none; WireValueError."""
    if prefix and not any(f"{key}.".startswith(f"{prefix}.") for key in flat):
        return None
    match shape.type_name:
        case "structure":
            found = {
                name: from_query(member, flat, _below(prefix, wire_name(member, name)))
                for name, member in shape.members.items()
            }
            return {name: value for name, value in found.items() if value is not None}
        case "list":
            return list(_items(shape.member, flat, f"{prefix}.member"))
    return from_text(shape, flat[prefix])


def _below(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _items(shape: Shape, flat: Mapping[str, str], prefix: str) -> Iterator[Any]:
    for number in count(1):
        item = from_query(shape, flat, f"{prefix}.{number}")
        if item is None:
            return
        yield item


def xml_text(text: str) -> str:
    """The text inside an element; characters that XML cannot hold become question marks."""
    return escape(_NOT_XML.sub("?", text))


def to_xml(shape: Shape, value: Any, tag: str) -> str:
    """An element of an answer of the query protocol."""
    match shape.type_name:
        case "structure":
            members = shape.members
            inner = "".join(
                to_xml(members[name], item, wire_name(members[name], name))
                for name, item in value.items()
            )
        case "list":
            inner = "".join(to_xml(shape.member, item, "member") for item in value)
        case _:
            inner = xml_text(to_text(shape, value))
    return f"<{tag}>{inner}</{tag}>"
