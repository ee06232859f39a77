"""Orders for several addresses: where the site splits them, each address is an order of ours, `123`, `123.2`, `123.3`. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from app.connectors.bigcommerce import consignments

GROUP = "_group"
"""The member that tells which address a body stands for, where that is not the first."""
_ID = re.compile(r"([1-9][0-9]{0,9})(?:\.([2-9]|[1-9][0-9]))?", re.ASCII)
_LARGEST_ID = 2**31 - 1


def is_id(text: str) -> bool:
    """Whether this can be the id of an order of ours: nothing else is put into a URL."""
    found = _ID.fullmatch(text)
    return found is not None and int(found[1]) <= _LARGEST_ID


def base_of(platform_order_id: str) -> str:
    """The platform's own id."""
    return platform_order_id.partition(".")[0]


def group_of(platform_order_id: str) -> int:
    """Which of the platform order's addresses it is, from 1."""
    return int(platform_order_id.partition(".")[2] or 1)


def named(base: str, group: int) -> str:
    """The id of an order of ours."""
    return base if group == 1 else f"{base}.{group}"


def count_of(given: Mapping[str, Any]) -> int:
    """How many addresses the order has; an order that is not shipped counts as one."""
    found = len(consignments.addresses(given))
    told = given.get("shipping_address_count")
    if not found and isinstance(told, int) and not isinstance(told, bool):
        found = told
    return max(1, found)


def stands_for(given: Mapping[str, Any]) -> int:
    """The address that a body stands for."""
    found = given.get(GROUP)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 1


def with_group(body: str, given: dict[str, Any], group: int) -> tuple[str, dict[str, Any]]:
    """The raw body and its parsed value, standing for this address; the first one's is the platform's own."""
    if group == 1:
        return body, given
    return consignments.with_member(body, GROUP, group), {**given, GROUP: group}
