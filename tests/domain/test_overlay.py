"""Changes laid over a document: every one can be made, found again, and is never made over something else."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.overlay import (
    ABSENT,
    Change,
    Conflict,
    NoSuchField,
    leaves,
    loaded,
    overlaid,
    overlaid_text,
    value_at,
)

_names = st.text(alphabet="ab/~0é", max_size=4)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))
_documents = st.recursive(
    st.dictionaries(_names, _scalars, min_size=1, max_size=3),
    lambda inner: st.one_of(st.dictionaries(_names, inner, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=8,
)


@given(_documents, _scalars, st.randoms(use_true_random=False))
def test_a_change_is_found_where_it_was_made_and_nowhere_else(document: Any, after: Any, random: Any) -> None:
    found = list(leaves(document))
    assume(found)
    pointer, before = random.choice(found)
    untouched = json.dumps(document)
    made = overlaid(document, [Change(pointer, before, after)])
    assert value_at(made, pointer) == after
    assert json.dumps(document) == untouched
    others = {each: value for each, value in leaves(made) if each != pointer}
    assert others == {each: value for each, value in found if each != pointer}


@given(_documents, _scalars, _scalars, st.randoms(use_true_random=False))
def test_a_change_is_made_twice_as_well_as_once_and_never_over_another(
    document: Any, after: Any, other: Any, random: Any
) -> None:
    found = list(leaves(document))
    assume(found)
    pointer, before = random.choice(found)
    change = Change(pointer, before, after)
    made = overlaid(document, [change])
    assert overlaid(made, [change]) == made
    different = overlaid(document, [Change(pointer, before, other)])
    now = value_at(different, pointer)
    if json.dumps(now) not in {json.dumps(before), json.dumps(after)}:
        with pytest.raises(Conflict) as conflict:
            overlaid(different, [change])
        assert conflict.value.now == now


def test_a_member_that_is_missing_can_be_given() -> None:
    change = Change("/billing/postcode", ABSENT, "12345")
    assert overlaid({"billing": {}}, [change]) == {"billing": {"postcode": "12345"}}
    with pytest.raises(Conflict):
        overlaid({"billing": {"postcode": "54321"}}, [change])
    with pytest.raises(Conflict):
        overlaid({}, [change])


@pytest.mark.parametrize("pointer", ["", "a", "/a/b/c", "/list/2", "/list/-1", "/list/x", "/text/0"])
def test_a_pointer_to_nothing_is_said(pointer: str) -> None:
    with pytest.raises(NoSuchField):
        value_at({"a": {"b": 1}, "list": [1, 2], "text": "word"}, pointer)


def test_yes_is_not_one() -> None:
    with pytest.raises(Conflict):
        overlaid({"a": True}, [Change("/a", 1, 2)])


@pytest.mark.parametrize(
    "digits",
    [
        "19.99",
        "0.1",
        "1e5",
        "12.340",
        "1.7976931348623157e+308",
        "9007199254740993",
        "0.1000000000000000055511151231257827",
    ],
)
def test_numbers_that_nobody_changes_keep_their_value(digits: str) -> None:
    text = f'{{"price": {digits}, "name": "x"}}'
    changed = overlaid_text(text, [Change("/name", "x", "y")])
    assert json.loads(changed, parse_float=Decimal, parse_int=Decimal)["price"] == Decimal(digits)


@pytest.mark.parametrize("text", ["", "{", '{"price": NaN}', '{"price": -Infinity}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loaded(text)


def test_a_text_without_changes_is_the_very_text() -> None:
    assert overlaid_text('{"a":  1.50}', []) == '{"a":  1.50}'
