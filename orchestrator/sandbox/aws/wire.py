"""The AWS protocols: from an HTTP request to an operation and its values, and back.

Service, region and access key come from the credential scope of the SigV4 `Authorization` header.
The signature itself is not verified: the simulation has no secrets, only key ids. The operation is
named by `X-Amz-Target` (JSON 1.0, 1.1), `Action` (query), or method and path (REST JSON).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

from botocore.model import OperationModel, Shape

from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.service_models import operation_model, service_model
from orchestrator.sandbox.aws.shapes import check_answer, problems, summary
from orchestrator.sandbox.aws.values import (
    WireValueError,
    from_json,
    from_query,
    from_text,
    to_json,
    to_text,
    to_xml,
    wire_name,
    xml_text,
)
from orchestrator.sandbox.messages import Request, Response

Protocol = Literal["json", "query", "rest-json"]

SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "application-autoscaling",
    "cloudwatch",
    "resourcegroupstaggingapi",
    "sts",
    "pricing",
    "service-quotas",
    "account",
    "ce",
)
"""The services that are known, by botocore's names."""

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 .*?Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"
_WORDS = dict.fromkeys(("sagemaker-runtime", "sts", "cloudwatch"), "ValidationError")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who asks for what: all that can be told before the body is read.

    `operation` is empty where the service has no such operation; `named` is what was asked for.
    """

    access_key: str
    region: str
    service: str
    operation: str
    named: str
    protocol: Protocol
    labels: Mapping[str, str]

    @property
    def model(self) -> OperationModel:
        """The model of the operation."""
        return operation_model(self.service, self.operation)


def is_aws(request: Request) -> bool:
    """Whether a request is signed for AWS."""
    return _SCOPE.match(request.headers.get("authorization", "")) is not None


def read_envelope(request: Request) -> Envelope:
    """What a signed request asks for; raises ValueError if it is not signed."""
    scope = _SCOPE.match(request.headers.get("authorization", ""))
    if scope is None:
        raise ValueError("the request has no signature of AWS")
    access_key, region, signing_name = scope.groups()
    labels: dict[str, str] = {}
    if "x-amz-target" in request.headers:
        service, named = _by_target(signing_name, request.headers["x-amz-target"])
        protocol: Protocol = "json"
    elif request.headers.get("content-type", "").startswith(_FORM):
        protocol, named = "query", _form(request).get("Action", "")
        service = next(iter(_signed_as(signing_name)), signing_name)
    else:
        protocol = "rest-json"
        service, named, labels = _by_path(signing_name, request)
    known = service in SERVICES and named in service_model(service).operation_names
    return Envelope(access_key, region, service, named if known else "", named, protocol, labels)


@lru_cache(maxsize=64)
def _signed_as(signing_name: str) -> tuple[str, ...]:
    return tuple(name for name in SERVICES if service_model(name).signing_name == signing_name)


def _by_target(signing_name: str, target: str) -> tuple[str, str]:
    prefix, _, named = target.rpartition(".")
    for service in _signed_as(signing_name):
        if service_model(service).metadata.get("targetPrefix") == prefix:
            return service, named
    return signing_name, ""


@lru_cache(maxsize=16)
def _paths(service: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Method, pattern of the path and name of every operation of a REST service."""
    model = service_model(service)
    if model.resolved_protocol != "rest-json":
        return ()
    https = ((name, model.operation_model(name).http) for name in model.operation_names)
    return tuple(
        (http["method"], re.compile(_path_pattern(http["requestUri"])), name)
        for name, http in https
    )


def _path_pattern(uri: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(uri.partition("?")[0]))


def _by_path(signing_name: str, request: Request) -> tuple[str, str, dict[str, str]]:
    for service in _signed_as(signing_name):
        for method, path, name in _paths(service):
            match = path.fullmatch(request.path)
            if match and method == request.method:
                return service, name, match.groupdict()
    return signing_name, "", {}


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


# Requests


def read_params(envelope: Envelope, request: Request) -> dict[str, Any]:
    """The parameters by the names of the model; raises AwsError where AWS cannot read them."""
    shape = envelope.model.input_shape
    if shape is None:
        return {}
    try:
        match envelope.protocol:
            case "json":
                found = from_json(shape, _json_body(request))
            case "query":
                found = from_query(shape, _form(request))
            case "rest-json":
                found = _rest_params(shape, envelope, request)
    except WireValueError as error:
        raise AwsError("SerializationException", str(error)) from error
    params: dict[str, Any] = found
    return params


def require_valid(envelope: Envelope, params: Mapping[str, Any]) -> None:
    """Hold parameters against the model; raises AwsError with the words of AWS."""
    shape = envelope.model.input_shape
    found = [] if shape is None else list(problems(shape, params))
    if found:
        code = _WORDS.get(envelope.service, "ValidationException")
        raise AwsError(code, summary(found))


def _json_body(request: Request) -> Any:
    try:
        return json.loads(request.body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", "Unexpected end of input") from error


def _rest_params(shape: Shape, envelope: Envelope, request: Request) -> dict[str, Any]:
    params: dict[str, Any] = {}
    texts = {
        "uri": envelope.labels,
        "header": request.headers,
        "querystring": request.query,
    }
    for name, member in shape.members.items():
        place = str(member.serialization.get("location", ""))
        key = wire_name(member, name)
        text = texts.get(place, {}).get(key.lower() if place == "header" else key)
        if text is not None:
            params[name] = from_text(member, text)
    payload = shape.serialization.get("payload")
    if payload is not None and shape.members[payload].type_name in {"blob", "string"}:
        params[payload] = request.body
    elif payload is not None:
        params[payload] = from_json(shape.members[payload], _json_body(request))
    else:
        params |= from_json(shape, _json_body(request))
    return params


# Answers


def answer(envelope: Envelope, value: Mapping[str, Any], request_id: str) -> Response:
    """The HTTP answer with a result; raises AnswerShapeError if AWS could not give it."""
    shape = envelope.model.output_shape
    if shape is not None or value:
        check_answer(shape or _no_output(), dict(value), envelope.operation)
    match envelope.protocol:
        case "query":
            return _query_answer(envelope, shape, value, request_id)
        case "rest-json":
            return _rest_answer(envelope, shape, value)
    body = b"" if shape is None else _dump(to_json(shape, value))
    return Response(200, {"content-type": _json_type(envelope)}, body)


def _no_output() -> Shape:
    return operation_model("sts", "GetCallerIdentity").input_shape


def _json_type(envelope: Envelope) -> str:
    version = service_model(envelope.service).metadata.get("jsonVersion", "1.1")
    return f"application/x-amz-json-{version}"


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _query_answer(
    envelope: Envelope, shape: Shape | None, value: Mapping[str, Any], request_id: str
) -> Response:
    result = "" if shape is None else to_xml(shape, value, f"{envelope.operation}Result")
    space = service_model(envelope.service).metadata.get("xmlNamespace", "")
    name = f"{envelope.operation}Response"
    meta = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    text = f'<{name} xmlns="{space}">{result}{meta}</{name}>'
    return Response(200, {"content-type": "text/xml"}, text.encode())


def _rest_answer(envelope: Envelope, shape: Shape | None, value: Mapping[str, Any]) -> Response:
    status = int(envelope.model.http.get("responseCode", 200))
    headers = {"content-type": "application/json"}
    if shape is None:
        return Response(status, headers)
    for name, item in value.items():
        member = shape.members[name]
        if member.serialization.get("location") == "header":
            headers[wire_name(member, name).lower()] = to_text(member, item, "rfc822")
    payload = shape.serialization.get("payload")
    if payload is None:
        return Response(status, headers, _dump(to_json(shape, value)))
    body = value.get(payload, b"")
    return Response(status, headers, body if isinstance(body, bytes) else _dump(body))


def refusal(envelope: Envelope, error: AwsError, request_id: str) -> Response:
    """The HTTP answer with an error, in the form of the protocol."""
    status = _status(envelope, error)
    if envelope.protocol == "query":
        return _query_refusal(envelope, error, status, request_id)
    headers = {"content-type": _json_type(envelope)}
    body = {"message": error.message}
    if envelope.protocol == "json":
        body = {"__type": error.code, **body}
    else:
        headers = {"content-type": "application/json", "x-amzn-errortype": error.code}
    return Response(status, headers, _dump(body))


def _status(envelope: Envelope, error: AwsError) -> int:
    """The status that the model gives to an error of the operation, else that of the error."""
    shapes = envelope.model.error_shapes if envelope.operation else []
    for shape in shapes:
        status = shape.metadata.get("error", {}).get("httpStatusCode")
        if shape.name == error.code and status is not None:
            return int(status)
    return error.status


def _query_refusal(envelope: Envelope, error: AwsError, status: int, request_id: str) -> Response:
    space = service_model(envelope.service).metadata.get("xmlNamespace", "")
    text = (
        f'<ErrorResponse xmlns="{space}"><Error>'
        f"<Type>{'Sender' if status < 500 else 'Receiver'}</Type>"
        f"<Code>{error.code}</Code><Message>{xml_text(error.message)}</Message>"
        f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(status, {"content-type": "text/xml"}, text.encode())
