"""The API's addresses and verbs below the service root (contract sections 1 to 4)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from app.sandbox.erp.books import Books
from app.sandbox.erp.calls import Answer, Call
from app.sandbox.erp.customers import change_customer, create_customer, delete_customer
from app.sandbox.erp.errors import (
    Refusal,
    bad_request,
    entity_changed,
    method_not_allowed,
    record_not_found,
    resource_not_found,
    token_missing,
)
from app.sandbox.erp.filters import FilterRules, parse_filter, search
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.orders import (
    add_line,
    change_line,
    change_order,
    create_order,
    delete_line,
    delete_order,
    ship_and_invoice,
)
from app.sandbox.erp.query import Expansion, Query, parse_query
from app.sandbox.erp.schema import COMPANIES, ENTITIES, LINES_OF, Entity
from app.sandbox.erp.switches import Switches
from app.sandbox.erp.values import dump, is_guid, load

_SEGMENT = re.compile(r"([^()]+)(?:\(([^()]*)\))?")
_SHIP_AND_INVOICE: Final = "Microsoft.NAV.shipAndInvoice"

_CREATE: dict[str, Callable[[Books, Any], Row]] = {"customers": create_customer}
_CHANGE: dict[str, Callable[[Books, Row, Any], None]] = {
    "customers": change_customer,
    "salesOrders": change_order,
    "salesOrderLines": change_line,
}
_DELETE: dict[str, Callable[[Books, Row], None]] = {
    "customers": delete_customer,
    "salesOrders": delete_order,
    "salesOrderLines": delete_line,
}


@dataclass(frozen=True, slots=True)
class _Segment:
    name: str
    key: str = ""


def _segments(path: str) -> list[_Segment]:
    found: list[_Segment] = []
    for part in filter(None, path.strip("/").split("/")):
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise resource_not_found(part)
        name, key = match.group(1), match.group(2)
        if key is not None and not is_guid(key):
            raise bad_request(f"Bad Request - Error in query syntax: '{part}'.", code="BadRequest_NotFound")
        found.append(_Segment(name, (key or "").lower()))
    return found


class Service:
    """Answers one operation on the books of one or more companies. The caller holds the lock."""

    def __init__(self, companies: dict[str, Books], switches: Switches) -> None:
        self._companies = companies
        self._switches = switches

    def handle(self, call: Call) -> Answer:
        """Do one operation; a `Refusal` means that nothing was done."""
        query = parse_query(call.raw_query, strict=self._switches.strict_plus)
        segments = _segments(call.path)
        writes = call.method not in {"GET", "HEAD"}
        if writes and call.headers.get("data-access-intent", "").lower() == "readonly":
            raise bad_request("A request with Data-Access-Intent ReadOnly cannot change data.")
        if not segments:
            return self._service_root(call)
        if segments[0].name == "companies":
            if len(segments) == 1:
                return self._company_answer(call, segments[0].key)
            if segments[0].key:
                books = self._company(segments[0].key)
                return _Operation(books, call, query, self._switches).answer(segments[1:])
        return _Operation(self._company(query.company), call, query, self._switches).answer(segments)

    def _company(self, key: str) -> Books:
        if not key and len(self._companies) == 1:
            return next(iter(self._companies.values()))
        books = self._companies.get(key.lower())
        if books is None:
            raise Refusal(
                404,
                "Internal_CompanyNotFound",
                "Cannot process the request because the default company cannot be found. You can specify a "
                "default company in the service configuration file, or specify one for each tenant, or you "
                'can add a query string in the form of "company=[name]".',
            )
        return books

    def _company_answer(self, call: Call, key: str) -> Answer:
        if call.method != "GET":
            raise method_not_allowed(call.method, "companies")
        shown = [
            {"id": b.company_id, "name": b.name, "displayName": b.name} for b in self._companies.values()
        ]
        context = f"{call.root}/$metadata#{COMPANIES.name}"
        if not key:
            return Answer(200, {"@odata.context": context, "value": shown})
        self._company(key)
        return Answer(
            200, {"@odata.context": f"{context}/$entity"} | next(c for c in shown if c["id"] == key)
        )

    def _service_root(self, call: Call) -> Answer:
        if call.method != "GET":
            raise method_not_allowed(call.method, "")
        names = [COMPANIES.name, *ENTITIES]
        value = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
        return Answer(200, {"@odata.context": f"{call.root}/$metadata", "value": value})


class _Operation:
    """One operation inside one company."""

    def __init__(self, books: Books, call: Call, query: Query, switches: Switches) -> None:
        self._books = books
        self._call = call
        self._query = query
        self._switches = switches
        self._rules = FilterRules(switches.or_across_fields, switches.filter_length_checked)

    def answer(self, segments: list[_Segment]) -> Answer:
        first = segments[0]
        entity = ENTITIES.get(first.name)
        if entity is None:
            raise resource_not_found(first.name)
        match segments[1:]:
            case []:
                return self._single(entity, first.key) if first.key else self._collection(entity)
            case [_Segment("$count", "")] if not first.key:
                return self._counted(entity)
            case [_Segment(name=str(action), key="")] if first.key and action == _SHIP_AND_INVOICE:
                return self._ship(entity, first.key)
            case [_Segment(name=str(child), key=str(key))] if first.key:
                return self._below(entity, first.key, child, key)
        raise resource_not_found(segments[-1].name)

    def _collection(self, entity: Entity) -> Answer:
        match self._call.method:
            case "GET":
                return self._page(entity, self._found(entity))
            case "POST" if entity.name == "salesOrders":
                return self._create_order(entity)
            case "POST" if entity.name == "salesOrderLines":
                return self._create_line(entity)
            case "POST" if entity.name in _CREATE:
                row = _CREATE[entity.name](self._books, self._payload())
                return self._created(entity, row, self._shown(entity, row))
        raise method_not_allowed(self._call.method, entity.name)

    def _single(self, entity: Entity, key: str) -> Answer:
        row = self._books.row(entity.name, key)
        match self._call.method:
            case "GET":
                return self._one(entity, row)
            case "PATCH" if entity.name in _CHANGE:
                self._check_token(row)
                _CHANGE[entity.name](self._books, row, self._payload())
                return self._one(entity, row)
            case "DELETE" if entity.name in _DELETE:
                self._check_token(row)
                _DELETE[entity.name](self._books, row)
                return Answer(204)
        raise method_not_allowed(self._call.method, entity.name)

    def _counted(self, entity: Entity) -> Answer:
        if self._call.method != "GET":
            raise method_not_allowed(self._call.method, entity.name)
        return Answer(200, str(len(self._found(entity))), {"Content-Type": "text/plain"})

    def _ship(self, entity: Entity, key: str) -> Answer:
        if entity.name != "salesOrders":
            raise bad_request("Entity does not support bound actions", code="BadRequest_MethodNotImplemented")
        if self._call.method != "POST":
            raise method_not_allowed(self._call.method, _SHIP_AND_INVOICE)
        ship_and_invoice(self._books, self._books.row(entity.name, key))
        return Answer(204)

    def _below(self, parent: Entity, key: str, name: str, child_key: str) -> Answer:
        foreign = {"items": ("itemVariants", "itemId")}.get(
            parent.name, (LINES_OF.get(parent.name), "documentId")
        )
        if name != foreign[0]:
            raise resource_not_found(name)
        owner, entity = self._books.row(parent.name, key), ENTITIES[name]
        if child_key:
            row = self._books.row(name, child_key)
            if row.values[foreign[1]] != owner.id:
                raise record_not_found(entity.table, child_key)
            return self._single(entity, child_key)
        if self._call.method == "POST" and name == "salesOrderLines":
            row = add_line(self._books, owner, self._payload())
            return self._created(entity, row, self._shown(entity, row))
        if self._call.method != "GET":
            raise method_not_allowed(self._call.method, name)
        node = parse_filter(self._query.filter, entity, self._rules)
        rows = [r for r in search(node, self._books.table(name)) if r.values[foreign[1]] == owner.id]
        return self._page(entity, rows)

    def _found(self, entity: Entity) -> list[Row]:
        """The rows a filter finds; lines need their document (section 2, salesOrderLines)."""
        node = parse_filter(self._query.filter, entity, self._rules)
        if entity.needs_document and not re.search(r"\b(documentId|id)\s+eq\s", self._query.filter):
            raise bad_request(
                "You must specify an Id or a Document Id to get the lines.",
                code="Application_DialogException",
            )
        return search(node, self._books.table(entity.name))

    def _create_order(self, entity: Entity) -> Answer:
        created = create_order(self._books, self._payload())
        shown = self._shown(entity, created.order)
        if self._switches.stale_totals:
            shown |= created.before
        if self._switches.lines_in_answer and "salesOrderLines" not in shown:
            shown |= self._expanded(entity, created.order, Expansion("salesOrderLines"))
        return self._created(entity, created.order, shown)

    def _create_line(self, entity: Entity) -> Answer:
        body = self._payload()
        document = body.get("documentId") if isinstance(body, dict) else None
        if not isinstance(document, str) or not is_guid(document):
            raise bad_request(
                "You must specify a Document Id to create a line.", code="Application_DialogException"
            )
        order = self._books.row("salesOrders", document)
        row = add_line(self._books, order, body | {"documentId": order.id})
        return self._created(entity, row, self._shown(entity, row))

    def _payload(self) -> Any:
        """The JSON body. A write needs its own Content-Type, inside a batch too (section 4, `$batch`)."""
        kind = self._call.headers.get("content-type", "")
        if not kind.lower().startswith("application/json"):
            raise Refusal(
                415, "BadRequest", f"The content type '{kind}' is not supported; use application/json."
            )
        return load(self._call.body) if isinstance(self._call.body, bytes) else self._call.body

    def _check_token(self, row: Row) -> None:
        known = self._call.headers.get("if-match")
        if not known:
            raise token_missing()
        if known != "*" and row.etag not in [etag.strip() for etag in known.split(",")]:
            raise entity_changed()

    def _context(self, entity: Entity) -> str:
        return f"{self._call.root}/$metadata#companies({self._books.company_id})/{entity.name}"

    def _one(self, entity: Entity, row: Row) -> Answer:
        body = {"@odata.context": f"{self._context(entity)}/$entity"} | self._shown(entity, row)
        return Answer(200, body, {"ETag": row.etag})

    def _created(self, entity: Entity, row: Row, shown: dict[str, Any]) -> Answer:
        location = f"{self._call.root}/companies({self._books.company_id})/{entity.name}({row.id})"
        body = {"@odata.context": f"{self._context(entity)}/$entity"} | shown
        return Answer(201, body, {"ETag": row.etag, "Location": location})

    def _shown(self, entity: Entity, row: Row) -> dict[str, Any]:
        shown = self._picked(entity, row, self._query.select)
        for expansion in self._query.expand:
            shown |= self._expanded(entity, row, expansion)
        return shown

    def _picked(self, entity: Entity, row: Row, select: tuple[str, ...]) -> dict[str, Any]:
        for name in select:
            if name not in entity.properties and name not in {"*", LINES_OF.get(entity.name)}:
                raise bad_request(
                    f"Could not find a property named '{name}' on type 'Microsoft.NAV.{entity.type_name}'.",
                    code="BadRequest_NotFound",
                )
        values = row.values
        if select and "*" not in select:
            values = {name: value for name, value in values.items() if name in select}
        return {"@odata.etag": row.etag} | values

    def _expanded(self, entity: Entity, row: Row, expansion: Expansion) -> dict[str, Any]:
        if expansion.name != LINES_OF.get(entity.name):
            raise bad_request(
                f"Could not find a property named '{expansion.name}' on type "
                f"'Microsoft.NAV.{entity.type_name}'.",
                code="BadRequest_NotFound",
            )
        lines = self._books.lines(expansion.name, row)
        child = ENTITIES[expansion.name]
        return {expansion.name: [self._picked(child, line, expansion.select) for line in lines]}

    def _page(self, entity: Entity, rows: list[Row]) -> Answer:
        """One page: up to 20,000 rows or what `Prefer` asks for, then a link (section 3, "paging")."""
        query = self._query
        total = len(rows)
        for name, descending in reversed(query.orderby):
            if name not in entity.properties:
                raise bad_request(f"Could not find a property named '{name}'.", code="BadRequest_NotFound")
            rows = sorted(rows, key=lambda row, n=name: row.values[n], reverse=descending)  # type: ignore[misc]
        rows = self._after_token(rows) if query.skiptoken else rows[query.skip :]
        size = self._page_size()
        wanted = rows if query.top is None else rows[: query.top]
        page = wanted[:size]
        body: dict[str, Any] = {"@odata.context": self._context(entity)}
        if query.count:
            body["@odata.count"] = total
        body["value"] = [self._shown(entity, row) for row in page]
        if len(wanted) > size:
            body["@odata.nextLink"] = self._next_link(page[-1], total - len(rows) + size)
        preference = self._call.preference("maxpagesize")
        return Answer(
            200, body, {"Preference-Applied": f"odata.maxpagesize={preference}"} if preference else {}
        )

    def _page_size(self) -> int:
        asked = self._call.preference("maxpagesize")
        if asked is not None and (not asked.isdigit() or int(asked) == 0):
            raise bad_request(f"The preference 'odata.maxpagesize={asked}' is not valid.")
        return min(int(asked) if asked else self._switches.page_limit, self._switches.page_limit)

    def _after_token(self, rows: list[Row]) -> list[Row]:
        kind, _, number = self._query.skiptoken.partition("-")
        if kind not in {"row", "offset"} or not number.isdigit():
            raise bad_request("The $skiptoken is not valid.")
        if kind == "offset":
            return rows[int(number) :]
        return [row for row in rows if row.serial > int(number)]

    def _next_link(self, last: Row, offset: int) -> str:
        token = f"offset-{offset}" if self._query.orderby else f"row-{last.serial}"
        left = None if self._query.top is None else self._query.top - self._page_size()
        path = "/".join(part for part in self._call.path.strip("/").split("/"))
        return f"{self._call.root}/{path}?{self._query.with_page(skiptoken=token, top=left)}"


def encode(answer: Answer, *, byte_order_mark: bool) -> bytes:
    """An answer's body as bytes."""
    if answer.body is None:
        return b""
    if isinstance(answer.body, bytes):
        return answer.body
    if isinstance(answer.body, str):
        return answer.body.encode()
    return (b"\xef\xbb\xbf" if byte_order_mark else b"") + dump(answer.body)
