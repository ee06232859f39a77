"""Where recent passes of SKU verification are remembered. Refusals never are."""

from collections.abc import Sequence
from typing import Protocol


class SkuPasses(Protocol):
    """A cache that may forget at any time. It never fails: where its server is away, nothing is remembered."""

    def recent(self, erp_id: int, skus: Sequence[str]) -> frozenset[str]:
        """Those of these SKUs (upper case) that passed in the ERP within the last five minutes."""
        ...

    def remember(self, erp_id: int, skus: Sequence[str]) -> None:
        """These SKUs passed now."""
        ...
