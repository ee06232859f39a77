"""What the store keeps and tells for comparing a platform, the middleware and the ERP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.road import State, StepState


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """One order as the middleware has it.

    `has_body`: what the platform sent of it is stored, of an amendment as well. `total`, `erp_id` and `external_number` are those
    of its rows, None and empty where it was never written. `export` is None where no export is owed; `amended`: a later
    version waits. `document_id` is that of the ERP's document where one is linked.
    """

    platform_order_id: str
    order_number: str
    state: State
    stage: str
    reason: str
    has_body: bool
    amended: bool
    total: Decimal | None
    currency: str
    erp_id: int | None
    external_number: str
    export: StepState | None
    document_id: str
    document_number: str


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """The outcome of a comparison, as it is stored. `from_at` is None where it began with the first order ever."""

    site_id: int
    from_at: datetime | None
    until_at: datetime
    complete: bool
    counts: Mapping[str, int]
    findings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Certificate(NewCertificate):
    """A stored certificate: `complete` says that nothing was missing, doubled or different up to `until_at`."""

    id: int
    made_at: datetime
