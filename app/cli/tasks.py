"""`task`: the manual trigger of any task that the workers know."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from kombu.exceptions import OperationalError
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from app.bootstrap import Program
from app.celery_door import Workers, answering_workers, wait_for_run
from app.celery_tasks import known_tasks
from app.cli.completing import erp_names, site_names, task_names, task_words
from app.cli.root import ERR, OUT, exit_code, json_option, main, opened, say, show
from app.cli.typed import settings_from
from app.domain.words import counted
from app.errors import Misconfigured
from app.runtime import broker_url
from app.settings import load_settings
from app.show import RunProgress, json_text, run_table
from app.sync import by_hand
from app.sync.overview import run_page


@main.group()
def task() -> None:
    """Tasks: what workers do, started by hand."""


@task.command("list")
@json_option
def task_list(as_json: bool) -> None:
    """Every task, what it does, and what it takes."""
    tasks = known_tasks(load_settings()).values()
    rows = [{"task": each.name, "does": each.does, "takes": each.takes} for each in tasks]
    show(rows, as_json=as_json, table=lambda: _tasks_table(rows))


def _tasks_table(rows: Sequence[Mapping[str, str]]) -> RenderableType:
    table = Table("Task", "What it does", "What it takes")
    for each in rows:
        table.add_row(*(Text(each[name]) for name in ("task", "does", "takes")))
    return table


@task.command("run")
@click.argument("name", shell_complete=task_names)
@click.argument("words", metavar="[SITE | ORDER...]", nargs=-1, shell_complete=task_words)
@click.option(
    "--site", default=None, shell_complete=site_names, help="For all orders of this site that stand there."
)
@click.option("--batch", type=int, default=None, help="For the orders of this batch that stand there.")
@click.option("--erp", default=None, shell_complete=erp_names, help="Where several ERPs are connected.")
@click.option(
    "--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="A further argument of the task."
)
@click.option("--wait", is_flag=True, help="Wait for the end, and show what came of it.")
@click.option(
    "--timeout",
    "patience",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds to wait.",
)
@json_option
def task_run(
    name: str, wait: bool, patience: float, as_json: bool, arguments: tuple[str, ...], **wishes: Any
) -> None:
    """Start a task now (`ordersync task list` shows them all).

    A link of the road (normalize ... export) is rung for the orders that stand there, and they go on from there to the road's
    end. Orders that stand elsewhere are named, and nothing is done for them. The run that it opens is looked at with
    `ordersync runs show ID`. Exit code 3, with --wait: orders need a person.
    """
    chosen = by_hand.task_named(known_tasks(load_settings()), name)
    wish = by_hand.Wish(**wishes, given=settings_from(arguments, option="--arg"))
    program = opened()
    # Before a broker or a worker is started for it.
    planned = by_hand.plan(program.parts, chosen, wish)
    if wait:
        _wait(program, chosen, planned, patience=patience, as_json=as_json)
    else:
        _send(program, chosen, planned, as_json=as_json)


def _send(
    program: Program, chosen: by_hand.Task, planned: by_hand.Message | by_hand.Ringing, *, as_json: bool
) -> None:
    workers = Workers(program.settings, url=broker_url(program.settings))
    answered = workers.answer()
    started = _sent(program, workers, chosen, planned)
    if as_json:
        told = {"task": chosen.name, "run": started.run_id, "orders": started.orders, "answered": answered}
        click.echo(json_text({**told, "elsewhere": [asdict(each) for each in _elsewhere(planned)]}))
        return
    _say_elsewhere(planned)
    for_orders = f" for {counted(started.orders, 'order')}" if isinstance(planned, by_hand.Ringing) else ""
    say(f"Sent {chosen.name}{for_orders}; see `ordersync runs show {started.run_id}`.")
    if not answered:
        say(
            "No worker answers: the message waits in the broker and is worked on when one runs (`ordersync up`)."
        )


def _wait(
    program: Program,
    chosen: by_hand.Task,
    planned: by_hand.Message | by_hand.Ringing,
    *,
    patience: float,
    as_json: bool,
) -> None:
    if not as_json:
        _say_elsewhere(planned)
    with (
        answering_workers(program.settings) as (workers, own),
        RunProgress(ERR, begins=f"Running {chosen.name}") as progress,
    ):
        started = _sent(program, workers, chosen, planned)
        _, settled = wait_for_run(
            program, workers, started.run_id, patience=patience, progress=progress, own_beat=own
        )
    report = run_page(program.parts, started.run_id)
    if as_json:
        told = {"task": chosen.name, "elsewhere": [asdict(each) for each in _elsewhere(planned)]}
        click.echo(json_text({**told, **report}))
    elif report["kind"] == "task" and isinstance(planned, by_hand.Message):
        # It has no orders of its own to be counted.
        say(
            " ".join(
                [f"{chosen.name}: {report['state']} in {report['seconds']} s.", report["reason"]]
            ).strip()
        )
    else:
        OUT.print(run_table(report))
    if not settled:
        say(
            f"It is not done after {patience:g} seconds; it goes on by itself: `ordersync runs show {started.run_id}`."
        )
    sys.exit(exit_code(report))


def _sent(
    program: Program, workers: Workers, chosen: by_hand.Task, planned: by_hand.Message | by_hand.Ringing
) -> by_hand.Started:
    """Start what is planned and send what is to be sent for it."""
    started = by_hand.start(program.parts, planned)
    if isinstance(planned, by_hand.Ringing):
        # What the broker does not take is due all the same, and the sweeper rings for it.
        for bell in started.bells:
            workers.ring(bell)
        return started
    try:
        workers.send(chosen.name, **started.arguments)
    except OperationalError as error:
        reason = f"The broker does not answer ({type(error).__name__}); the task was not sent."
        by_hand.end_task(program.parts, started.run_id, reason=reason)
        raise Misconfigured(reason) from None
    return started


def _elsewhere(planned: by_hand.Message | by_hand.Ringing) -> tuple[by_hand.Elsewhere, ...]:
    return planned.elsewhere if isinstance(planned, by_hand.Ringing) else ()


def _say_elsewhere(planned: by_hand.Message | by_hand.Ringing) -> None:
    for each in _elsewhere(planned):
        say(f"Nothing is done for {each.order}: it {each.where}.")
