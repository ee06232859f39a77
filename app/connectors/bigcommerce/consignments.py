"""Where an order's lines and addresses stand in its body: side-loaded in consignments, or read apart and spliced in. Pure.

Nothing is checked here; what has another form than expected counts as not there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

PARTS = "_parts"
"""The member that `complete` adds to a body: what the store shows of an order in calls of its own only."""
_WARNING = "__warning__"
_KINDS = ("shipping", "pickups", "downloads")

Placed = tuple[str, dict[str, Any]]
"""Something of the body and the JSON pointer to it."""


def is_link(value: Any) -> bool:
    """Whether this is a reference to another address and not the thing itself."""
    return isinstance(value, dict) and bool(value) and set(value) <= {"url", "resource"}


def part(given: Mapping[str, Any], name: str) -> list[Any] | None:
    """A list that `complete` read, None where it did not."""
    parts = given.get(PARTS)
    found = parts.get(name) if isinstance(parts, dict) else None
    return found if isinstance(found, list) else None


def lines(given: Mapping[str, Any]) -> list[Placed]:
    """The order's product lines: those read apart, which are all of them, else those in its consignments."""
    apart = part(given, "products")
    if apart is not None:
        return [(f"/{PARTS}/products/{at}", each) for at, each in enumerate(apart) if isinstance(each, dict)]
    return [placed for where, group in _groups(given) for placed in _lines_of(where, group)]


def addresses(given: Mapping[str, Any]) -> list[Placed]:
    """The addresses that something is shipped to; one that nothing goes to is none."""
    rows = [line for _, line in lines(given)]
    return [placed for placed in shown_addresses(given) if _is_used(placed[1], rows)]


def shown_addresses(given: Mapping[str, Any]) -> list[Placed]:
    """All shipping addresses, also those that nothing goes to."""
    apart = part(given, "shipping_addresses")
    if apart is not None:
        return [
            (f"/{PARTS}/shipping_addresses/{at}", each)
            for at, each in enumerate(apart)
            if isinstance(each, dict)
        ]
    return [placed for placed in _consignments(given, "shipping") if not is_link(placed[1])]


def pickups(given: Mapping[str, Any]) -> list[Placed]:
    """The places where something is fetched by the customer."""
    return list(_consignments(given, "pickups"))


def fees(given: Mapping[str, Any]) -> list[Placed]:
    """The order's fees."""
    apart = part(given, "fees")
    where, found = (f"/{PARTS}/fees", apart) if apart is not None else ("/fees", given.get("fees"))
    if isinstance(found, dict):  # As they come in a call of their own.
        where, found = f"{where}/fees", found.get("fees")
    if not isinstance(found, list):
        return []
    return [(f"{where}/{at}", each) for at, each in enumerate(found) if isinstance(each, dict)]


def lacks_lines(given: Mapping[str, Any]) -> bool:
    """Whether lines are missing from the body: 50 of a consignment are side-loaded at most (contract, section 2)."""
    groups = list(_groups(given))
    if not groups or _WARNING in _object(given.get("consignments")):
        return True
    for _, group in groups:
        rows = group.get("line_items")
        if (
            _WARNING in group
            or not isinstance(rows, list)
            or any(is_link(row) or _is_warning(row) for row in rows)
        ):
            return True
    shown = sum((_count(line.get("quantity")) for _, line in lines(given)), Decimal(0))
    return shown < _count(given.get("items_total"))


def lacks_consignments(given: Mapping[str, Any]) -> bool:
    """Whether the body does not say of every address where it is."""
    found = given.get("consignments")
    if found is None or is_link(found) or any(is_link(each) for _, each in _consignments(given, "shipping")):
        return True
    shown = shown_addresses(given)
    told = _count(given.get("shipping_address_count"))
    return told > len(shown) or (not shown and (lacks_lines(given) or _has_shipped_line(given)))


def spliced(body: str, parts: Mapping[str, Any]) -> str:
    """The raw `body` of an order with `parts` as its last member; every byte of the order's own stays as it is."""
    return with_member(body, PARTS, parts)


def with_member(body: str, name: str, value: Any) -> str:
    """The raw `body` of an object with one more member at its end."""
    opened = body.rstrip()
    member = f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'), default=str)}"
    comma = "" if opened[:-1].rstrip().endswith("{") else ","
    return f"{opened[:-1]}{comma}{member}}}"


def _has_shipped_line(given: Mapping[str, Any]) -> bool:
    return any(line.get("order_address_id") for where, line in lines(given) if "/pickups" not in where)


def _is_used(address: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether something goes there, by the address's own account or by a line's; also where neither says anything."""
    own, told = address.get("line_items"), address.get("items_total")
    if own or _count(told) or (own is None and told is None):
        return True
    return any(row.get("order_address_id") == address.get("id") for row in rows)


def _groups(given: Mapping[str, Any]) -> Iterator[Placed]:
    for kind in _KINDS:
        yield from _consignments(given, kind)
    for where, holder in _holders(given):
        email = holder.get("email")
        if isinstance(email, dict):
            yield from _members(f"{where}/email/gift_certificates", email.get("gift_certificates"))


def _consignments(given: Mapping[str, Any], kind: str) -> Iterator[Placed]:
    for where, holder in _holders(given):
        yield from _members(f"{where}/{kind}", holder.get(kind))


def _holders(given: Mapping[str, Any]) -> Iterator[Placed]:
    # The object form is asked for; the older form is a list around it.
    found = given.get("consignments")
    if isinstance(found, dict) and not is_link(found):
        yield "/consignments", found
    elif isinstance(found, list):
        yield from ((f"/consignments/{at}", each) for at, each in enumerate(found) if isinstance(each, dict))


def _members(where: str, found: Any) -> Iterator[Placed]:
    if isinstance(found, dict):
        yield where, found
    elif isinstance(found, list):
        yield from ((f"{where}/{at}", each) for at, each in enumerate(found) if isinstance(each, dict))


def _lines_of(where: str, group: Mapping[str, Any]) -> Iterator[Placed]:
    rows = group.get("line_items")
    if isinstance(rows, list):
        for at, row in enumerate(rows):
            if isinstance(row, dict) and not is_link(row) and not _is_warning(row):
                yield f"{where}/line_items/{at}", row


def _is_warning(row: Any) -> bool:
    return isinstance(row, dict) and _WARNING in row


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return Decimal(0)
