"""`errors repair|resume|replay|skip|assign|comment`, `held release` and `retry`: what a person does about orders that stopped."""

import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from app.bootstrap import Program
from app.cli.changing import asking, yes_option
from app.cli.completing import site_names
from app.cli.desk import errors
from app.cli.ringing import inline_option, runs_of, tell, timeout_option, wait_option, workers_of
from app.cli.root import json_option, main, opened, person, say, show, show_or_say
from app.cli.typed import settings_from, with_options
from app.cli.waiting import held
from app.domain.overlay import ABSENT
from app.errors import UsageError
from app.ports.desk import DeskOrder
from app.sync import settle
from app.sync.overview import known_site
from app.sync.repair import Field, Repaired, fields, repair
from app.sync.repaired import shown
from app.sync.resume import How, Result, foresee, orders_named, release, resume, retry

_keys = click.argument("keys", metavar="ORDER...", nargs=-1)
_dry_run = click.option("--dry-run", is_flag=True, help="Only show what would happen; nothing is changed.")
_picked = with_options(
    click.option("--site", "site_name", default=None, shell_complete=site_names, help="All of this site."),
    click.option("--kind", default=None, help="All of this kind, such as bad_sku."),
)
_going = with_options(_dry_run, wait_option, inline_option, timeout_option, json_option)


@errors.command("repair")
@click.argument("key", metavar="ORDER")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="POINTER=VALUE",
    help="A field and its value, such as /ship/postcode=12345; several are checked together.",
)
@click.option(
    "--withdraw", multiple=True, metavar="POINTER", help="This field is to be as it was received again."
)
@click.option("--reason", default="", help="Why; it is kept in the order's audit trail.")
@click.option(
    "--revision", type=int, default=None, help="Only if nobody has changed the order since this revision."
)
@click.option("--resume", "and_resume", is_flag=True, help="Let the order go on with it.")
@_going
def errors_repair(
    key: str,
    *,
    changes: tuple[str, ...],
    withdraw: tuple[str, ...],
    reason: str,
    revision: int | None,
    and_resume: bool,
    dry_run: bool,
    as_json: bool,
    **waiting: Any,
) -> None:
    """Change fields of an order that stands in error, on top of what was received; without --set show them.

    It is checked first by all that is still to come: a change with which the order would be rejected again is refused with that
    rejection's sentence, and nothing is stored.
    """
    program = opened()
    order = _one(program, key)
    if not changes and not withdraw:
        found = fields(program.parts, order)
        show(_plain_fields(order, found), as_json=as_json, table=lambda: _fields_table(order, found))
        return
    done = repair(
        program.parts,
        order,
        settings_from(changes),
        withdraw=withdraw,
        reason=reason,
        by=person(),
        revision=revision,
        dry_run=dry_run,
    )
    if not as_json or not (and_resume and done.kept):
        show_or_say(_plain_repaired(done), as_json=as_json, sentence=_sentence(done))
    if and_resume and done.kept:
        _let_go(program, [_one(program, key)], How(by=person()), as_json=as_json, **waiting)


def _plain_fields(order: DeskOrder, found: Sequence[Field]) -> dict[str, Any]:
    return {
        "order": order.name,
        "revision": order.revision,
        "fields": [{"pointer": each.pointer, "value": each.value, "failing": each.failing} for each in found],
        "repairs": [
            {
                "pointer": each.change.pointer,
                "before": None if each.change.before is ABSENT else each.change.before,
                "after": each.change.after,
                "by": each.by,
                "at": each.at,
                "reason": each.reason,
            }
            for each in order.repairs
        ],
    }


def _fields_table(order: DeskOrder, found: Sequence[Field]) -> Table:
    changed = {each.change.pointer: each for each in order.repairs}
    table = Table(
        "Field", "Value", "", title=f"{order.name}, revision {order.revision}", title_justify="left"
    )
    for each in found:
        remark = "what the error is about" if each.failing else ""
        if each.pointer in changed:
            of = changed[each.pointer]
            remark = f"changed by {of.by}, was {shown(of.change.before)}"
        style = "red" if each.failing else "yellow" if each.pointer in changed else ""
        table.add_row(Text(each.pointer), Text(str(each.value)), Text(remark, style=style))
    return table


def _plain_repaired(done: Repaired) -> dict[str, Any]:
    return {
        "order": done.order,
        "stored": done.kept,
        "changes": [
            {
                "pointer": each.pointer,
                "before": None if each.before is ABSENT else each.before,
                "after": each.after,
            }
            for each in done.changes
        ],
        "revision": done.revision,
        "foreseen": {"link": str(done.foreseen.link), "sentence": done.foreseen.sentence},
    }


def _sentence(done: Repaired) -> str:
    what = "; ".join(
        f"{each.pointer}: {shown(each.before)} is now {shown(each.after)}" for each in done.changes
    )
    end = f"The order {done.order} is repaired ({what or 'as received again'})."
    if not done.kept:
        end = f"Nothing was stored. With {what or 'this'}:"
    return f"{end} {done.foreseen.sentence}"


@errors.command("resume")
@_keys
@_picked
@click.option("--all", "everything", is_flag=True, help="All open errors.")
@click.option(
    "--send-again",
    is_flag=True,
    help="A document that was in the ERP and has been deleted there is written once more.",
)
@yes_option
@_going
def errors_resume(
    keys: tuple[str, ...],
    *,
    site_name: str | None,
    kind: str | None,
    everything: bool,
    send_again: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **waiting: Any,
) -> None:
    """Let orders that stand in error go on from where they stopped. ORDER is a number, or an error's id.

    Exit code 3: some would stop again (with --dry-run), or have (with --wait).
    """
    program = opened()
    orders = _picked_orders(program, keys, site_name=site_name, kind=kind, everything=everything)
    how = How(by=person(), send_again=send_again)
    if (
        send_again
        and not dry_run
        and not asking(yes, "Sending again")("Have the ERP's documents written once more?")
    ):
        say("Nothing was done.")
        sys.exit(1)
    _go(program, orders, how, dry_run=dry_run, as_json=as_json, **waiting)


@errors.command("replay")
@_keys
@click.option(
    "--read-again", is_flag=True, help="Ask the platform again for what it shows only in calls of its own."
)
@_going
def errors_replay(
    keys: tuple[str, ...], *, read_again: bool, dry_run: bool, as_json: bool, **waiting: Any
) -> None:
    """Run orders again from the raw body, repairs included; also one that was skipped or closed.

    An order that the ERP has is refused.
    """
    program = opened()
    how = How(by=person(), replay=True, read_again=read_again)
    orders = _picked_orders(program, keys)
    _go(program, orders, how, dry_run=dry_run, as_json=as_json, **waiting)


@main.command("retry")
@_keys
@_picked
@click.option("--all-soft", is_flag=True, help="All orders that are held.")
@_going
def run_retry(
    keys: tuple[str, ...],
    *,
    site_name: str | None,
    kind: str | None,
    all_soft: bool,
    dry_run: bool,
    as_json: bool,
    **waiting: Any,
) -> None:
    """Try orders again at once, whether they stand in error or are held."""
    program = opened()
    if all_soft:
        if keys or kind is not None:
            raise UsageError("--all-soft means every held order; leave out ORDER and --kind.")
        orders = _picked_orders(program, (), site_name=site_name, everything=True, held_ones=True)
    else:
        orders = _picked_orders(program, keys, site_name=site_name, kind=kind)
    how = How(by=person(), held=True)
    if dry_run:
        _end(foresee(program.parts, orders, how), as_json=as_json)
    with workers_of(program, **waiting) as door:
        results = retry(program.parts, orders, how, ring=door.ring)
        reports = door.ends(runs_of(results))
    sys.exit(tell(results, reports, as_json=as_json, unheard=door.unheard))


@held.command("release")
@_keys
@click.option("--site", "site_name", default=None, shell_complete=site_names, help="All of this site.")
@click.option("--kind", default=None, help="All that wait for this, such as sku.")
@click.option("--all", "everything", is_flag=True, help="All held orders.")
@wait_option
@inline_option
@timeout_option
@json_option
def held_release(
    keys: tuple[str, ...],
    *,
    site_name: str | None,
    kind: str | None,
    everything: bool,
    as_json: bool,
    **waiting: Any,
) -> None:
    """Try held orders at once; one whose wait is not over is held again."""
    program = opened()
    orders = _picked_orders(
        program, keys, site_name=site_name, kind=kind, everything=everything, held_ones=True
    )
    with workers_of(program, **waiting) as door:
        results = release(program.parts, orders, by=person(), ring=door.ring)
        reports = door.ends(runs_of(results))
    sys.exit(tell(results, reports, as_json=as_json, unheard=door.unheard))


@errors.command("skip")
@_keys
@click.option("--reason", required=True, help="Why; it is kept in the order's audit trail.")
@yes_option
@json_option
def errors_skip(keys: tuple[str, ...], *, reason: str, yes: bool, as_json: bool) -> None:
    """Settle orders as they are: nothing more is done for them, and no reading of the shop runs them again."""
    program = opened()
    orders = _picked_orders(program, keys)
    names = ", ".join(each.name for each in orders)
    if not asking(yes, "Skipping")(f"Do nothing more for {names}?"):
        say("Nothing was done.")
        sys.exit(1)
    _end([settle.skip(program.parts, each, reason=reason, by=person()) for each in orders], as_json=as_json)


@errors.command("assign")
@_keys
@click.option("--to", "name", default=None, help="Whose they are.")
@click.option("--nobody", is_flag=True, help="They are nobody's any more.")
@json_option
def errors_assign(keys: tuple[str, ...], *, name: str | None, nobody: bool, as_json: bool) -> None:
    """Say who looks after the open errors of these orders."""
    if nobody == (name is not None):
        raise UsageError("Say either --to NAME or --nobody.")
    program = opened()
    orders = _picked_orders(program, keys)
    count = settle.assign(program.parts, orders, to=name, by=person())
    whose = f"{name}'s" if name else "nobody's"
    show_or_say(
        {"errors": count, "assignee": name},
        as_json=as_json,
        sentence=f"Errors that are {whose} now: {count}.",
    )


@errors.command("comment")
@click.argument("key", metavar="ORDER")
@click.argument("text")
@json_option
def errors_comment(key: str, text: str, as_json: bool) -> None:
    """Note something in an order's audit trail."""
    program = opened()
    order = _one(program, key)
    settle.comment(program.parts, order, text=text, by=person())
    show_or_say({"order": order.name}, as_json=as_json, sentence=f"Noted for the order {order.name}.")


def _one(program: Program, key: str) -> DeskOrder:
    return orders_named(program.parts, [key])[0]


def _picked_orders(
    program: Program,
    keys: tuple[str, ...],
    *,
    site_name: str | None = None,
    kind: str | None = None,
    everything: bool = False,
    held_ones: bool = False,
) -> Sequence[DeskOrder]:
    """The orders that were named, or those in error (or held) of a site and a kind."""
    by_filter = everything or site_name is not None or kind is not None
    if bool(keys) == by_filter:
        raise UsageError(
            "Name either orders, or which of them by --site and --kind (`--help` shows all ways)."
        )
    if keys:
        return orders_named(program.parts, keys)
    if site_name is not None:
        known_site(program.parts, site_name)
    store = program.parts.store
    if held_ones:
        return store.desk_orders(store.held_threads(site=site_name, hold_kind=kind))
    return store.desk_orders(store.open_error_threads(site=site_name, kind=kind))


def _go(
    program: Program,
    orders: Sequence[DeskOrder],
    how: How,
    *,
    dry_run: bool,
    as_json: bool,
    **waiting: Any,
) -> None:
    if dry_run:
        _end(foresee(program.parts, orders, how), as_json=as_json)
    _let_go(program, orders, how, as_json=as_json, **waiting)


def _let_go(
    program: Program, orders: Sequence[DeskOrder], how: How, *, as_json: bool, **waiting: Any
) -> None:
    with workers_of(program, **waiting) as door:
        results = resume(program.parts, orders, how, ring=door.ring)
        reports = door.ends(runs_of(results))
    sys.exit(tell(results, reports, as_json=as_json, unheard=door.unheard))


def _end(results: Sequence[Result], *, as_json: bool) -> None:
    sys.exit(tell(results, [], as_json=as_json, unheard=False))
