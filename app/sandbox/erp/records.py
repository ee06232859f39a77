"""Records put in by hand, as a person at the ERP's own screen would: no API rule applies."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.erp.books import Books
from app.sandbox.erp.errors import bad_request
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.schema import ENTITIES
from app.sandbox.erp.values import read_value

_HIDDEN = ("salesBlocked", "assembly")


def put(books: Books, entity: str, body: Mapping[str, Any], *, key: str = "number") -> Row:
    """Add the record with this key, or change it where it is there; a customer's number may be left out.

    Besides the entity's properties an item takes `salesBlocked` and `assembly` (or `kind: "assembly"`), which
    the API does not show (contract section 2, items and "Kits").
    """
    if not isinstance(body, Mapping):
        raise bad_request("A record is a JSON object.")
    table = books.table(entity)
    hidden = {name: bool(body[name]) for name in _HIDDEN if name in body}
    if "kind" in body:
        hidden["assembly"] = body["kind"] == "assembly"
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in _HIDDEN or name == "kind":
            continue
        if name not in ENTITIES[entity].properties or name == "id":
            raise bad_request(f"The record '{entity}' has no property '{name}' to set.")
        values[name] = read_value(ENTITIES[entity].properties[name], value)
    row = table.first(key, values[key]) if values.get(key) else None
    if row is not None:
        books.change(entity, row, values, hidden)
        return row
    if not values.get(key):
        if entity != "customers":
            raise bad_request(f"A record of '{entity}' needs a '{key}'.")
        values[key] = books.next_number(entity)
    return books.add(entity, _defaults(books, entity, values) | values, hidden)


def _defaults(books: Books, entity: str, values: dict[str, Any]) -> dict[str, Any]:
    if entity == "items":
        return {
            "displayName": values["number"],
            "baseUnitOfMeasureCode": "PCS",
            "taxGroupCode": "TAXABLE",
            "generalProductPostingGroupCode": "RETAIL",
            "inventoryPostingGroupCode": "RESALE",
        }
    return {"currencyCode": books.own_currency} if entity == "customers" else {}
