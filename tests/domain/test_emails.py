"""E-mail addresses are found in stored texts, however they are written there, and never taken for somebody else's."""

import json
import time

import pytest

from app.domain.emails import emails_in, plain_part, stands_in

ANN = "ann@example.test"


@pytest.mark.parametrize(
    "text",
    [
        ANN,
        " Ann@Example.TEST ",
        '{"billing": {"email": "ann@example.test"}}',
        '{"note": "Write to:\\nann@example.test."}',
        '{"note": "\\tann@example.test"}',
        '{"email": "ann\\u0040example.test"}',
        '{"email": "\\u0061nn@example.test"}',
        '{"email": "ann@example.test", "email": ""}',
        '{"ann@example.test": 1}',
        json.dumps({"meta": json.dumps({"note": f"To:\n{ANN}"})}),
        f"Ann <{ANN}>",
        f"mailto:{ANN}",
        f"email={ANN}&name=Ann",
        f"her address is '{ANN}'",
        "{no JSON ann@example.test",
        '{"amount": 1e999999999999999999999, "email": "ann@example.test"}',
        '{"amount": 1' + "0" * 5000 + ', "email": "ann@example.test"}',
    ],
)
def test_an_address_is_found_however_it_is_written(text: str) -> None:
    assert stands_in(ANN, text)
    assert ANN in emails_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "joann@example.test",
        "jo.ann@example.test",
        "jo+ann@example.test",
        "o'ann@example.test",
        "ann@example.test.other",
        "ann@example.tester",
        '{"note": "ask o\'ann@example.test or joann@example.test"}',
        '{"email": ""}',
        "",
    ],
)
def test_an_address_that_ends_or_begins_with_it_is_somebody_elses(text: str) -> None:
    assert not stands_in(ANN, text)


def test_case_and_accents_are_compared_beyond_ascii() -> None:
    for text in ('{"email": "REN\\u00c9@example.test"}', '{"email": "rene\\u0301@example.test"}'):
        assert stands_in("René@example.test", text)
    assert not stands_in("rene@example.test", '{"email": "ren\\u00e9@example.test"}')


def test_the_part_that_a_database_looks_for_has_nothing_that_is_ever_escaped() -> None:
    assert plain_part("Ann@Example.test") == ANN
    assert plain_part("rené+shop@example.test") == "shop@example.test"
    assert plain_part("é@ü") == "@"


def test_a_long_text_without_an_address_is_soon_looked_through() -> None:
    began = time.monotonic()
    assert emails_in("a" * 200_000 + " @ " + "a." * 100_000) != {ANN}
    assert not stands_in(ANN, "[" * 100_000)
    assert time.monotonic() - began < 5
