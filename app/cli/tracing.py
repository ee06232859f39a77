"""`trace` and `audit`: what has happened to an order, and the proof that nothing of that was changed."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.bootstrap import audit_key_of, new_audit_key_of
from app.cli.progress import counting
from app.cli.root import OUT, json_option, main, opened, say, show, show_or_say
from app.show import json_text
from app.sync.audit import Verification, sentence, verify
from app.sync.pretty import pretty
from app.sync.trace import Life, Moment, duration, plain, trace

NOT_WHOLE = 1


@main.command("trace")
@click.argument("number", metavar="ORDER")
@click.option(
    "--full", is_flag=True, help="With the raw bodies, and every request to the ERP and its answer."
)
@json_option
def show_trace(number: str, full: bool, as_json: bool) -> None:
    """The life of one order from its first reading on. ORDER is our number or the platform's id. Times are UTC.

    --json has everything, whether --full is given or not.
    """
    life = trace(opened().parts, number)
    if as_json:
        click.echo(json_text(plain(life)))
        return
    for part in _page(life, full=full):
        OUT.print(part)


def _page(life: Life, *, full: bool) -> Iterator[RenderableType]:
    history = life.history
    yield Text(f"{life.name}, {history.trail.site}: {history.state} at {history.stage}", style="bold")
    yield from (Text(note, style="yellow") for note in life.notes())
    table = Table("When (UTC)", "After", "What happened")
    for each in life.moments:
        where = ", ".join(part for part in (each.stage, each.by and f"by {each.by}") if part)
        what = Text.assemble(each.what, (f"  [{where}]", "dim"))
        table.add_row(Text(f"{each.at:%Y-%m-%d %H:%M:%S}"), Text(duration(each.after)), what)
    yield table
    versions = Table(
        "Version", "Read (UTC)", "Status", "Changed on the platform", "Size", title="As received"
    )
    for body in history.received:
        size = f"{len(body.body.encode())} bytes" if body.body else "erased"
        texts = (str(body.version), f"{body.read_at:%Y-%m-%d %H:%M:%S}", body.status, body.modified_raw, size)
        versions.add_row(*map(Text, texts))
    yield versions
    if full:
        yield from _in_full(life)


def _in_full(life: Life) -> Iterator[RenderableType]:
    for body in life.history.received:
        yield _titled(f"Version {body.version}, as received", body.body)
        if body.completed is not None:
            yield _titled(f"Version {body.version}, with the parts that were asked for apart", body.completed)
    for moment in life.moments:
        for exchange in moment.sent:
            yield from _exchange(moment, exchange)


def _exchange(moment: Moment, exchange: Mapping[str, str]) -> Iterator[RenderableType]:
    when = f"{moment.at:%Y-%m-%d %H:%M:%S}"
    yield _titled(f"{when}, {exchange.get('what', '')}: sent", exchange.get("request", ""))
    yield _titled(f"{when}, {exchange.get('what', '')}: answered", exchange.get("answer", ""))


def _titled(title: str, text: str) -> RenderableType:
    return Group(Text(title, style="bold"), Text(pretty(text) or "(nothing)"), Text(""))


@main.group()
def audit() -> None:
    """The audit trail: everything that happened to every order, each event sealed together with those before it."""


@audit.command("verify")
@click.argument("number", metavar="[ORDER]", required=False)
@json_option
def audit_verify(number: str | None, as_json: bool) -> None:
    """Prove that nothing of the audit trail was changed, removed, added or cut off at the end.

    Of all orders, or of ORDER: our number or the platform's id. Exit code 1: it is not whole.

    It cannot tell a database that was put back whole to an earlier state, nor an order that was removed with all its rows: that
    one `reconcile` finds missing.
    """
    program = opened()
    seals = audit_key_of(program)
    if number is None:
        total = sum(sum(states.values()) for states in program.parts.store.totals()["sites"].values())
        with counting("Orders looked at", total) as progress:
            found = verify(program.parts, seals, progress=progress)
    else:
        found = verify(program.parts, seals, key=number)
    show(_plain(found), as_json=as_json, table=lambda: _verdict(found))
    if not found.whole:
        sys.exit(NOT_WHOLE)


def _plain(found: Verification) -> dict[str, Any]:
    return {
        "whole": found.whole,
        "orders": found.orders,
        "events": found.events,
        "before_the_key": found.unsealed,
        "erased": found.erased,
        "faults": [
            {"order": each.order, "event": each.number, "reason": each.reason} for each in found.faults
        ],
    }


def _verdict(found: Verification) -> RenderableType:
    said = Text(sentence(found), style="green" if found.whole else "bold red")
    if found.whole:
        return said
    table = Table("Order", "Event", "What is wrong")
    for each in found.faults:
        table.add_row(
            Text(each.order), Text("" if each.number is None else str(each.number)), Text(each.reason)
        )
    return Group(said, table)


@audit.command("rekey")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def audit_rekey(yes: bool, as_json: bool) -> None:
    """Begin the seals anew, for when the secret key is lost for good.

    What was noted so far stays and can no longer be proved. Stop all processes first: those that run seal with the old key.
    """
    program = opened()
    if not yes:
        say("The events so far will stay, but that they are as they were noted can no longer be proved.")
        click.confirm("Begin the seals of the audit trail anew?", abort=True, err=True)
    new_audit_key_of(program)
    done = "The audit trail has a new key. Start every process again: one that still runs seals with the old key."
    show_or_say({"rekeyed": True}, as_json=as_json, sentence=done)
