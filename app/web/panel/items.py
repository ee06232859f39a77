"""Items and kits: what may be sold, and what a kit consists of."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request, url_for

from app.domain.words import counted
from app.ports.accounts import Role
from app.ports.store import ErpRow
from app.sync.panel import items
from app.sync.panel.items import Place
from app.web.panel.access import Answer, changes, needs
from app.web.panel.forms import shown_again
from app.web.panel.shared import back_to, done, page, pick, refused
from app.web.people import People

_HERE = "panel.items"
_LONGEST = 100
_LARGEST = 2 * 1024 * 1024
_ROWS_AT_ONCE = 500


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    panel = people.panel
    # What is pasted may be as large as a file.
    pages.record_once(lambda state: state.app.config.update(MAX_FORM_MEMORY_SIZE=_LARGEST))

    def erp_asked_for() -> ErpRow:
        found, _ = items.erp_chosen(panel, request.values.get("erp", ""))
        if found is None:
            abort(404)
        return found

    @pages.get("/items", endpoint="items")
    def listed() -> str:
        name, text = request.args.get("erp", ""), _text()
        chosen, erps = items.erp_chosen(panel, name)
        if chosen is None and erps:
            abort(404)
        wanted = request.args.get("status", "")
        status = pick(items.STATUSES, wanted)
        found = (
            None
            if chosen is None
            else items.item_list(panel, chosen, text=text, status=status, place=_place())
        )
        kept = {"erp": name, "text": text, "status": status or ""}
        return page(
            "items.html",
            erps=erps,
            found=found,
            text=text,
            status=status,
            statuses=items.STATUSES,
            unknown=wanted if wanted and status is None else "",
            **_pager(found.page if found else None, "panel.items", kept),
        )

    @pages.post("/items/status")
    @changes(people, Role.ADMIN, "item.status")
    def switched_item() -> Answer:
        erp, sku, status = erp_asked_for(), request.form.get("sku", ""), request.form.get("status", "")
        items.switch_item(panel, erp, sku=sku, status=status)
        word = "allowed" if status == items.ALLOWED else "not allowed"
        return done(f"{sku} is {word} from now on.", back_to(url_for("panel.items", erp=erp.name)))

    @pages.post("/items/sync")
    @changes(people, Role.OPERATOR, "items.sync")
    def synced_items() -> Answer:
        erp = erp_asked_for()
        where = url_for("panel.items", erp=erp.name)
        if not people.doors.send("sync_items", erp_id=erp.id, erp=erp.name):
            return refused(
                f"The broker did not take the message; the items of {erp.name} are read when their schedule says so.",
                where,
            )
        return done(f"The items of {erp.name} are being read.", where)

    @pages.get("/items.csv")
    def items_file() -> Response:
        erp = erp_asked_for()
        return _file(items.item_rows(panel, erp), f"items-{erp.name}.csv")

    def items_form(*, refused: str = "") -> str:
        erp = erp_asked_for()
        return page(
            "items_import.html",
            here=_HERE,
            title=f"Import items of {erp.name}",
            action=url_for("panel.imported_items"),
            back=url_for("panel.items", erp=erp.name),
            erp=erp.name,
            columns="sku,name,status",
            example="WID-001,Widget,allowed\nOLD-1,Old widget,not_allowed",
            hint="status is allowed or not_allowed, and allowed where it is left out. Items that are not in the file stay as they are.",
            text=request.form.get("lines", ""),
            refused=refused,
        )

    @pages.get("/items/import")
    def import_items_form() -> str:
        needs(Role.ADMIN)
        return items_form()

    @pages.post("/items/import")
    @shown_again(items_form)
    @changes(people, Role.ADMIN, "items.import")
    def imported_items() -> Answer:
        erp = erp_asked_for()
        new = items.items_from(panel, erp, data=_uploaded(), text=request.form.get("lines", ""))
        return done(
            f"Imported; {counted(new, 'item')} {'is' if new == 1 else 'are'} new.",
            url_for("panel.items", erp=erp.name),
        )

    @pages.get("/kits")
    def kits() -> str:
        text = _text()
        found = items.kit_list(panel, text=text, place=_place())
        return page(
            "kits.html",
            here=_HERE,
            found=found,
            text=text,
            count=panel.store.kit_count(),
            **_pager(found, "panel.kits", {"text": text}),
        )

    @pages.get("/kits.csv")
    def kits_file() -> Response:
        return _file(items.kit_rows(panel), "kits.csv")

    def kits_form(*, refused: str = "") -> str:
        return page(
            "items_import.html",
            here=_HERE,
            title="Import kits",
            action=url_for("panel.imported_kits"),
            back=url_for("panel.kits"),
            erp="",
            columns="parent_sku,component_sku,quantity",
            example="KIT-1,COMP-A,3\nKIT-1,COMP-B,1",
            hint="A parent in the file is replaced as a whole; other kits stay as they are.",
            text=request.form.get("lines", ""),
            refused=refused,
        )

    @pages.get("/kits/import")
    def import_kits_form() -> str:
        needs(Role.ADMIN)
        return kits_form()

    @pages.post("/kits/import")
    @shown_again(kits_form)
    @changes(people, Role.ADMIN, "kits.import")
    def imported_kits() -> Answer:
        count = items.kits_from(panel, data=_uploaded(), text=request.form.get("lines", ""))
        return done(f"{counted(count, 'kit')} imported.", url_for("panel.kits"))


def _text() -> str:
    return request.args.get("text", "").strip()[:_LONGEST]


def _place() -> Place:
    return Place(
        after=request.args.get("after", "")[:_LONGEST], before=request.args.get("before", "")[:_LONGEST]
    )


def _pager(found: items.Page[Any] | None, endpoint: str, kept: dict[str, str]) -> dict[str, str]:
    """The addresses of the pages beside this one."""

    def where(**beside: str) -> str:
        asked = {name: value for name, value in {**kept, **beside}.items() if value}
        return f"{url_for(endpoint)}?{urlencode(asked)}"

    if found is None:
        return {"before": "", "after": ""}
    return {
        "before": where(before=found.before) if found.before else "",
        "after": where(after=found.after) if found.after else "",
    }


def _uploaded() -> bytes:
    file = request.files.get("file")
    return b"" if file is None else file.stream.read()


def _file(rows: Iterable[list[str]], name: str) -> Response:
    """A CSV file, sent while it is read, so that a large one takes no more memory than a small one."""

    def parts() -> Iterator[str]:
        text = io.StringIO()
        writer = csv.writer(text)
        for number, row in enumerate(rows, start=1):
            writer.writerow(row)
            if number % _ROWS_AT_ONCE == 0:
                yield text.getvalue()
                text.seek(0)
                text.truncate()
        yield text.getvalue()

    answer = Response(parts(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f"attachment; filename={name}"
    return answer
