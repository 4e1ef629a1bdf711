"""The OpenAPI description, tested by schemathesis: generated requests, valid and invalid, to a running server."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import load_all_checks, positive_data_acceptance

load_all_checks()
PATHS = [
    "/",
    "/attention",
    "/detect",
    "/explain",
    "/health",
    "/languages",
    "/metrics",
    "/translate",
    "/translate/stream",
]


@pytest.fixture(scope="module")
def description(url: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_path_is_tested(description: BaseSchema) -> None:
    assert sorted(result.ok().path for result in description.get_all_operations()) == PATHS


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", PATHS)
def test_responses_are_as_described(description: BaseSchema, path: str, mode: GenerationMode) -> None:
    [operation] = [found for result in description.get_all_operations() if (found := result.ok()).path == path]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        pytest.skip("this path has no input that could be invalid")
    # A sentence may be valid text and still have no words, or too many, to show its attention.
    excluded = [positive_data_acceptance] if path in ("/explain", "/attention") else []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    check()
