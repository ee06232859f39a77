"""Measuring what a site's platform does, and fitting the site's settings to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.ports.survey import Finding, Suggestion
from app.sync import reconfigure
from app.sync.parts import Parts, site_named
from app.sync.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured, the settings that follow from it, and which of the site's were changed."""

    findings: tuple[Finding, ...]
    settings: Mapping[str, Suggestion]
    changed: tuple[str, ...]


def probe_site(parts: Parts, name: str, *, orders: int, change: bool) -> Probed:
    """Measure the site, by reads alone, and with `change` write the settings that follow. Raises what its platform's reads raise.

    Suggestions are typed as a person would type them, and checked as if one had.
    """
    survey = parts.peers.channel(site_named(parts, name)).survey(orders=orders)
    changed: tuple[str, ...] = ()
    if change and survey.settings:
        typed = {key: each.value for key, each in survey.settings.items()}
        changed = reconfigure.set_site(parts, name, Wanted(settings=typed), erp=None).what
    return Probed(findings=survey.findings, settings=survey.settings, changed=changed)
