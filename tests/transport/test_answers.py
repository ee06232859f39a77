"""Reading what came back: JSON without floats, an array's elements as their own raw text, and what the headers say."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from app.transport import Answer, elements, parse_json
from tests.domain.profile import REPEATABLE

NOW = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
blanks = st.text(alphabet=" \t\r\n", max_size=3)


def answer(body: bytes = b"", **headers: str) -> Answer:
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status=200, headers=named, body=body)


@REPEATABLE
@given(
    rows=st.lists(values, max_size=6), indent=st.none() | st.integers(0, 3), around=st.tuples(blanks, blanks)
)
def test_the_raw_elements_joined_parse_to_the_same_array(
    rows: list[Any], indent: int | None, around: tuple[str, str]
) -> None:
    text = around[0] + json.dumps(rows, indent=indent, ensure_ascii=False) + around[1]
    found = elements(text)
    assert [value for _, value in found] == parse_json(text)
    assert parse_json("[" + ",".join(raw for raw, _ in found) + "]") == parse_json(text)
    for raw, value in found:
        assert raw in text
        assert raw == raw.strip()
        assert parse_json(raw) == value


@REPEATABLE
@given(rows=st.lists(values, min_size=1, max_size=4), data=st.data())
def test_an_array_cut_off_anywhere_is_refused(rows: list[Any], data: st.DataObject) -> None:
    text = json.dumps(rows)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ValueError):
        elements(text[:cut])


def test_each_element_is_its_own_text_digit_for_digit() -> None:
    text = ' [ {"total":"1.10", "n": 1.10} ,\r\n"a,b]" , 1.00, null ] '
    assert elements(text) == [
        ('{"total":"1.10", "n": 1.10}', {"total": "1.10", "n": Decimal("1.10")}),
        ('"a,b]"', "a,b]"),
        ("1.00", Decimal("1.00")),
        ("null", None),
    ]
    assert elements("[]") == elements(" [ ] ") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1] [2]",
        "[1]x",
        "[NaN]",
        "[1e999999999999999999999]",
        "<br />\nWarning: x in y on line 1\n[1]",
        "[" * 100_000,
    ],
)
def test_anything_but_a_whole_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        elements(text)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "-Infinity", "1e999999999999999999999", '{"a":' * 100_000, "{}{}"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_fractions_are_read_digit_for_digit_and_whole_numbers_stay_whole() -> None:
    read = parse_json('{"a": 0.10, "b": 19.99, "c": 12345678901234567890.123456789, "d": 7, "e": 1e2}')
    assert {name: str(value) for name, value in read.items()} == {
        "a": "0.10",
        "b": "19.99",
        "c": "12345678901234567890.123456789",
        "d": "7",
        "e": "1E+2",
    }
    assert isinstance(read["d"], int)


def test_a_byte_order_mark_is_taken_off_and_bad_bytes_are_replaced() -> None:
    assert answer(b"\xef\xbb\xbf[1]").text == "[1]"
    assert elements(answer(b"\xef\xbb\xbf[1]").text) == [("1", 1)]
    assert answer(b'"\xff"').text == '"\ufffd"'


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json; charset=UTF-8", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("text/html", False),
        ("", False),
    ],
)
def test_an_answer_says_whether_it_is_json(content_type: str, is_json: bool) -> None:
    assert answer(Content_Type=content_type).is_json is is_json


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Tue, 17 Mar 2026 12:00:30 -0000", 30.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("\u0663", None),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 400, 3600.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
    ],
)
def test_retry_after_is_read_in_both_forms_against_the_peers_own_clock(
    value: str, seconds: float | None
) -> None:
    assert answer(Retry_After=value, Date=format_datetime(NOW, usegmt=True)).retry_after == seconds


def test_retry_after_as_a_date_without_a_date_header_counts_from_now() -> None:
    wanted = answer(
        Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    ).retry_after
    assert wanted is not None
    assert 90 < wanted <= 100


def test_the_moment_of_the_answer_is_utc_or_none() -> None:
    assert answer(Date="Tue, 17 Mar 2026 12:00:00 GMT").answered_at == NOW
    assert answer(Date="Tue, 17 Mar 2026 12:00:00 -0000").answered_at == NOW
    assert answer(Date="Tue, 17 Mar 2026 14:00:00 +0200").answered_at == NOW
    assert answer(Date="yesterday").answered_at is None
    assert answer().answered_at is None
