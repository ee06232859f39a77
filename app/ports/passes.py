"""Where recent passes of SKU verification are remembered. Refusals never are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from app.ports.erp import ErpItem


class SkuPasses(Protocol):
    """A cache that may forget at any time. It never fails: where its server is away, nothing is remembered."""

    def recent(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, ErpItem]:
        """Those of these SKUs (upper case) that passed in the ERP within the last five minutes, as it showed them."""
        ...

    def remember(self, erp_id: int, items: Iterable[ErpItem]) -> None:
        """These items passed now."""
        ...
