"""Items and kits in the panel: found, switched, imported all or nothing, and taken away as a file that comes back the same."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from sqlalchemy import event

from app.ports.accounts import Role
from app.sync.formulas import guarded
from tests.pipeline.world import MakeWorld
from tests.web.office import Browser, Office

EVIL = "<script>alert(1)</script>\"'"


def text_of(page: str) -> str:
    """A page as it is read: without tags, blanks folded."""
    words = " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())
    return re.sub(r" ([.,;)])", r"\1", words)


@pytest.fixture
def stocked(make_world: MakeWorld) -> Office:
    """A middleware that knows no items yet."""
    return Office(make_world(items=False))


def fill(office: Office, count: int, *, name: str = "Item {}") -> None:
    statuses = {
        f"SKU-{number:05d}": (name.format(number), "allowed" if number % 3 else "not_allowed")
        for number in range(count)
    }
    office.panel.store.set_item_status(office.world.erp_id, statuses, source="import")


def skus(page: str) -> list[str]:
    return re.findall(r'<th scope="row">([^<]*)</th>', page)


def stored(office: Office) -> list[tuple[str, str, str]]:
    rows = office.world.rows("SELECT sku, name, status FROM rm_items ORDER BY sku")
    return [(row["sku"], row["name"], row["status"]) for row in rows]


def kits_stored(office: Office) -> list[tuple[str, str, str]]:
    rows = office.world.rows(
        "SELECT parent_sku, component_sku, quantity FROM rm_kits ORDER BY parent_sku, position"
    )
    return [(row["parent_sku"], row["component_sku"], f"{float(row['quantity']):g}") for row in rows]


def upload(browser: Browser, path: str, data: bytes, **fields: str) -> Any:
    """Send a form with a file, as a browser writes it."""
    parts = [
        f'--end\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {"csrf_token": browser.token(), **fields}.items()
    ]
    head = b'--end\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n\r\n'
    body = b"".join([*parts, head, data, b"\r\n--end--\r\n"])
    kind = "multipart/form-data; boundary=end"
    return browser.client.post(path, data=body, content_type=kind, follow_redirects=True)


def test_items_are_paged_through_in_both_directions(stocked: Office) -> None:
    fill(stocked, 130)
    browser = stocked.signed_in(Role.VIEWER)
    seen: list[str] = []
    path = "/items"
    while True:
        page = browser.page(path)
        seen += skus(page)
        after = re.search(r'<a href="([^"]*)" rel="next">', page)
        if after is None:
            break
        path = unescape(after[1])
    assert seen == [f"SKU-{number:05d}" for number in range(130)]
    before = re.search(r'<a href="([^"]*)" rel="prev">', page)
    assert before
    page = browser.page(unescape(before[1]))
    assert skus(page) == seen[50:100]
    before = re.search(r'<a href="([^"]*)" rel="prev">', page)
    assert before
    page = browser.page(unescape(before[1]))
    assert skus(page) == seen[:50]
    assert 'rel="prev"' not in page
    assert "86 items of bc are allowed, 44 are not." in text_of(page)


def test_items_are_found_by_sku_name_and_status(stocked: Office) -> None:
    store = stocked.panel.store
    store.set_item_status(
        stocked.world.erp_id,
        {
            "BOLT-50%": ("Bolt_A", "allowed"),
            "NUT-1": (f"Nut {EVIL}", "not_allowed"),
            "ÖSE-1": ("Öse", "allowed"),
        },
        source="import",
    )
    browser = stocked.signed_in(Role.VIEWER)
    assert skus(browser.page("/items?text=bolt")) == ["BOLT-50%"]
    assert skus(browser.page("/items?text=%25")) == ["BOLT-50%"]
    assert skus(browser.page("/items?text=t_a")) == ["BOLT-50%"]
    assert skus(browser.page("/items?text=nut&status=not_allowed")) == ["NUT-1"]
    assert skus(browser.page("/items?status=allowed")) == ["BOLT-50%", "ÖSE-1"]
    page = browser.page("/items")
    assert EVIL not in page
    assert f"Nut {EVIL}" in unescape(page)
    assert "No item is like that." in browser.page("/items?text=nothing")
    assert "There is no status gone; items of every status are shown." in browser.page("/items?status=gone")


@pytest.mark.parametrize("text", ["ÜBER", "über", "Über", "Über Größe", "ÜBER Größe", "größe", "Ber gr"])
def test_items_are_found_by_letters_beyond_ascii_whatever_their_case(stocked: Office, text: str) -> None:
    names = {"UML-1": ("ÜBER Größe", "allowed"), "UML-2": ("unter", "allowed")}
    stocked.panel.store.set_item_status(stocked.world.erp_id, names, source="import")
    answer = stocked.signed_in(Role.VIEWER).get("/items", query_string={"text": text})
    assert skus(answer.text) == ["UML-1"]


@pytest.mark.parametrize(
    "query",
    ["text=%00", "after=%00", "before=%00", "text=%ff%fe", "after=" + "z" * 5000, "text='%3B--", "erp="],
)
def test_a_strange_question_has_a_plain_answer(stocked: Office, query: str) -> None:
    fill(stocked, 3)
    assert stocked.signed_in(Role.VIEWER).get(f"/items?{query}").status_code == 200
    assert stocked.signed_in(Role.VIEWER).get(f"/kits?{query}").status_code == 200


def test_items_of_an_erp_that_is_not_there_are_not_found(stocked: Office) -> None:
    browser = stocked.signed_in()
    for path in ("/items?erp=nav", "/items.csv?erp=%00", "/items/import?erp=nav"):
        assert browser.get(path).status_code == 404
    for path in ("/items/status", "/items/sync", "/items/import"):
        assert browser.post(path, erp="nav", sku="A", status="allowed").status_code == 404
    assert stocked.doors.sent == []


def test_an_admin_allows_and_forbids_an_item(stocked: Office) -> None:
    fill(stocked, 2)
    browser = stocked.signed_in()
    answer = browser.post(
        "/items/status", erp="bc", sku="SKU-00001", status="not_allowed", back="/items?text=sku"
    )
    assert "SKU-00001 is not allowed from now on." in text_of(answer.text)
    assert answer.request.full_path == "/items?text=sku"
    assert stored(stocked)[1] == ("SKU-00001", "Item 1", "not_allowed")
    browser.post("/items/status", erp="bc", sku="SKU-00001", status="allowed")
    assert stored(stocked)[1] == ("SKU-00001", "Item 1", "allowed")
    before = stored(stocked)
    for sku, status in (("NONE", "allowed"), ("SKU-00001", "sold"), ("\x00", "allowed")):
        assert browser.post("/items/status", erp="bc", sku=sku, status=status).status_code == 422
    for role in (Role.VIEWER, Role.OPERATOR):
        other = stocked.signed_in(role)
        assert other.post("/items/status", erp="bc", sku="SKU-00001", status="not_allowed").status_code == 403
        assert "Do not allow" not in other.page("/items")
    assert stored(stocked) == before


def test_an_operator_has_the_items_read(stocked: Office) -> None:
    assert stocked.signed_in(Role.VIEWER).post("/items/sync", erp="bc").status_code == 403
    answer = stocked.signed_in(Role.OPERATOR).post("/items/sync", erp="bc")
    assert "The items of bc are being read." in text_of(answer.text)
    assert stocked.doors.sent == [("sync_items", {"erp_id": stocked.world.erp_id, "erp": "bc"})]
    stocked.doors.is_there = False
    answer = stocked.signed_in(Role.OPERATOR).post("/items/sync", erp="bc")
    assert "The broker did not take the message" in text_of(answer.text)


def test_items_are_imported_from_a_file_or_from_what_is_typed(stocked: Office) -> None:
    browser = stocked.signed_in()
    page = upload(
        browser, "/items/import", "\ufeffsku;x,sku,name,status\r\n1,a-1,Öse,\r\n".encode(), erp="bc"
    )
    assert "Imported; 1 item is new." in text_of(page.text)
    page = browser.post("/items/import", erp="bc", lines="sku,name,status\nb-1,Bolt,not_allowed\nA-1,Ring")
    assert "Imported; 1 item is new." in text_of(page.text)
    assert stored(stocked) == [("A-1", "Ring", "allowed"), ("B-1", "Bolt", "not_allowed")]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("sku,status\nA-1,allowed\nB-1,perhaps", "Line 3: the status 'perhaps' must be"),
        ("sku\nA-1\n" + "x" * 101, "Line 3: a SKU must have 1 to 100 characters."),
        ("sku\nA-1\na-1", "Line 3: A-1 stands twice in the file."),
        ("sku\nA-\x01\n", "Line 2: the SKU"),
        ("name\nBolt", "missing: sku"),
        ("", "There is nothing to import"),
    ],
)
def test_one_bad_line_imports_nothing_and_keeps_what_was_typed(
    stocked: Office, lines: str, sentence: str
) -> None:
    answer = stocked.signed_in().post("/items/import", erp="bc", lines=lines)
    assert answer.status_code == 422
    assert sentence in text_of(answer.text)
    assert stored(stocked) == []
    if lines and "\x01" not in lines:
        assert lines in unescape(answer.text)
    (last, *_) = stocked.panel.store.actions(before=None, limit=1)
    assert (last.action, last.outcome.split(":")[0]) == ("items.import", "refused")


def test_a_file_that_is_no_text_is_refused_in_words(stocked: Office) -> None:
    browser = stocked.signed_in()
    for data in ("sku\nÖse".encode("latin-1"), "sku\nA-1".encode("utf-16"), b"PK\x03\x04\xff\xfe"):
        answer = upload(browser, "/items/import", data, erp="bc")
        assert (answer.status_code, "is not text in UTF-8" in answer.text) == (422, True)
    answer = upload(browser, "/items/import", b"sku\nA-1\n", erp="bc", lines="sku\nB-1")
    assert "there are both" in answer.text
    assert stored(stocked) == []


def test_more_than_two_megabytes_are_refused_in_words(stocked: Office) -> None:
    browser = stocked.signed_in()
    answer = upload(browser, "/items/import", b"sku\n" + b"A" * 2_200_000, erp="bc")
    assert answer.status_code == 413
    assert "larger than the panel takes (2 MB)" in text_of(answer.text)
    assert stored(stocked) == []


def test_what_is_typed_may_be_as_large_as_a_file(stocked: Office) -> None:
    lines = "sku,name\n" + "".join(f"S-{number:05d},{'x' * 200}\n" for number in range(4000))
    answer = stocked.signed_in().post("/items/import", erp="bc", lines=lines)
    assert "Imported; 4000 items are new." in text_of(answer.text)


def test_items_come_back_from_their_file_as_they_were(stocked: Office) -> None:
    names = [
        "plain",
        'Bolt, 3" long',
        "=1+1",
        "@SUM(A1)",
        "'quoted",
        "'=x",
        "-5",
        "",
        "two\nlines",
        "Öse;=2",
        " =1 ",
    ]
    statuses = {
        f"{sign}N-{number}": (name, "allowed" if number % 2 else "not_allowed")
        for number, (name, sign) in enumerate(
            zip(names, ["", "=", "+", "-", "@", "'", "''", "", "", "", ""], strict=True)
        )
    }
    stocked.panel.store.set_item_status(stocked.world.erp_id, statuses, source="import")
    before = stored(stocked)
    answer = stocked.signed_in(Role.VIEWER).get("/items.csv?erp=bc")
    assert answer.headers["Content-Disposition"] == "attachment; filename=items-bc.csv"
    assert answer.mimetype == "text/csv"
    assert not re.search(r"(^|[,;])[\s\"]*[=+@-]", answer.text, re.MULTILINE)
    stocked.world.engine.dispose()
    answer = upload(stocked.signed_in(), "/items/import", answer.data, erp="bc")
    assert "Imported; 0 items are new." in text_of(answer.text)
    assert stored(stocked) == before


@pytest.mark.parametrize("text", ["", "a", "'", "''", "'=", "=", "'a", "-", "\uff1d1"])
def test_a_guarded_text_begins_no_formula(text: str) -> None:
    assert guarded(text)[:1] not in {"=", "+", "-", "@", "\uff1d"}


def test_kits_are_imported_searched_and_come_back_from_their_file(stocked: Office) -> None:
    browser = stocked.signed_in()
    lines = "parent_sku,component_sku,quantity\nK-1,C-1,2\nK-1,C-2,0.5\nK-2,C-2,1"
    answer = upload(browser, "/kits/import", lines.encode())
    assert "2 kits imported." in text_of(answer.text)
    page = text_of(browser.page("/kits"))
    assert "3 kits." in page
    assert "K-1 2 \u00d7 C-1 0.5 \u00d7 C-2" in page
    assert skus(browser.page("/kits?text=c-2")) == ["K-1", "K-2"]
    assert skus(browser.page("/kits?text=comp-a")) == ["KIT-PARENT-123"]
    before = kits_stored(stocked)
    file = stocked.signed_in(Role.VIEWER).get("/kits.csv").data
    assert "3 kits imported." in text_of(upload(browser, "/kits/import", file).text)
    assert kits_stored(stocked) == before


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("K-9,C-1,many", "Line 3: the quantity 'many' must be a number above zero"),
        ("K-9,K-9,1", "The kit definition is circular: K-9 > K-9."),
        ("K-1,C-1,1", "Line 3: C-1 stands twice in the kit K-1"),
        ("COMP-A,KIT-PARENT-123,1", "circular"),
    ],
)
def test_a_kit_that_cannot_be_imports_nothing(stocked: Office, line: str, sentence: str) -> None:
    before = kits_stored(stocked)
    lines = f"parent_sku,component_sku,quantity\nK-1,C-1,2\n{line}"
    answer = stocked.signed_in().post("/kits/import", lines=lines)
    assert answer.status_code == 422
    assert sentence in text_of(answer.text)
    assert lines in unescape(answer.text)
    assert kits_stored(stocked) == before


def test_only_admins_import(stocked: Office) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        browser = stocked.signed_in(role)
        for path in ("/items/import", "/kits/import"):
            assert browser.get(f"{path}?erp=bc").status_code == 403
            assert browser.post(path, erp="bc", lines="sku\nA-1").status_code == 403
        assert "Import" not in browser.page("/items")
    assert stored(stocked) == []


def test_kits_are_paged(stocked: Office) -> None:
    lines = ["parent_sku,component_sku,quantity"]
    lines += [f"P-{number:03d},C-{part},1" for number in range(120) for part in range(3)]
    browser = stocked.signed_in()
    browser.post("/kits/import", lines="\n".join(lines))
    page = browser.page("/kits?text=c-0")
    assert len(skus(page)) == 50
    after = re.search(r'<a href="([^"]*)" rel="next">', page)
    assert after
    page = browser.page(unescape(after[1]))
    assert skus(page)[0] == "P-050"


@pytest.fixture
def questions(stocked: Office) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    event.listen(stocked.world.engine, "before_cursor_execute", note)
    yield asked
    event.remove(stocked.world.engine, "before_cursor_execute", note)


def test_a_page_asks_as_much_for_many_items_and_kits_as_for_few(
    stocked: Office, questions: list[str]
) -> None:
    browser = stocked.signed_in()
    counts = []
    for number in (1, 400):
        fill(stocked, number)
        lines = [f"P-{each:03d},C-1,1" for each in range(number)]
        stocked.panel.store.save_kits({})
        browser.post("/kits/import", lines="\n".join(["parent_sku,component_sku,quantity", *lines]))
        browser.page("/items")
        questions.clear()
        browser.page("/items")
        browser.page("/kits")
        counts.append(len(questions))
    assert counts[0] == counts[1]


def test_without_an_erp_the_page_says_where_to_add_one(stocked: Office) -> None:
    world = stocked.world
    world.parts.store.remove_site(world.site_id)
    world.parts.store.remove_erp(world.erp_id)
    assert "No ERP is connected yet" in stocked.signed_in(Role.VIEWER).page("/items")
