"""Sites: how each stands, and switching them off and on. Nothing here says how we get in there."""

from collections.abc import Mapping
from typing import Any

from app.ports.accounts import Scope
from app.sync.panel import remote_sites
from app.web.api import paging, schemas
from app.web.api.operations import Operations
from app.web.people import People


def operations(people: People) -> Operations:
    """What can be asked and done about sites."""
    sites = Operations(people, "sites", "Sites: how each stands, and switching them off and on.")
    panel = people.panel

    @sites.reads("/sites", Scope.SITES_READ, schemas.Sites)
    def listed() -> Any:
        """Every site, by name."""
        return {"items": remote_sites.site_rows(panel)}

    @sites.reads("/sites/<name>", Scope.SITES_READ, schemas.Site)
    def shown(name: str) -> Any:
        """One site with its settings."""
        return remote_sites.site_details(panel, name)

    @sites.reads(
        "/sites/<name>/certificates",
        Scope.SITES_READ,
        schemas.paged(schemas.Finding, "CertificatePage"),
        query=schemas.Listed,
    )
    def certificates(wanted: Mapping[str, Any], name: str) -> Any:
        """What came of comparing the platform, the middleware and the ERP, the latest first."""
        site = remote_sites.site(panel, name)
        return paging.page(
            wanted,
            lambda before, limit: panel.store.listed_certificates(site.id, before=before, limit=limit),
            lambda certificate: certificate.id,
        )

    @sites.does(
        "/sites/<name>/pause", Scope.SITES_WRITE, "sites.pause", schemas.SitePaused, body=schemas.SiteSwitch
    )
    def paused(_asked: Mapping[str, Any], name: str) -> Any:
        """Let no schedule read the site any more; what was read before still goes on."""
        return remote_sites.pause(panel, name)

    @sites.does(
        "/sites/<name>/resume",
        Scope.SITES_WRITE,
        "sites.resume",
        schemas.SiteResumed,
        body=schemas.SiteSwitch,
    )
    def resumed(_asked: Mapping[str, Any], name: str) -> Any:
        """Let the schedule read the site again."""
        return remote_sites.unpause(panel, name)

    @sites.reads("/overview", Scope.SITES_READ, schemas.Overview)
    def overview() -> Any:
        """How everything stands, in few numbers."""
        return remote_sites.overview_page(panel)

    return sites
