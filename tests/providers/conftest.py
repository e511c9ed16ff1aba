"""Fixtures of the provider tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.providers.conformance", "tests.providers.wire")
