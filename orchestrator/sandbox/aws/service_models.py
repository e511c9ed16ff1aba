"""Which operations AWS has and what their messages look like: botocore's own service models."""

from __future__ import annotations

import re
from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

# Java's character classes, as the inside of a class of Python; wide rather than narrow.
_MARKS = r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e\u00a1-\u00bf\u2010-\u2bff"
_CLASSES = {
    "L": r"\w",
    "M": r"\u0300-\u036f",
    "N": r"\d",
    "P": _MARKS,
    "S": _MARKS,
    "Z": r"\s",
    "Zs": r"\s",
    "Print": r"\x20-\x7e",
    "Alnum": "a-zA-Z0-9",
    "ASCII": r"\x00-\x7f",
}
_TOKEN = re.compile(r"\\p\{(\w+)\}(-?)|\\.|.", re.DOTALL)
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"


@lru_cache(maxsize=1)
def _loader() -> Loader:
    return Loader()


@lru_cache(maxsize=32)
def service_model(service: str) -> ServiceModel:
    """The model of a service by botocore's name; raises UnknownServiceError."""
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=512)
def operation_model(service: str, operation: str) -> OperationModel:
    """The model of an operation; raises OperationNotFoundError."""
    return service_model(service).operation_model(operation)


@lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    """A pattern of a service model, which is written for Java; it has to match the whole value."""
    text = text.replace(_SURROGATES, r"\U00010000-\U0010ffff").replace(r"\z", r"\Z")
    return re.compile(_translate(re.sub(r"\$\{[\d,]+\}", "$", text)))


def _translate(text: str) -> str:
    inside, out = False, []
    for token in _TOKEN.finditer(text):
        name = token.group(1)
        if name is not None:
            ranges = _CLASSES[name]
            dash = r"\-" if token.group(2) and inside else token.group(2)
            out.append((ranges if inside else f"[{ranges}]") + dash)
            continue
        found = token.group()
        inside = found == "[" or (inside and found != "]")
        out.append(found)
    return "".join(out)
