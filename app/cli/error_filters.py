"""The options that say which errors are meant, for every command that takes many of them."""

import click

from app.cli.completing import error_kinds, site_names
from app.cli.typed import with_options
from app.domain.road import LINKS
from app.ports.desk import ErrorFilter
from app.sync.moments import moment_from

filter_options = with_options(
    click.option("--site", "site_name", default=None, shell_complete=site_names, help="Of this site only."),
    click.option(
        "--kind", default=None, shell_complete=error_kinds, help="Of this kind only, such as bad_sku."
    ),
    click.option(
        "--stage", type=click.Choice([str(each) for each in LINKS]), default=None, help="At this step only."
    ),
    click.option("--assignee", default=None, help="Only those that this person has."),
    click.option("--unassigned", is_flag=True, help="Only those that nobody has."),
    click.option("--text", default="", help="Only those with this in the order's number or the reason."),
    click.option("--since", default="", help="Opened since then, UTC: 2026-11-01 or 2026-11-01T12:00."),
    click.option("--all", "resolved", is_flag=True, help="Those that were resolved as well."),
)


def error_filter(
    *,
    site_name: str | None,
    kind: str | None,
    stage: str | None,
    assignee: str | None,
    unassigned: bool,
    text: str,
    since: str,
    resolved: bool,
) -> ErrorFilter:
    """What was typed. Raises `UsageError`."""
    return ErrorFilter(
        site=site_name,
        kind=kind,
        stage=stage,
        assignee=assignee,
        unassigned=unassigned,
        text=text.strip(),
        since=moment_from(since, "--since"),
        resolved=resolved,
    )
