"""SKU passes where there is no broker to remember them: apart from `app.passes`, for looking does without Redis' client."""

from collections.abc import Iterable, Mapping, Sequence

from app.ports.erp import ErpItem


class NoPasses:
    """Remembers nothing: for processes without a broker."""

    def recent(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, ErpItem]:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return {}

    def remember(self, erp_id: int, items: Iterable[ErpItem]) -> None:
        """Nothing."""
