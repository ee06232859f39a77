"""What the store changes and tells about sites and ERPs that are connected already."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class SiteChanges:
    """New values for parts of a site; None leaves a part as it is. `credentials` are encrypted already."""

    url: str | None = None
    erp_id: int | None = None
    allow_private: bool | None = None
    settings: Mapping[str, Any] | None = None
    credentials: str | None = None
    order_next_run: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErpChanges:
    """New values for parts of an ERP; None leaves a part as it is. `credentials` are encrypted already.

    `read_items_anew`: the next item sync reads all of them, whenever they were changed.
    """

    url: str | None = None
    company: str | None = None
    allow_private: bool | None = None
    settings: Mapping[str, Any] | None = None
    credentials: str | None = None
    items_next_run: datetime | None = None
    read_items_anew: bool = False


@dataclass(frozen=True, slots=True)
class SiteUse:
    """How many orders a site has, how many of them are in motion, held or in error, and how many exports are in doubt.

    In doubt: something was sent to the ERP, or may have been, and what came of it is not known.
    """

    orders: int
    active: int
    held: int
    errors: int
    in_doubt: int

    @property
    def unfinished(self) -> int:
        """The orders that are in motion or held."""
        return self.active + self.held


@dataclass(frozen=True, slots=True)
class ErpUse:
    """How many orders were written for an ERP, how many of them are unfinished, and how many were sent or may have been."""

    written: int
    unfinished: int
    sent: int


class Removal(StrEnum):
    """What became of a site or an ERP that was to be removed.

    `DELETED`: it had no orders and is gone. `KEPT`: it is in no list any more and its credentials are erased, but its row
    stays for explanation. `IN_USE` and `BEING_READ`: nothing was changed.
    """

    DELETED = "deleted"
    KEPT = "kept"
    IN_USE = "in_use"
    BEING_READ = "being_read"
