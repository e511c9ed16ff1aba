"""A scripted AWS for wire-level cases that no well-behaved cloud would produce."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qs

import httpx2

from orchestrator.clock import ManualClock
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.sagemaker.options import SageMakerOptions
from orchestrator.providers.sagemaker.session import AwsSession

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
ACCOUNT = "123456789012"
REGION = "us-east-1"
SECRET = "secret-of-nobody/in+particular"
SESSION_TOKEN = "token-of-nobody=="
KEYS = f"AKIAEXAMPLE:{SECRET}:{SESSION_TOKEN}"
DATE = "Tue, 01 Sep 2026 12:00:05 GMT"

Answer = httpx2.Response | Exception | Mapping[str, Any]
Script = Answer | Callable[[dict[str, Any]], Answer]


def refusal(code: str, words: str = "no", status: int = 400, **headers: str) -> httpx2.Response:
    """An error in the JSON protocol of AWS."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"__type": code, "message": words}
    return httpx2.Response(status, json=body, headers={"x-amzn-requestid": "r-1", **named})


def invalid(words: str) -> httpx2.Response:
    return refusal("ValidationException", words)


def caller(account: str = ACCOUNT) -> httpx2.Response:
    """Who the keys are, in the query protocol of STS."""
    text = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/ada</Arn>"
        f"<UserId>AIDAEXAMPLE</UserId><Account>{account}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return httpx2.Response(200, text=text, headers={"date": DATE})


class AwsWire:
    """Answers by `service:Operation` (or its beginning); a list answers in turn, its last again."""

    def __init__(self, **scripts: Script | Sequence[Script]) -> None:
        self.scripts: dict[str, list[Script]] = {"sts:GetCallerIdentity": [caller()]}
        for operation, script in scripts.items():
            self.on(operation, script)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.raw: list[httpx2.Request] = []
        self.slept: list[float] = []
        self.clock = ManualClock(NOW)

    def on(self, operation: str, script: Script | Sequence[Script]) -> Self:
        self.scripts[operation] = list(script) if isinstance(script, Sequence) else [script]
        return self

    @property
    def asked(self) -> Counter[str]:
        return Counter(operation for operation, _ in self.requests)

    def params(self, operation: str) -> list[dict[str, Any]]:
        return [params for name, params in self.requests if name == operation]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        operation, params = _read(request)
        self.requests.append((operation, params))
        self.raw.append(request)
        scripts = self.scripts.get(operation) or self.scripts.get(operation.split(":")[1])
        if scripts is None:
            return refusal("AccessDeniedException", f"not authorized to perform: {operation}")
        answer = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        if callable(answer) and not isinstance(answer, Exception):
            answer = answer(params)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Mapping):
            return httpx2.Response(200, json=answer, headers={"date": DATE})
        return answer

    def hooks(self, resolve: Callable[[str], str] = lambda _: KEYS) -> ProviderHooks:
        return ProviderHooks(
            clock=self.clock,
            resolve=resolve,
            sleep=self.slept.append,
            transport=httpx2.MockTransport(self._handle),
            digest_key=b"a key for tests",
        )

    def account(self, *, reference: str = "env:X", **options: str) -> ProviderAccount:
        return ProviderAccount(
            "1", "test", "sagemaker", ACCOUNT, REGION, credential_ref=reference, options=options
        )

    def session(
        self,
        *,
        resolve: Callable[[str], str] = lambda _: KEYS,
        reference: str = "env:X",
        **options: str,
    ) -> AwsSession:
        account = self.account(reference=reference, **options)
        return AwsSession(account, self.hooks(resolve), SageMakerOptions.read(options))


def _read(request: httpx2.Request) -> tuple[str, dict[str, Any]]:
    """Return service:Operation, as the signature and the target or the form name them."""
    scope = request.headers["authorization"].split("Credential=")[1].split("/")
    target = request.headers.get("x-amz-target", "")
    if target:
        return f"{scope[3]}:{target.split('.')[-1]}", json.loads(request.content or b"{}")
    form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
    if "Action" in form:
        return f"{scope[3]}:{form['Action']}", form
    operation = request.url.path.strip("/")
    return f"{scope[3]}:{operation}", json.loads(request.content or b"{}")
