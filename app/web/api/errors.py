"""The error desk: what needs a person, repairing it, and letting it go on."""

from collections.abc import Mapping
from typing import Any

from app.ports.accounts import Scope
from app.ports.desk import ErrorFilter
from app.sync.overview import known_site
from app.sync.panel import remote
from app.sync.resume import How
from app.web.api import access, paging, schemas
from app.web.api.operations import Operations
from app.web.people import People

_ERROR = "/errors/<id:error_id>"


def operations(people: People) -> Operations:
    """What can be asked and done about errors."""
    errors = Operations(people, "errors", "Orders that need a person: what is wrong, repairing it, going on.")
    panel, ring = people.panel, errors.ring

    @errors.reads(
        "/errors", Scope.ERRORS_READ, schemas.paged(schemas.ErrorRow, "ErrorPage"), query=schemas.ErrorsWanted
    )
    def listed(wanted: Mapping[str, Any]) -> Any:
        """The errors, the newest first: the open ones, with `resolved` the others as well."""
        if "site" in wanted:
            known_site(panel.parts, wanted["site"])
        which = ErrorFilter(
            site=wanted.get("site"),
            kind=wanted.get("kind"),
            stage=wanted.get("stage"),
            assignee=wanted.get("assignee") or None,
            unassigned=wanted.get("assignee") == "",
            text=wanted["text"],
            since=wanted.get("since"),
            resolved=wanted["resolved"],
        )
        found = paging.page(
            wanted,
            lambda before, limit: panel.store.listed_errors(which, before=before, limit=limit),
            lambda error: error.error.id,
        )
        return {**found, "items": [remote.error_row(each) for each in found["items"]]}

    @errors.reads("/errors/summary", Scope.ERRORS_READ, schemas.Summary)
    def summed() -> Any:
        """All open errors in figures: how many there are of each kind, and the money at risk."""
        return remote.error_summary(panel)

    @errors.reads(_ERROR, Scope.ERRORS_READ, schemas.Error)
    def shown(error_id: int) -> Any:
        """One error, with what it would take and the order so far."""
        return remote.error_page(panel, error_id)

    @errors.reads(f"{_ERROR}/fields", Scope.ERRORS_READ, schemas.Fields, may_refuse=True)
    def fields(error_id: int) -> Any:
        """What may be changed of the order of an open error, and what was."""
        return remote.fields_of_error(panel, error_id)

    @errors.does(
        f"{_ERROR}/repair", Scope.ERRORS_WRITE, "errors.repair", schemas.Repaired, body=schemas.RepairAsked
    )
    def repaired(asked: Mapping[str, Any], error_id: int) -> Any:
        """Change fields of the order of an open error, on top of what was received.

        It is checked first by all that is still to come: a change with which the order would be rejected again is refused with that
        rejection's sentence, and nothing is stored.
        """
        return remote.repair_error(panel, error_id, remote.Wishes(**asked), by=access.name(), ring=ring)

    @errors.does(
        f"{_ERROR}/resume", Scope.ERRORS_WRITE, "errors.resume", schemas.Outcome, body=schemas.ResumeAsked
    )
    def resumed(asked: Mapping[str, Any], error_id: int) -> Any:
        """Let the order of an open error go on from where it stopped."""
        how = How(by=access.name(), replay=asked["replay"], send_again=asked["send_again"])
        result = remote.resume_error(panel, error_id, how, dry_run=asked["dry_run"], ring=ring)
        return remote.outcome(result)

    @errors.does(f"{_ERROR}/skip", Scope.ERRORS_WRITE, "errors.skip", schemas.Outcome, body=schemas.SkipAsked)
    def skipped(asked: Mapping[str, Any], error_id: int) -> Any:
        """Settle the order of an open error as it is: nothing more is done for it, whatever its shop shows of it."""
        return remote.outcome(remote.skip_error(panel, error_id, reason=asked["reason"], by=access.name()))

    @errors.does(
        f"{_ERROR}/assign", Scope.ERRORS_WRITE, "errors.assign", schemas.Assigned, body=schemas.AssignAsked
    )
    def assigned(asked: Mapping[str, Any], error_id: int) -> Any:
        """Say who looks after the open errors of this one's order."""
        count = remote.assign_error(panel, error_id, to=asked["to"], by=access.name())
        return {"errors": count, "assignee": None if asked["to"] is None else asked["to"].strip()}

    @errors.does(
        f"{_ERROR}/comment",
        Scope.ERRORS_WRITE,
        "errors.comment",
        schemas.Commented,
        body=schemas.CommentAsked,
    )
    def commented(asked: Mapping[str, Any], error_id: int) -> Any:
        """Note something in the trail of an error's order."""
        order = remote.comment_error(panel, error_id, text=asked["text"], by=access.name())
        return {"order_id": order.thread_id, "order": order.name}

    return errors
