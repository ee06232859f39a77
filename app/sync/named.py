"""Reading orders by their ids: because a webhook named them, or because a comparison missed them."""

from collections.abc import Mapping, Sequence

from app.domain.road import Stage
from app.ports.sales_channel import Gone, Seen
from app.ports.store import Bell, Sighting, Site, Stored
from app.sync.fetch import PAGE_SIZE, Ring, skip_reason
from app.sync.options import site_options
from app.sync.parts import Parts


def read_named(
    parts: Parts, site: Site, platform_order_ids: Sequence[str], *, ring: Ring, heal: bool = False
) -> tuple[Stored, Mapping[str, Seen | Gone]]:
    """Read these orders (at most 100) from the platform and let them go down the road; what was stored, and how each stands.

    The cursor stays where it is. With `heal` an order that the middleware does not have is taken whatever its age and its
    mark. Raises what the platform's read raises; nothing was stored then.
    """
    options = site_options(site.settings)
    read_at = parts.store.now()
    found = parts.peers.channel(site).read(platform_order_ids[:PAGE_SIZE])
    seen = [each for each in found.values() if isinstance(each, Seen)]
    sightings = [
        Sighting(
            seen=each,
            skip=None if heal else skip_reason(each, options),
            order_number=f"{site.prefix}-{each.number}" if each.number else "",
        )
        for each in seen
    ]
    stored = parts.store.store_read(site.id, sightings, read_at=read_at)
    if stored.batch_id is not None:
        ring(Bell(batch_id=stored.batch_id, link=Stage.NORMALIZE, site=site.name))
    return stored, found
