"""The API against its own document: whatever a program sends, it is answered as the document says.

`API_EXAMPLES` is how many requests are made up for each operation; a few are enough to see that all is well.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.web.api import paging
from tests.pipeline.world import MakeWorld
from tests.web.office import Office
from tests.web.programs import PREFIX, Program, busy_world

EXAMPLES = int(os.environ.get("API_EXAMPLES", "5"))

OPERATIONS = 22

load_all_checks()
# What a string is that not every string is.
schemathesis.openapi.format("site", st.just("bgm"))
schemathesis.openapi.format("cursor", st.integers(1, 2**31 - 1).map(paging.cursor))


def answered_as_documented(case: Any, *, headers: dict[str, str]) -> None:
    # Whether a field can be changed so, or a site or a page is there, no document says: what fits it may still be refused.
    query = case.query or {}
    may_be_refused = case.method == "POST" or "cursor" in query or "site" in query
    case.call_and_validate(
        headers=headers, excluded_checks=[positive_data_acceptance] if may_be_refused else []
    )


def test_every_operation_answers_as_its_document_says(
    make_world: MakeWorld, subtests: pytest.Subtests
) -> None:
    program = Program(Office(busy_world(make_world)))
    config = SchemathesisConfig(seed=20261122)
    config.projects.default.generation.update(
        max_examples=EXAMPLES,
        deterministic=True,
        # The token is ours, and an extra parameter without a value is none on its way: `test_api` has those that are one.
        with_security_parameters=False,
        allow_extra_parameters=False,
    )
    document = schemathesis.openapi.from_wsgi(f"{PREFIX}/openapi.json", program.office.app, config=config)

    def answered(case: Any) -> None:
        answered_as_documented(case, headers=program.headers)

    tests = get_all_tests(schema=document, test_func=answered, settings=None, given_kwargs=None)
    seen = set()
    for each in tests:
        assert isinstance(each, Ok)
        operation, test = each.ok()
        seen.add(operation.label)
        with subtests.test(operation.label):
            test()
    assert len(seen) == OPERATIONS
