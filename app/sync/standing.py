"""How orders stand on the platform right before something is done about them: still wanted, changed, or gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.ports.sales_channel import Gone, SalesChannel, Seen
from app.ports.store import Closed, OwedStep, Site
from app.sync.parts import Parts


@dataclass(frozen=True, slots=True)
class Standing:
    """The steps that may go on, the orders to be closed, and the batches of those that changed and run again."""

    wanted: tuple[OwedStep, ...]
    closed: tuple[Closed, ...]
    restarted: tuple[int, ...]


def ask(parts: Parts, site: Site, channel: SalesChannel, owed: Sequence[OwedStep]) -> Standing:
    """Ask the platform once for all of these orders. Raises what the platform's read raises."""
    read_at = parts.store.now()
    return sort(parts, site, owed, channel.read([step.platform_order_id for step in owed]), read_at=read_at)


def sort(
    parts: Parts,
    site: Site,
    owed: Sequence[OwedStep],
    answers: Mapping[str, Seen | Gone],
    *,
    read_at: datetime,
) -> Standing:
    """What follows from how the platform shows these orders now. New versions are stored; their orders restart."""
    closed: list[Closed] = []
    eligible: dict[str, Seen] = {}
    for step in owed:
        match answers[step.platform_order_id]:
            case Seen(eligible=True) as seen:
                eligible[step.platform_order_id] = seen
            case Seen(status=status):
                closed.append(
                    Closed(thread_id=step.thread_id, reason=f"Its status on the platform is now {status!r}.")
                )
            case _:
                closed.append(Closed(thread_id=step.thread_id, reason="It is no longer on the platform."))
    again = parts.store.new_versions(site.id, eligible.values(), read_at=read_at)
    wanted = tuple(
        step
        for step in owed
        if step.platform_order_id in eligible and step.platform_order_id not in again.platform_order_ids
    )
    return Standing(
        wanted=wanted, closed=tuple(closed), restarted=() if again.batch_id is None else (again.batch_id,)
    )
