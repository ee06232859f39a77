"""Runs: what each has brought, and reading a site now."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from app.ports.accounts import Scope
from app.sync.overview import known_site
from app.sync.panel import remote_sites
from app.web.api import paging, schemas
from app.web.api.operations import Operations
from app.web.people import People


def operations(people: People) -> Operations:
    """What can be asked and done about runs."""
    runs = Operations(people, "runs", "Runs: what each has brought, and reading a site now.")
    panel = people.panel

    @runs.reads("/runs", Scope.RUNS_READ, schemas.paged(schemas.Run, "RunPage"), query=schemas.RunsWanted)
    def listed(wanted: Mapping[str, Any]) -> Any:
        """The runs, the latest first, each with its counts."""
        site_id = known_site(panel.parts, wanted["site"]).id if "site" in wanted else None
        found = paging.page(
            wanted,
            lambda before, limit: panel.store.runs_before(
                site_id=site_id, kind=None, before=before, limit=limit
            ),
            lambda run: run.id,
        )
        names = remote_sites.site_names(panel)
        rows = [remote_sites.run_row(each, site=names.get(each.site_id or 0, "")) for each in found["items"]]
        return {**found, "items": rows}

    @runs.reads("/runs/<id:run_id>", Scope.RUNS_READ, schemas.Run)
    def shown(run_id: int) -> Any:
        """One run with its counts."""
        return remote_sites.run_page(panel, run_id)

    @runs.does(
        "/runs",
        Scope.RUNS_WRITE,
        "runs.start",
        schemas.Run,
        body=schemas.RunAsked,
        status=HTTPStatus.ACCEPTED,
    )
    def started(asked: Mapping[str, Any]) -> Any:
        """Have a site read now. Where no worker can be told at this moment, one comes for the run within minutes."""
        return remote_sites.start_run(panel, asked["site"], send=people.doors.send)

    return runs
