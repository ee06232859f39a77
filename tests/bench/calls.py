"""Which requests the sandboxes were sent, by what they were for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

SHOP = ("list", "re-read", "acknowledge")
ERP = (
    "item look-ups",
    "document look-ups",
    "customer look-ups",
    "look-ups together",
    "customer creations",
    "order inserts",
)
APART = frozenset({"customer creations", "order inserts"})
"""What the aim leaves out: each order is written once, and each new customer."""

_OF_ENTITY = {
    "items": "item look-ups",
    "salesOrders": "document look-ups",
    "salesInvoices": "document look-ups",
    "customers": "customer look-ups",
}


def shop_counts(log: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """HTTP calls and batch entries by purpose, of the shop's request log."""
    calls: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for line in log:
        purpose = _shop_purpose(line)
        calls[purpose] += 1
        entries[purpose] += line["entries"]
    return _table(SHOP, calls, entries)


def erp_counts(log: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """HTTP calls and batch operations by purpose, of the ERP's request log.

    A batch that writes counts as one of writing, and what it reads beside that as operations of writing.
    """
    calls: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    for line in log:
        if not line["path"].endswith("/$batch"):
            calls[_erp_purpose(f"{line['method']} {line['path']}")] += 1
            continue
        kinds = {kind: _erp_purpose(kind) for kind in line["kinds"]}
        written = [purpose for purpose in kinds.values() if purpose in APART]
        purposes = set(kinds.values())
        whole = written[0] if written else purposes.pop() if len(purposes) == 1 else "look-ups together"
        calls[whole] += 1
        for kind, count in line["kinds"].items():
            operations[whole if written else kinds[kind]] += count
    return _table(ERP, calls, operations)


def apart_from_writing(*peers: Mapping[str, Mapping[str, int]]) -> int:
    """The calls of the aim: all but new customers and order inserts."""
    return sum(count["calls"] for peer in peers for purpose, count in peer.items() if purpose not in APART)


def _shop_purpose(line: Mapping[str, Any]) -> str:
    path, query = line["path"], parse_qs(line["query"])
    if line["method"] != "GET":
        return "acknowledge" if path.endswith("/orders/batch") else "mark"
    if not path.endswith("/orders"):
        return "re-read"
    if "include" in query:
        return "re-read"
    return "list" if "page" in query else "probe"


def _erp_purpose(kind: str) -> str:
    method, _, path = kind.partition(" ")
    if path.endswith("/token"):
        return "sign-in"
    entity = path.rpartition("/")[2]
    if method == "POST":
        return {"customers": "customer creations", "salesOrders": "order inserts"}.get(entity, "other")
    return _OF_ENTITY.get(entity, "other")


def _table(known: Iterable[str], calls: Counter[str], operations: Counter[str]) -> dict[str, dict[str, int]]:
    names = dict.fromkeys((*known, *calls))
    return {name: {"calls": calls[name], "operations": operations[name]} for name in names}
