"""Makes the Hugging Face driver from the settings of an account."""

from __future__ import annotations

from functools import partial

from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.huggingface.options import HuggingFaceOptions
from orchestrator.providers.huggingface.provider import HuggingFaceProvider
from orchestrator.providers.huggingface.session import BOUNDS, Session
from orchestrator.providers.huggingface.snapshot import Mapper
from orchestrator.providers.redaction import Redactor


def make_huggingface(account: ProviderAccount, hooks: ProviderHooks) -> HuggingFaceProvider:
    """Return the driver of a namespace; the token is resolved at each call, so it may rotate.

    Without a namespace it can only say who the token is. Raises ValueError for a wrong option.
    """
    try:
        options = HuggingFaceOptions.read(account.options)
    except ValueError as error:
        raise ValueError(f"account {account.name!r}: {error}") from None
    session = Session(
        token=partial(hooks.resolve, account.credential_ref),
        clock=hooks.clock,
        sleep=hooks.sleep,
        pacer=hooks.pacer(account, BOUNDS.__getitem__),
        watch=hooks.watch(account),
        timeouts=options.timeouts,
        retry_cap_s=options.retry_cap_s,
        transport=hooks.transport,
    )
    return HuggingFaceProvider(
        namespace=account.namespace,
        session=session,
        mapper=Mapper(options.terms, Redactor(hooks.digest_key)),
        clock=hooks.clock,
        api_url=options.api_url,
        hub_url=options.hub_url,
    )
