"""Reading orders by their ids: because a webhook named them, or because a comparison missed them."""

from collections.abc import Callable, Mapping, Sequence

from app.domain.road import Stage
from app.ports.sales_channel import Gone, Seen
from app.ports.store import Bell, Site, Stored
from app.sync.fetch import PAGE_SIZE, Ring, sighting, skip_reason
from app.sync.options import site_options
from app.sync.parts import Parts

Rule = Callable[[Seen], str | None]
"""Why an order that nobody has seen before is stored but not run, or None."""


def read_named(
    parts: Parts, site: Site, platform_order_ids: Sequence[str], *, ring: Ring, rule: Rule | None = None
) -> tuple[Stored, Mapping[str, Seen | Gone]]:
    """Read these orders (at most 100) from the platform and let them go down the road; what was stored, and how each stands.

    The cursor stays where it is. New orders are skipped by the site's rules, or by `rule`. Raises what the platform's read
    raises; nothing was stored then.
    """
    options = site_options(site.settings)
    skip = (lambda seen: skip_reason(seen, options)) if rule is None else rule
    read_at = parts.store.now()
    found = parts.peers.channel(site).read(platform_order_ids[:PAGE_SIZE])
    stored = parts.store.store_read(
        site.id,
        [sighting(site, each, skip=skip(each)) for each in found.values() if isinstance(each, Seen)],
        read_at=read_at,
        gone=[key for key, each in found.items() if isinstance(each, Gone)],
    )
    if stored.batch_id is not None:
        ring(Bell(batch_id=stored.batch_id, link=Stage.NORMALIZE, site=site.name))
    return stored, found
