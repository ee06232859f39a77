"""What shops and buyers have typed is shown on terminals, and steers none."""

import io
import json

import pytest
from rich.table import Table
from rich.text import Text

from app.cli.exporting import _write
from app.show import VisibleConsole, json_text, visible
from tests.pipeline.commands import command
from tests.pipeline.world import MakeWorld, plain_order

# About the terminal.
pytestmark = pytest.mark.once

TITLE = "\x1b]0;owned\x07\x1b[2J"
"""Sets a terminal's title and clears it."""


def console() -> tuple[VisibleConsole, io.StringIO]:
    file = io.StringIO()
    return VisibleConsole(
        file=file, force_terminal=True, color_system="standard", width=60, _environ={}
    ), file


def test_control_characters_are_shown_as_their_escapes_and_what_lays_out_stays() -> None:
    assert visible("a\x1b[2J\x7f\x9b1m\u202etxt\r") == r"a\x1b[2J\x7f\x9b1m\u202etxt\r"
    for text in ("two\nlines\tand a tab", "Zoë Ærø", "шапка 帽子 👩‍🚀"):
        assert visible(text) == text


def test_a_text_is_escaped_in_its_own_styles_and_those_are_not() -> None:
    out, file = console()
    text = Text("bought ", style="bold")
    out.print(text.append(f"a{TITLE}b", style="red"))
    shown = file.getvalue()
    assert r"\x1b]0;owned\x1b[2J" in shown.replace("\x1b[0m", "").replace("\x1b[1m", "").replace(
        "\x1b[1;31m", ""
    )
    assert "\x1b[1;31ma" in shown
    assert TITLE not in shown
    assert "\x1b[2J" not in shown


def test_cells_titles_and_sentences_are_escaped_whole_wherever_they_stand() -> None:
    out, file = console()
    table = Table(f"head{TITLE}", "plain", title=f"title{TITLE}")
    table.add_row(Text(f"cell{TITLE} " * 9), f"string{TITLE}")
    out.print(table)
    out.print(f"sentence{TITLE}", markup=False, highlight=False, soft_wrap=True)
    shown = file.getvalue()
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert r"sentence\x1b]0;owned\x1b[2J" in shown
    assert shown.count(r"\x1b[2J") >= 5


def test_json_says_the_same_in_its_own_escapes() -> None:
    text = "a\x1b\x7f\x9b\u202eb"
    shown = json_text({"name": text})
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(shown) == {"name": text}


@pytest.mark.parametrize(
    "words",
    [
        "explain BGM-1001",
        "order show BGM-1001",
        "order show BGM-1003",
        "errors list",
        "errors show BGM-1003",
        "trace BGM-1003",
        "trace BGM-1001 --full",
    ],
)
def test_nothing_that_a_buyer_typed_steers_the_terminal(make_world: MakeWorld, words: str) -> None:
    bought, unknown = plain_order(1001), plain_order(1003)
    bought["line_items"][0]["name"] = f"Widget{TITLE}"
    unknown["line_items"][0]["sku"] = f"W{TITLE}"
    world = make_world(orders=[bought, unknown])
    world.run()
    assert world.ends() == {1001: "done", 1003: "rejected"}
    shown = command(world, *words.split()).output
    assert "\x1b" not in shown


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_table_for_spreadsheets_has_what_was_stored_and_a_terminal_what_can_be_shown() -> None:
    file, terminal = io.StringIO(), Terminal()
    for each in (file, terminal):
        _write(each, [["name"], [TITLE]], excel=False)
    assert TITLE in file.getvalue()
    assert terminal.getvalue() == f'"name"\r\n"{visible(TITLE)}"\r\n'
