"""Customers: created, changed, never unique by e-mail (contract section 2, customers)."""

from typing import Any

from app.sandbox.erp.books import Books
from app.sandbox.erp.errors import dialog, no_relation, read_only
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.schema import CUSTOMERS, NO_GUID, Entity
from app.sandbox.erp.values import read_properties

NOT_BLOCKED = CUSTOMERS.properties["blocked"].empty


def writable(books: Books, entity: Entity, body: Any) -> dict[str, Any]:
    """The typed properties of a body, read-only ones refused, or skipped where the switch says so."""
    values = read_properties(entity, body)
    for name in [name for name in values if entity.properties[name].locked]:
        if not books.switches.read_only_ignored:
            raise read_only(name)
        del values[name]
    return values


def _checked(books: Books, values: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    if "displayName" in values and not values["displayName"].strip():
        raise dialog('A "displayName" must be provided.')
    if values.keys() & {"currencyCode", "currencyId"} or not current:
        values |= books.currency(
            code=values.get("currencyCode"), key=values.get("currencyId"), table="Customer"
        )
    key = values.get("shipmentMethodId", NO_GUID)
    if key != NO_GUID and books.table("shipmentMethods").get(key) is None:
        raise no_relation(
            field="Shipment Method Code", table="Customer", value=key, related="Shipment Method"
        )
    return values


def create_customer(books: Books, body: Any) -> Row:
    """POST customers: a display name is needed, the number comes from the series."""
    values = writable(books, CUSTOMERS, body)
    if values.pop("number", ""):
        raise dialog(
            "You may not enter numbers manually. If you want to enter numbers manually, please activate "
            "Manual Nos. in No. Series CUST."
        )
    if "displayName" not in values:
        raise dialog('A "displayName" must be provided.')
    values = _checked(books, values, {})
    return books.add("customers", values | {"number": books.next_number("customers")})


def change_customer(books: Books, row: Row, body: Any) -> None:
    """PATCH customers({id})."""
    values = writable(books, CUSTOMERS, body)
    if values.get("number", row.values["number"]) != row.values["number"]:
        raise dialog("You cannot rename a Customer.")
    books.change("customers", row, _checked(books, values, row.values))


def delete_customer(books: Books, row: Row) -> None:
    """DELETE customers({id}): refused while an order of the customer is open."""
    if books.table("salesOrders").find("customerNumber", row.values["number"]):
        raise dialog(
            f"You cannot delete Customer {row.values['number']} because there is at least one outstanding "
            "Sales Order for this customer."
        )
    books.table("customers").remove(row)


def refuse_blocked(row: Row) -> None:
    """Any non-blank `blocked` stops a new order (section 2, customers)."""
    if row.values["blocked"] != NOT_BLOCKED:
        raise dialog(
            f"You cannot create this type of document when Customer {row.values['number']} is blocked "
            f"with type {row.values['blocked']}"
        )


def find_customer(books: Books, *, key: str | None, number: str | None, prefix: str = "") -> Row | None:
    """The customer named by id, by number, or by both, which must agree (section 2, salesOrders)."""
    by_key = by_number = None
    id_name, number_name = (f"{prefix}CustomerId", f"{prefix}CustomerNumber") if prefix else (
        "customerId", "customerNumber"
    )  # fmt: skip
    if key and key != NO_GUID:
        by_key = books.table("customers").get(key)
        if by_key is None:
            raise dialog(f'The "{id_name}" does not match to a known customer.')
    if number:
        by_number = books.table("customers").first("number", number)
        if by_number is None:
            raise dialog(f'The "{number_name}" does not match to a known customer.')
    if by_key and by_number and by_key is not by_number:
        raise dialog("The customer values do not match to a specific Customer.")
    return by_key or by_number
