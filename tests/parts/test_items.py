"""Items and kits from a person's file: all of it or nothing, and one sentence that names the line."""

import csv
import io
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from app.bootstrap import Program
from app.db.tables import items
from app.domain.kits import Component
from app.errors import UsageError
from app.sync.formulas import unguarded
from app.sync.items import import_items, import_kits, in_file
from tests.parts.conftest import with_erp


def stored_items(program: Program) -> list[tuple[Any, ...]]:
    columns = (items.c.sku, items.c.name, items.c.status, items.c.source)
    with program.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(items.c.id))]


def test_items_are_stored_and_counted_where_they_are_new(program: Program) -> None:
    erp_id = with_erp(program)
    text = "SKU, Name ,status\n wid-001 ,Widget,\n\n,,\nOLD-1,Old,Not_Allowed\n"
    assert import_items(program.parts, erp_id=erp_id, lines=io.StringIO(text)) == 2
    assert stored_items(program) == [
        ("WID-001", "Widget", "allowed", "import"),
        ("OLD-1", "Old", "not_allowed", "import"),
    ]
    assert import_items(program.parts, erp_id=erp_id, lines=io.StringIO("sku\nold-1\nNEW-1\n")) == 1
    assert [row[:3:2] for row in stored_items(program)] == [
        ("WID-001", "allowed"),
        ("OLD-1", "allowed"),
        ("NEW-1", "allowed"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffsku,name\r\nA-1,One\r\n",
        '"sku","name"\n"A-1","One"\n',
        "name,extra,sku\nOne,x,A-1\n",
        "sku,name\nA-1,One,left over,and more\n",
    ],
)
def test_a_byte_order_mark_quotes_another_order_and_more_columns_do_no_harm(
    program: Program, text: str
) -> None:
    assert import_items(program.parts, erp_id=with_erp(program), lines=io.StringIO(text)) == 1
    assert stored_items(program) == [("A-1", "One", "allowed", "import")]


def test_a_quoted_name_may_hold_commas_and_quotes(program: Program) -> None:
    text = 'sku,name\nA-1,"Bolt, 3"" long"\n'
    import_items(program.parts, erp_id=with_erp(program), lines=io.StringIO(text))
    assert stored_items(program)[0][1] == 'Bolt, 3" long'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file must begin with a line of column names; missing: sku."),
        ("A-1,Widget\n", "The file must begin with a line of column names; missing: sku."),
        (
            "sku,status\nA-1,allowed\nB-1,maybe\n",
            "Line 3: the status 'maybe' must be `allowed` or `not_allowed`.",
        ),
        ("sku,name\nA-1,One\n\n ,Nameless\n", "Line 4: a SKU must have 1 to 100 characters."),
        ("sku\nA-1\n" + "X" * 101 + "\n", "Line 3: a SKU must have 1 to 100 characters."),
    ],
)
def test_a_bad_line_is_named_and_no_item_is_stored(program: Program, text: str, sentence: str) -> None:
    erp_id = with_erp(program)
    with pytest.raises(UsageError) as refused:
        import_items(program.parts, erp_id=erp_id, lines=io.StringIO(text))
    assert refused.value.reason == sentence
    assert stored_items(program) == []


def test_a_file_that_calls_one_item_both_allowed_and_not_is_refused(program: Program) -> None:
    erp_id = with_erp(program)
    with pytest.raises(UsageError) as refused:
        import_items(
            program.parts, erp_id=erp_id, lines=io.StringIO("sku,status\nA-1,not_allowed\na-1 ,allowed\n")
        )
    assert refused.value.reason == "Line 3: A-1 stands twice in the file."
    assert stored_items(program) == []


NAMES = st.text(
    st.sampled_from(list(" \t\r\n;\"'=+-@,ax\u00a0\ufeff\u2028\uff1d"))
    | st.characters(exclude_categories=["Cs"])
)


@given(NAMES)
@example(" =1")
@example("\t'=1")
@example("' =1")
@example("x;'=1")
@example('x;"\'=1"')
@example("'a ")
@example("'")
def test_a_name_in_a_file_is_read_as_it_was_and_is_run_by_no_spreadsheet(name: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerow([in_file(name), "next"])
    ((cell, _),) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert unguarded(cell) == name
    assert not re.search(r"^[\s\ufeff]*[=+@\-\uff1d]|[;\t\n\v\f\r\u2028][\s\"\ufeff]*[=+@\-\uff1d]", cell)


@given(
    st.text(st.sampled_from(list(" '=a;\t\"")), max_size=8),
    st.text(st.sampled_from(list(" '=a;\t\"")), max_size=8),
)
def test_two_names_are_never_one_in_a_file(one: str, other: str) -> None:
    assert (in_file(one) == in_file(other)) is (one == other)


def test_items_with_odd_names_come_back_from_their_file(program: Program) -> None:
    erp_id = with_erp(program)
    names = [
        "\t=1",
        " =1+1",
        " Bolt ",
        "'Bolt ",
        "x;=1",
        "x; '=1",
        'a;"=1"',
        "two\r\n=1",
        "-5",
        "+",
        "@",
        "'",
    ]
    rows = {f"N-{number}": (name, "allowed") for number, name in enumerate(names)}
    text = io.StringIO()
    csv.writer(text).writerows(
        [("sku", "name"), *((in_file(sku), in_file(name)) for sku, (name, _) in rows.items())]
    )
    import_items(program.parts, erp_id=erp_id, lines=io.StringIO(text.getvalue(), newline=""))
    assert [row[1] for row in stored_items(program)] == names


HEAD = "parent_sku,component_sku,quantity\n"


def test_kits_are_stored_in_the_order_of_the_file(program: Program) -> None:
    text = f"\ufeff{HEAD}kit,b-1,2\n\nKIT, a-1 , 0.5\nBOX,KIT,3.00000\n"
    assert import_kits(program.parts, lines=io.StringIO(text)) == 2
    assert program.parts.store.kits() == {
        "BOX": (Component("KIT", Decimal(3)),),
        "KIT": (Component("B-1", Decimal(2)), Component("A-1", Decimal("0.5"))),
    }


def test_a_kit_in_the_file_is_replaced_as_a_whole_and_others_stay(program: Program) -> None:
    import_kits(program.parts, lines=io.StringIO(f"{HEAD}KIT,A,1\nKIT,B,1\nBOX,C,1\n"))
    assert import_kits(program.parts, lines=io.StringIO(f"{HEAD}KIT,D,4\n")) == 1
    assert program.parts.store.kits() == {
        "KIT": (Component("D", Decimal(4)),),
        "BOX": (Component("C", Decimal(1)),),
    }


_QUANTITIES = ["0", "-1", "", "two", "1,5", "NaN", "Infinity", "0.000001", "1e30", "1e15", "1e9"]


@pytest.mark.parametrize("quantity", _QUANTITIES)
def test_a_bad_quantity_is_named_with_its_line_and_no_kit_is_stored(program: Program, quantity: str) -> None:
    with pytest.raises(UsageError) as refused:
        import_kits(program.parts, lines=io.StringIO(f'{HEAD}KIT,A,1\nKIT,B,"{quantity}"\n'))
    assert refused.value.reason.startswith(f"Line 3: the quantity {quantity!r} must be a number above zero")
    assert program.parts.store.kits() == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("parent,component\nA,B\n", "The file must begin with a line of column names; missing: parent_sku, component_sku, quantity."),
        (f"{HEAD}KIT,A,1\nkit, a ,2\n", "Line 3: A stands twice in the kit KIT; give its whole quantity once."),
        (f"{HEAD}KIT,,1\n", "Line 2: a SKU must have 1 to 100 characters."),
        (f"{HEAD}KIT\n", "Line 2: a SKU must have 1 to 100 characters."),
        (f"{HEAD},A,1\n", "Line 2: a SKU must have 1 to 100 characters."),
        (f"{HEAD}KIT,kit,1\n", "The kit definition is circular: KIT > KIT."),
        (f"{HEAD}A,B,1\nB,C,1\nC,A,1\n", "The kit definition is circular: A > B > C > A."),
    ],
)  # fmt: skip
def test_a_bad_line_or_a_circle_is_named_and_no_kit_is_stored(
    program: Program, text: str, sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        import_kits(program.parts, lines=io.StringIO(text))
    assert refused.value.reason == sentence
    assert program.parts.store.kits() == {}


def test_a_circle_through_a_kit_that_is_stored_already_is_refused(program: Program) -> None:
    import_kits(program.parts, lines=io.StringIO(f"{HEAD}BOX,KIT,1\n"))
    before = program.parts.store.kits()
    with pytest.raises(UsageError, match="The kit definition is circular: KIT > BOX > KIT"):
        import_kits(program.parts, lines=io.StringIO(f"{HEAD}KIT,BOX,1\n"))
    assert program.parts.store.kits() == before


def test_a_circle_that_the_same_file_opens_is_fine(program: Program) -> None:
    import_kits(program.parts, lines=io.StringIO(f"{HEAD}BOX,KIT,1\n"))
    assert import_kits(program.parts, lines=io.StringIO(f"{HEAD}KIT,BOX,1\nBOX,A,1\n")) == 2


def test_text_that_is_no_csv_is_refused_with_a_sentence(program: Program) -> None:
    with pytest.raises(UsageError) as refused:
        import_kits(program.parts, lines=io.StringIO(f'{HEAD}KIT,"{"x" * 200_000}",1\n'))
    assert refused.value.reason == (
        "Line 2: this cannot be read as CSV (field larger than field limit (131072))."
    )
    assert program.parts.store.kits() == {}
