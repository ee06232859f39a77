"""What stands in the controls of forms comes back as it was, whatever a browser does to line ends and however odd the text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict

import app.web
from app.ports.accounts import Role
from app.sync.panel import repairing
from app.sync.repair import Field
from app.web.panel.shared import exact
from tests.pipeline.world import Json, MakeWorld, plain_order
from tests.web.office import Office
from tests.web.test_desk_pages import error_id, everything, fields_of, opened, repair, with_sku

TURNED = "\u202aAda\u202c\u200e"
TEMPLATES = Path(app.web.__file__).parent / "templates"


class Form(HTMLParser):
    """The form of a page as a browser fills it in and sends it."""

    def __init__(self, page: str, begins: str) -> None:
        super().__init__(convert_charrefs=False)
        self.sent: list[tuple[str, str]] = []
        self._area: str | None = None
        self._text = ""
        self._select = ""
        self.feed(begins + page.partition(begins)[2].partition("</form>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and given.get("name") and given.get("type") != "checkbox":
            text = given.get("value", "")
            one_line = given.get("type", "text") in {"text", "search"}
            self._send(given["name"], re.sub("[\r\n]", "", text) if one_line else text)
        elif tag == "textarea":
            self._area, self._text = given["name"], ""
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and "selected" in given:
            self._send(self._select, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # The line end after the tag is no part of the text.
            self._send(self._area, self._text.removeprefix("\n"))
            self._area = None

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_charref(self, name: str) -> None:
        self._text += chr(int(name[1:], 16) if name[0] in "xX" else int(name))

    def handle_entityref(self, name: str) -> None:
        self._text += {"amp": "&", "lt": "<", "gt": ">", "quot": '"'}[name]

    def _send(self, name: str, text: str) -> None:
        self.sent.append((name, re.sub("\r\n|\r|\n", "\r\n", text)))


def form_of(page: str) -> Json:
    return dict(Form(page, '<form method="post" action="/desk/').sent)


def odd_order(**shipping: str) -> Json:
    body = with_sku(1, "NOPE-1")
    body["billing"] = {**body["billing"], **shipping}
    return body


def repair_page(office: Office) -> str:
    return office.signed_in(Role.OPERATOR).page(f"/desk/{error_id(office.world, 1)}/repair")


def test_what_turns_the_writing_around_survives_preview_and_saving(make_world: MakeWorld) -> None:
    office = opened(make_world, odd_order(first_name=TURNED, phone="\u200e+1 555 0100"))
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    path = f"/desk/{error_id(world, 1)}/repair"
    form = fields_of(browser.page(path))
    assert (form["new:/bill/first_name"], form["old:/bill/first_name"]) == (TURNED, TURNED)
    form |= {"new:/lines/0/sku": "WID-001", "new:/bill/last_name": f"{TURNED} Example"}
    previewed = browser.post(f"{path}/preview", **form)
    assert previewed.status_code == 200
    form = fields_of(previewed.text)
    assert browser.post(path, **form).status_code == 200
    kept = world.rows("SELECT pointer, after FROM rm_repair ORDER BY pointer")
    assert [each["pointer"] for each in kept] == ["/bill/last_name", "/lines/0/sku"]
    assert world.rows("SELECT pointer FROM rm_repair WHERE after LIKE '%202a%' AND after LIKE '%\\\\%'") == []
    assert TURNED + " Example" in fields_of(repair_page(office)).values()


def test_a_field_that_nobody_touched_is_no_change_whatever_line_ends_it_has(make_world: MakeWorld) -> None:
    note = "a\r\nb\rc\nd\u2028e\x85f"
    body = odd_order(first_name="Ada\rAda", last_name="x\u2028y", company="\r\nz", city="a\nb") | {
        "customer_note": note
    }
    office = opened(make_world, body)
    world, browser = office.world, office.signed_in(Role.OPERATOR)
    before = everything(world)
    path = f"/desk/{error_id(world, 1)}/repair"
    page = browser.page(path)
    form = form_of(page)
    assert "&#xd;" in page
    assert "&#x2028;" in page
    answer = browser.post(path, **form)
    assert (answer.status_code, "No field was changed" in answer.text) == (422, True)
    assert everything(world) == before
    form["new:/lines/0/sku"] = "WID-001"
    again = form_of(browser.post(f"{path}/preview", **form).text)
    assert browser.post(path, **again).status_code == 200
    assert world.rows("SELECT pointer FROM rm_repair") == [{"pointer": "/lines/0/sku"}]


def test_what_has_line_ends_of_any_kind_is_shown_in_lines() -> None:
    for text in ("a\nb", "a\rb", "a\r\nb"):
        shown = repairing._form_field(Field(pointer="/a", value=text, failing=False))
        assert shown.kind == "area"
        assert repairing.changed({"/a": "a\r\nb"}, {"/a": shown.text}) == {}


def test_what_cannot_be_seen_is_spelled_out_beside_its_field(make_world: MakeWorld) -> None:
    office = opened(make_world, odd_order(first_name=TURNED))
    page = repair_page(office)
    assert page.count("<code>\\u202aAda\\u202c\\u200e</code>") == 1
    assert TURNED not in page


def test_html_in_a_value_is_only_text(make_world: MakeWorld) -> None:
    hostile = "\"'><script>alert(1)</script>\u202e&amp;</textarea><b>"
    office = opened(make_world, odd_order(first_name=hostile) | {"customer_note": hostile + "\nb"})
    browser = office.signed_in(Role.OPERATOR)
    path = f"/desk/{error_id(office.world, 1)}/repair"
    form = form_of(browser.page(path))
    assert (form["new:/bill/first_name"], form["new:/customer_note"]) == (hostile, hostile + "\r\nb")
    for answer in (browser.get(path), browser.post(f"{path}/preview", **{**form, "reason": hostile})):
        assert "<script>alert" not in answer.text
        assert "<b>" not in answer.text
        assert "\u202e" not in answer.text


def test_the_name_of_a_field_comes_back_as_it_is(make_world: MakeWorld) -> None:
    body = odd_order() | {"billing": {**plain_order(1)["billing"], "city": "", "n\u200eote": "old"}}
    body = body | {"shipping": {**plain_order(1)["billing"], "postcode": "", "country": "US"}}
    office = opened(make_world, body)
    form = form_of(repair_page(office))
    assert form["new:/billing/n\u200eote"] == "old"


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\ud83db"])
def test_what_no_page_can_hold_is_spelled_out(text: str) -> None:
    assert exact(text).encode().isascii()


def test_other_forms_show_again_what_was_typed(office: Office) -> None:
    browser = office.signed_in()
    lines = "\nsku\u200e;name\r\n\u202ax"
    again = Form(browser.post("/items/import", lines=lines).text, 'enctype="multipart/form-data"')
    assert MultiDict(again.sent)["lines"] == lines.replace("\n", "\r\n").replace("\r\r", "\r")
    page = browser.post("/systems/sites/bgm/change", url="nonsense\u200e").text
    assert 'value="nonsense&#x200e;"' in page


def test_every_control_of_every_form_has_its_text_as_it_is() -> None:
    seen = 0
    for each in sorted(TEMPLATES.glob("*.html")):
        text = re.sub("<progress[^>]*>", "", each.read_text(encoding="utf-8"))
        values = re.findall(r'\bvalue="(?:\{\{.*?\}\}|[^"{])*"', text)
        areas = re.findall(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
        for written in (each for each in [*values, *areas] if "{{" in each):
            seen += 1
            assert written.count("{{") == written.count("| exact }}"), (each.name, written)
        # A browser leaves out a line end that comes first.
        assert [area for area in areas if "{{" in area and not area.startswith("\n")] == [], each.name
    assert seen > 50


def test_a_repair_of_one_field_leaves_odd_ones_as_they_are(make_world: MakeWorld) -> None:
    office = opened(make_world, odd_order(first_name="Ada\x1b[2J", phone="\u202a1\u202c"))
    world = office.world
    assert repair(office.signed_in(Role.OPERATOR), world, 1, lines__0__sku="WID-001").status_code == 200
    assert world.rows("SELECT pointer FROM rm_repair") == [{"pointer": "/lines/0/sku"}]
