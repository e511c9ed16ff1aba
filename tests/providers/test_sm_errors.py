"""What AWS says, or fails to say, becomes the errors of the protocol; never with a secret in it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.failures import DeniedError, says_no_endpoint
from tests.providers.aws_wire import KEYS, SECRET, SESSION_TOKEN, AwsWire, invalid, refusal

QUOTA = (
    "The account-level service limit 'ml.inf2.48xlarge for endpoint usage' is 0 Instances, with "
    "current utilization of 0 Instances and a request delta of 1 Instances."
)
HARDWARE = (
    "There is not enough hardware resources on the instances for this endpoint to create a copy "
    "of the inference component."
)
BOTH: list[tuple[httpx2.Response, type[ProviderError]]] = [
    (refusal("ThrottlingException", "Rate exceeded"), ThrottledError),
    (refusal("Throttling", "Rate exceeded"), ThrottledError),
    (refusal("SomethingNew", status=429), ThrottledError),
    (refusal("AccessDeniedException", "User is not authorized to perform: x"), DeniedError),
    (refusal("AccessDenied", status=403), DeniedError),
    (refusal("UnrecognizedClientException", "invalid security token"), CredentialsError),
    (refusal("InvalidClientTokenId", status=403), CredentialsError),
    (refusal("ExpiredTokenException"), CredentialsError),
    (refusal("InvalidSignatureException"), CredentialsError),
    (refusal("SomethingNew", status=403), CredentialsError),
    (invalid('Could not find endpoint "arn:aws:sagemaker:x".'), NotFoundError),
    (refusal("ObjectNotFoundException", "No scalable target registered"), NotFoundError),
    (refusal("ResourceNotFound"), NotFoundError),
    (invalid('Cannot update in-progress endpoint "arn:aws:sagemaker:x".'), BusyError),
    (refusal("ConcurrentUpdateException"), BusyError),
    (invalid('Cannot create already existing endpoint "arn:aws:sagemaker:x".'), ConflictError),
    (refusal("ResourceLimitExceeded", QUOTA), CapacityError),
    (invalid(HARDWARE), CapacityError),
    (refusal("LimitExceededException"), CapacityError),
    (invalid("1 validation error detected"), RefusedError),
]


def read(wire: AwsWire) -> Any:
    session = wire.session(max_attempts="1")
    return session.read("sagemaker", "DescribeEndpoint", EndpointName="demo")


def change(wire: AwsWire) -> Any:
    container = {
        "Image": "x",
        "Environment": {"DB": "value-of-a-secret", "HF_MODEL_ID": "org/model-7b"},
    }
    return wire.session().change(
        "sagemaker", "CreateModel", ModelName="demo", PrimaryContainer=container
    )


class TestRefusals:
    @pytest.mark.parametrize(("answer", "kind"), BOTH)
    def test_a_read(self, answer: httpx2.Response, kind: type[ProviderError]) -> None:
        with pytest.raises(kind) as caught:
            read(AwsWire(DescribeEndpoint=answer))
        assert type(caught.value) is kind
        assert "sagemaker:DescribeEndpoint" in str(caught.value)
        assert caught.value.request_id == "r-1"

    @pytest.mark.parametrize(("answer", "kind"), BOTH)
    def test_a_change(self, answer: httpx2.Response, kind: type[ProviderError]) -> None:
        with pytest.raises(kind) as caught:
            change(AwsWire(CreateModel=answer))
        assert type(caught.value) is kind
        assert caught.value.status == answer.status_code

    def test_a_missing_right_names_its_remedy(self) -> None:
        with pytest.raises(CredentialsError, match="IAM policy"):
            read(AwsWire())

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ('Could not find endpoint "arn:aws:sagemaker:us-east-1:1:endpoint/a".', True),
            ("Could not find endpoint 'a'", True),
            ('Could not find endpoint configuration "arn:a".', False),
            ('Could not find model "arn:a".', False),
        ],
    )
    def test_only_plain_words_say_that_an_endpoint_is_gone(
        self, words: str, expected: bool
    ) -> None:
        with pytest.raises(NotFoundError) as caught:
            read(AwsWire(DescribeEndpoint=invalid(words)))
        assert says_no_endpoint(caught.value) is expected


DOUBTFUL: list[httpx2.Response | Exception] = [
    refusal("InternalFailure", status=500),
    refusal("ServiceUnavailable", status=503),
    refusal("RequestTimeout", status=408),
    refusal("InternalServiceException"),
    httpx2.Response(502, text="<html>Bad gateway</html>"),
    httpx2.Response(404, text="<html>Not here</html>"),
    httpx2.Response(302, headers={"location": "https://elsewhere.example.com"}),
    httpx2.Response(200, text="<html>Sign in</html>"),
    httpx2.Response(200, text='{"EndpointName": "de'),
    httpx2.Response(200, json=["a", "list"]),
    httpx2.ReadTimeout("slow"),
    httpx2.ReadError("reset"),
    httpx2.RemoteProtocolError("closed"),
]


class TestDoubt:
    @pytest.mark.parametrize("answer", DOUBTFUL)
    def test_a_read_is_unavailable(self, answer: httpx2.Response | Exception) -> None:
        with pytest.raises(UnavailableError):
            read(AwsWire(DescribeEndpoint=answer))

    @pytest.mark.parametrize("answer", DOUBTFUL)
    def test_a_change_is_ambiguous(self, answer: httpx2.Response | Exception) -> None:
        with pytest.raises(AmbiguousError):
            change(AwsWire(CreateModel=answer))

    def test_a_field_of_a_wrong_type_is_unreadable(self) -> None:
        wire = AwsWire(DescribeEndpoint={"EndpointName": "demo", "CreationTime": "yesterday"})
        with pytest.raises(UnavailableError, match="unreadably"):
            read(wire)


class TestParameters:
    @pytest.mark.parametrize(
        ("params", "names"),
        [
            ({}, "ModelName"),
            ({"ModelName": "m", "Foo": SECRET}, "Foo"),
            (
                {"ModelName": "m", "PrimaryContainer": {"Environment": {"A": [SECRET]}}},
                "PrimaryContainer.Environment.A",
            ),
        ],
    )
    def test_wrong_ones_are_named_without_their_values(
        self, params: dict[str, Any], names: str
    ) -> None:
        wire = AwsWire()
        with pytest.raises(RefusedError, match=names) as caught:
            wire.session().change("sagemaker", "CreateModel", **params)
        assert SECRET not in str(caught.value)
        assert wire.requests == []


class TestSecrets:
    @pytest.mark.parametrize("status", [400, 403, 500])
    def test_what_the_cloud_quotes_is_masked(self, status: int) -> None:
        quoted = f"bad {SECRET} and {SESSION_TOKEN} and value-of-a-secret for org/model-7b"
        wire = AwsWire(CreateModel=refusal("ValidationException", quoted, status=status))
        with pytest.raises(ProviderError) as caught:
            change(wire)
        shown = _everything(caught.value)
        for secret in (SECRET, SESSION_TOKEN, "value-of-a-secret", KEYS):
            assert secret not in shown
        assert "org/model-7b" in shown

    @pytest.mark.parametrize("answer", DOUBTFUL)
    def test_nothing_of_the_request_hangs_on_an_error(
        self, answer: httpx2.Response | Exception
    ) -> None:
        try:
            change(AwsWire(CreateModel=answer))
        except ProviderError as error:
            shown = _everything(error)
            assert "value-of-a-secret" not in shown
            assert SECRET not in shown


def _everything(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(f"{error!s} {error!r} {vars(error)!r}")
        error = error.__cause__ or error.__context__
    return " ".join(texts)
