"""Items and kits as people page through them, and how complete each site was found last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.kits import Component


@dataclass(frozen=True, slots=True)
class Item:
    """What the middleware knows of one item of an ERP. `status` is `allowed` or `not_allowed`; `source` is who told of it first."""

    sku: str
    name: str
    status: str
    kind: str
    source: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Kit:
    """One kit, its components in their order."""

    parent_sku: str
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Certified:
    """The head of a certificate: made when, complete up to when, or not."""

    complete: bool
    until_at: datetime
    made_at: datetime


class CatalogueStore(Protocol):
    """Lists are ascending by the SKU, beyond `after`; with `before` those that stand just before it. `text` is part of a SKU or name."""

    def items_page(
        self,
        erp_id: int,
        *,
        text: str = "",
        status: str | None = None,
        after: str = "",
        before: str = "",
        limit: int,
    ) -> Sequence[Item]: ...

    def item_counts(self, erp_id: int) -> Mapping[str, int]:
        """How many items of an ERP have each status."""
        ...

    def switch_item(self, erp_id: int, sku: str, *, status: str) -> bool:
        """Whether an item may be sold. False where it is not known."""
        ...

    def kits_page(
        self, *, text: str = "", after: str = "", before: str = "", limit: int
    ) -> Sequence[Kit]: ...

    def kit_count(self) -> int: ...
    def latest_certificates(self) -> Mapping[int, Certified]:
        """The newest certificate of each site that has one, by the site's id."""
        ...
