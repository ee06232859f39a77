"""`migrate`, `up`, `web`, `demo` and `sync`: what makes something happen."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from app import demo, up
from app.bootstrap import Program, inline, panel_of, pipeline, prepare_database, web_key_of
from app.celery_door import CONCURRENCY, BrokerDoors, DeliveryBell, answering_workers, wait_for_run
from app.cli.completing import site_names
from app.cli.root import ERR, OUT, exit_code, json_option, main, opened, say
from app.ports.store import Run
from app.settings import load_settings
from app.show import RunProgress, json_text, run_table
from app.sync.overview import run_report
from app.sync.panel.running import start
from app.sync.parts import site_named
from app.web import People, Ringer, answers, create_app, serve

_PORT = click.IntRange(1, 65535)


@main.command()
def migrate() -> None:
    """Bring the database to the schema of this program."""
    prepare_database(load_settings())
    say("The database is up to date.")


@main.command("up")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=CONCURRENCY,
    show_default=True,
    help="Processes that the worker works with.",
)
@click.option(
    "--flower/--no-flower", default=True, show_default=True, help="Tasks and workers in the browser."
)
@click.option("--flower-address", default="127.0.0.1", show_default=True, help="Where Flower listens.")
@click.option("--flower-port", type=_PORT, default=5555, show_default=True, help="Where Flower listens.")
@click.option("--web/--no-web", default=True, show_default=True, help="The control panel, and webhooks.")
@click.option("--web-address", default="127.0.0.1", show_default=True, help="Where panel and webhooks are.")
@click.option("--web-port", type=_PORT, default=8080, show_default=True, help="Where panel and webhooks are.")
def run_up(**wishes: Any) -> None:
    """Run everything on the current settings: broker (where REDIS_URL is unset), worker, beat, Flower and web server.

    What ends is started again; Ctrl-C stops everything in order.
    """
    up.run(up.Wishes(**wishes), load_settings(), console=OUT)


@main.command("web")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=_PORT, default=8080, show_default=True, help="Where to listen.")
@click.option(
    "--threads", type=click.IntRange(1, 64), default=8, show_default=True, help="Requests answered at once."
)
@click.option(
    "--hooks-only", is_flag=True, help="Neither panel nor API: for a server that all the world may reach."
)
@click.option("--check", is_flag=True, help="Only see whether one answers there: exit code 0 or 1.")
def run_web(address: str, port: int, threads: int, hooks_only: bool, check: bool) -> None:
    """The control panel, the API, and the webhooks of all sites (/hooks/SITE/TOPIC), until Ctrl-C.

    It speaks plain HTTP: TLS is the business of the reverse proxy before it.
    """
    if check:
        sys.exit(not answers(address=address, port=port))
    # Whoever started the server has done nothing of what people do through it.
    program = opened(by=f"web@{socket.gethostname()}")
    people = None if hooks_only else _people(program)
    with Ringer(DeliveryBell(program.settings)) as ringer:
        serve(
            create_app(program, ring=ringer.ring, people=people), address=address, port=port, threads=threads
        )


def _people(program: Program) -> People:
    return People(
        panel=panel_of(program),
        doors=BrokerDoors(program.settings),
        key=web_key_of(program),
        settings=program.settings,
    )


@main.command("demo")
@click.option("--once", is_flag=True, help="End when every order has reached an end; the last line is JSON.")
@click.option(
    "--orders", default=0, help="So many generated orders besides the recorded ones.", show_default=True
)
@click.option(
    "--latency-ms", default=0, help="What each call to shop and ERP takes in addition.", show_default=True
)
def run_demo(once: bool, orders: int, latency_ms: int) -> None:
    """A shop, an ERP and everything between them on this machine."""
    sys.exit(demo.run(demo.Wishes(once=once, orders=orders, latency_ms=latency_ms), console=OUT))


@main.command()
@click.argument("name", metavar="SITE", shell_complete=site_names)
@click.option(
    "--inline", "in_process", is_flag=True, help="Run it in this process, without broker and worker."
)
@click.option("--timeout", "patience", default=600.0, show_default=True, help="Seconds to wait for the end.")
@json_option
def sync(name: str, in_process: bool, patience: float, as_json: bool) -> None:
    """Read one site now and take its orders all the way to the ERP.

    Exit code 1: the run failed, or has not come to its end in time. Exit code 3: orders need a person (held or rejected).
    """
    with (
        _inline_run(name, patience) if in_process else _celery_run(name, patience) as (program, run, settled)
    ):
        report = run_report(program.parts, run, site=name, settled=settled)
    if as_json:
        click.echo(json_text(report))
    else:
        OUT.print(run_table(report))
    if not settled:
        say(f"Some orders are still in motion after {patience:g} seconds; they go on by themselves.")
    sys.exit(exit_code(report))


@contextmanager
def _inline_run(name: str, patience: float) -> Iterator[tuple[Program, Run, bool]]:
    program = opened()
    found = site_named(program.parts, name)
    road = inline.InlineRoad(program.parts)
    run_id = program.parts.store.open_run(kind="orders", site_id=found.id)
    pipeline.fetch(program.parts, site_id=found.id, run_id=run_id, ring=road.ring)
    with RunProgress(ERR) as progress:
        settled = road.run_until_settled(run_id, progress=progress, patience=patience)
    yield program, program.parts.store.run(run_id), settled


@contextmanager
def _celery_run(name: str, patience: float) -> Iterator[tuple[Program, Run, bool]]:
    program = opened()
    # Before a broker is started for it: this refuses what is no site.
    site_named(program.parts, name)
    with answering_workers(program.settings) as (workers, own):
        with RunProgress(ERR) as progress:
            run_id = start(program.parts, name, send=workers.send).run_id
            run, settled = wait_for_run(
                program, workers, run_id, patience=patience, progress=progress, own_beat=own
            )
        yield program, run, settled
