"""What commands share that let orders go on: telling the workers, waiting for the end, and showing what came of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.bootstrap import Bell, Program, inline
from app.celery_door import Workers, answering_workers, wait_for_run
from app.cli.root import ERR, OUT, say
from app.errors import Misconfigured
from app.ports.store import Run
from app.runtime import broker_url
from app.show import RunProgress, json_text, run_table
from app.sync.overview import run_report
from app.sync.resume import End, Result

NEEDS_A_PERSON = 3

inline_option = click.option(
    "--inline", "in_process", is_flag=True, help="Do it in this process, without broker and worker."
)
wait_option = click.option(
    "--wait", is_flag=True, help="Wait until none of the orders is in motion any more."
)
timeout_option = click.option(
    "--timeout", "patience", default=600.0, show_default=True, help="Seconds to wait with --wait."
)


@dataclass(slots=True)
class Door:
    """The way to the workers: `ring` tells them of a batch, `ends` waits for runs and gives their reports."""

    ring: Callable[[Bell], None]
    ends: Callable[[Sequence[int]], list[dict[str, Any]]]
    unheard: bool = field(default=False)


@contextmanager
def workers_of(program: Program, *, wait: bool, patience: float, in_process: bool = False) -> Iterator[Door]:
    """A door to the workers. With `wait` there is one for the time being where none runs; `in_process` needs none."""
    if in_process:
        yield _door_in_this_process(program, patience=patience)
        return
    if wait:
        with answering_workers(program.settings) as (workers, own):

            def tell_them(bell: Bell) -> None:
                workers.ring(bell)

            def ends(runs: Sequence[int]) -> list[dict[str, Any]]:
                return [_ended(program, workers, run, patience=patience, own=own) for run in runs]

            yield Door(ring=tell_them, ends=ends)
        return
    yield _door_without_waiting(program)


def _door_in_this_process(program: Program, *, patience: float) -> Door:
    road = inline.InlineRoad(program.parts)

    def ended(run_id: int) -> dict[str, Any]:
        with RunProgress(ERR) as progress:
            settled = road.run_until_settled(run_id, progress=progress, patience=patience)
        return _report(program, program.parts.store.run(run_id), settled=settled)

    return Door(ring=road.ring, ends=lambda runs: [ended(run) for run in runs])


def _door_without_waiting(program: Program) -> Door:
    """Where no broker answers, nothing is lost: the orders are due, and whatever worker runs next comes for them."""
    rung: list[bool] = []
    try:
        workers = Workers(program.settings, url=broker_url(program.settings))
    except Misconfigured:
        return Door(ring=lambda _bell: None, ends=lambda _runs: [], unheard=True)
    door = Door(ring=lambda _bell: None, ends=lambda _runs: [])

    def ring(bell: Bell) -> None:
        rung.append(workers.ring(bell))
        door.unheard = not all(rung)

    door.ring = ring
    return door


def _ended(program: Program, workers: Workers, run_id: int, *, patience: float, own: bool) -> dict[str, Any]:
    with RunProgress(ERR) as progress:
        run, settled = wait_for_run(
            program, workers, run_id, patience=patience, progress=progress, own_beat=own
        )
    return _report(program, run, settled=settled)


def _report(program: Program, run: Run, *, settled: bool) -> dict[str, Any]:
    names = {each.id: each.name for each in program.parts.store.sites()}
    return run_report(program.parts, run, site=names.get(run.site_id or 0, ""), settled=settled)


def runs_of(results: Sequence[Result]) -> list[int]:
    """The runs that the orders go on in."""
    return list(dict.fromkeys(each.run_id for each in results if each.run_id is not None))


def tell(
    results: Sequence[Result], reports: Sequence[dict[str, Any]], *, as_json: bool, unheard: bool
) -> int:
    """Show what came of each order and, where it was waited for, of the runs. Returns the exit code."""
    refused = any(each.end is End.REFUSED for each in results)
    stops = any(each.end is End.STOPS for each in results)
    stopped = any(report["held"] or report["rejected"] for report in reports)
    moving = any(report["state"] == "moving" for report in reports)
    if as_json:
        plain = [
            {
                "order": each.order,
                "site": each.site,
                "result": each.end.value,
                "reason": each.sentence,
                "run": each.run_id,
            }
            for each in results
        ]
        click.echo(json_text({"orders": plain, "runs": list(reports)}))
    else:
        OUT.print(_page(results, reports))
        if unheard and runs_of(results):
            say("No worker could be told; the orders are due, and the next one that runs comes for them.")
    if moving or refused:
        return 1
    return NEEDS_A_PERSON if stops or stopped else 0


def _page(results: Sequence[Result], reports: Sequence[dict[str, Any]]) -> RenderableType:
    colours = {End.STOPS: "red", End.REFUSED: "red", End.NOTHING: "yellow"}
    table = Table("Order", "Site", "What", "Why", show_lines=False)
    for each in results:
        what = Text(each.end.value, style=colours.get(each.end, "green"))
        table.add_row(Text(each.order), Text(each.site), what, Text(each.sentence))
    return Group(table, *(run_table(report) for report in reports))
