"""Where an order stands on the road, for whoever starts it again by hand."""

from dataclasses import dataclass

from app.domain.road import Link, State


@dataclass(frozen=True, slots=True)
class OrderPlace:
    """One order and the links at which it can be worked on; none where it has come to an end. `busy`: a worker has it now."""

    thread_id: int
    order_number: str
    platform_order_id: str
    site_id: int
    site: str
    state: State
    links: tuple[Link, ...]
    busy: bool
