"""Image URIs by framework and version, from the tables of the SageMaker Python SDK.

The SDK is an extra of this package, is slow to import, and is not made for threads: it is imported
at the first question, in a worker thread of its own that also keeps callers in line.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

from orchestrator.providers.base import SpecError

# The frameworks that can be asked for, and what `inference_tool` each of them needs.
FRAMEWORKS: Mapping[str, str | None] = {
    "huggingface-llm-neuronx": "neuronx",
    "huggingface-vllm-neuronx": "neuronx",
    "huggingface-llm": None,
    "huggingface-vllm": None,
}
_LONGEST_URI = 255
_GIVE_IT = 'give the image itself as {"uri": "…"}'
_INSTALL = f"{_GIVE_IT}, or install endpoint-orchestrator[sagemaker]"
# A tag of the form -inf2- comes of asking the SDK without its inference tool: no such image exists.
_NO_SUCH_TAG = re.compile(r":[^/]*-inf2-")
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws)/"
)


def image_uri(image: Mapping[str, Any], region: str) -> str:
    """Return the URI of an image given as `uri`, or by `framework` and perhaps `version`.

    Raises SpecError for what is not possible, or when the SDK is needed and not installed.
    """
    given = image.get("uri")
    if given is not None:
        return _checked(str(given))
    framework, version = str(image.get("framework", "")), image.get("version")
    if framework not in FRAMEWORKS:
        raise SpecError(
            "image",
            f"no image was given, and {framework!r} is not a framework that is known",
            remedy=f"{_GIVE_IT}, or a framework: {', '.join(FRAMEWORKS)}",
        )
    unknown = sorted(set(image) - {"framework", "version"})
    if unknown:
        raise SpecError(
            f"image.{unknown[0]}", "it is not a part of an image", remedy="leave it out"
        )
    return _worker().submit(_retrieved, framework, str(version or ""), region).result()


def image_region(uri: str) -> str:
    """Return the region of an image in a private registry of AWS, "" for others."""
    found = _ECR.match(uri)
    return found["region"] if found else ""


def _checked(uri: str) -> str:
    if not uri or len(uri) > _LONGEST_URI or re.search(r"\s", uri):
        raise SpecError(
            "image.uri",
            f"it must have 1 to {_LONGEST_URI} characters and no spaces",
            remedy="give it as registry/repository:tag",
        )
    if _NO_SUCH_TAG.search(uri):
        raise SpecError(
            "image.uri",
            "no image has a tag with -inf2- in it",
            remedy="write -neuronx- in its place",
        )
    return uri


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sagemaker-images")


@lru_cache(maxsize=256)
def _retrieved(framework: str, version: str, region: str) -> str:
    """Ask the SDK; the instance type is never given, for it refuses Trainium and vLLM with one."""
    sdk = _sdk()
    known = sdk.list_versions(framework, "inference")
    if version and version not in known:
        raise SpecError(
            "image.version",
            f"the installed tables do not know {framework} {version}",
            remedy=f"use one of {', '.join(known)}, or {_GIVE_IT}",
        )
    try:
        uri = sdk.retrieve(
            framework,
            region=region,
            version=version or None,
            image_scope="inference",
            inference_tool=FRAMEWORKS[framework],
        )
    except ValueError as error:
        raise SpecError(
            "image.framework",
            f"the installed tables know no image of {framework} for {region}: {error}",
            remedy=f"use another region or framework, or {_GIVE_IT}",
        ) from None
    return _checked(str(uri))


def _sdk() -> Any:
    with warnings.catch_warnings():
        # Its own code warns when it is compiled first.
        warnings.simplefilter("ignore")
        try:
            # Not at the top: it is optional, and takes seconds and 100 MB.
            from sagemaker.core import image_uris  # noqa: PLC0415
        except ImportError as error:
            raise SpecError(
                "image.framework",
                f"names of frameworks need the SageMaker SDK, which is not there ({error.name})",
                remedy=_INSTALL,
            ) from None
    logging.getLogger("sagemaker.core.image_uris").setLevel(logging.WARNING)
    return image_uris
