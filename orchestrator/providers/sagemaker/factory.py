"""Makes the SageMaker driver from the settings of an account."""

from __future__ import annotations

import re
from functools import partial

from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.redaction import Redactor
from orchestrator.providers.sagemaker.desk import Desk
from orchestrator.providers.sagemaker.options import SageMakerOptions
from orchestrator.providers.sagemaker.provider import SageMakerProvider
from orchestrator.providers.sagemaker.quotas import Quotas
from orchestrator.providers.sagemaker.reading import Reader
from orchestrator.providers.sagemaker.rights import rights_for
from orchestrator.providers.sagemaker.session import AwsSession, partition_of
from orchestrator.providers.sagemaker.snapshot import Mapper

_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}")


def make_sagemaker(account: ProviderAccount, hooks: ProviderHooks) -> SageMakerProvider:
    """Return the driver of an AWS account in a region; makes no call.

    Without a namespace it is whichever account the credentials belong to. Raises ValueError for
    a missing region, or a wrong namespace, reference or option.
    """
    if account.namespace and not _ACCOUNT.fullmatch(account.namespace):
        raise ValueError(
            f"account {account.name!r}: namespace is not the 12 digits of an AWS account"
        )
    if not _REGION.fullmatch(account.region):
        raise ValueError(
            f"account {account.name!r}: region {account.region!r} is not one like us-east-1"
        )
    try:
        options = SageMakerOptions.read(account.options)
        session = AwsSession(account, hooks, options)
    except ValueError as error:
        raise ValueError(f"account {account.name!r}: {error}") from None
    redactor = Redactor(hooks.digest_key)
    quotas = Quotas(session, hooks.clock)
    return SageMakerProvider(
        session=session,
        reader=Reader(session, redactor, hooks.clock),
        mapper=Mapper(
            account.region,
            _runtime_url(account.region, options),
            options.terms,
            hooks.installation,
        ),
        desk=Desk(
            session,
            redactor,
            quotas.known,
            options.execution_role,
            partial(rights_for, session, hooks.clock),
            hooks.installation,
        ),
        quotas=quotas,
        clock=hooks.clock,
    )


def _runtime_url(region: str, options: SageMakerOptions) -> str:
    if options.endpoint_url:
        return options.endpoint_url
    suffix = "amazonaws.com.cn" if partition_of(region) == "aws-cn" else "amazonaws.com"
    return f"https://runtime.sagemaker.{region}.{suffix}"
