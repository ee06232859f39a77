"""Checks of the processes that talk through the broker."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from kombu.exceptions import OperationalError

from app import __version__
from app.doctor.broker import UP, NoBroker, answering
from app.heartbeats import alive, host
from app.settings import Settings
from app.sync.findings import Finding, Report
from workers.application import QUEUES, make_app

_ASK_SECONDS = 2.0
_LOOK_AT_BROKER = "ordersync doctor broker"


def worker(settings: Settings, *, here: bool) -> Iterator[Finding]:
    """Whether workers answer, take from both queues, and are of this version. `here`: those of this host only."""
    report = Report("worker")
    try:
        answers = _asked(settings, here=here)
    except NoBroker as error:
        yield report.wrong(f"Workers cannot be asked: {error}.", do=_LOOK_AT_BROKER)
        return
    if not answers:
        where = f" on {host()}" if here else ""
        yield report.wrong(f"No worker answers{where}.", do=f"{UP}  # or: celery -A workers.app worker")
        return
    yield from judged_workers(answers, here=here)


def judged_workers(answers: Mapping[str, Mapping[str, Any]], *, here: bool) -> Iterator[Finding]:
    """What it means what workers say of themselves, by name."""
    report = Report("worker")
    # One worker of this host may leave a queue to those of another.
    troubles = [*(() if here else _queues(report, answers)), *_versions(report, answers)]
    names = ", ".join(sorted(answers))
    yield from troubles or [report.ok(f"{_counted(len(answers), 'worker')}: {names}.")]


def _queues(report: Report, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """The queues that nobody takes from; a worker of an older program does not say which are its own."""
    if not all("queues" in said for said in answers.values()):
        return
    for name in QUEUES:
        if not any(name in said["queues"] for said in answers.values()):
            yield report.wrong(
                f"No worker takes messages from the queue {name}.",
                do=f"celery -A workers.app worker -Q {name}",
            )


def _versions(report: Report, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    versions = {name: said.get("version", "an older one") for name, said in sorted(answers.items())}
    others = [f"{name} ({version})" for name, version in versions.items() if version != __version__]
    if others:
        yield report.warning(
            f"Of another version than this one ({__version__}): {', '.join(others)}.",
            do=f"{UP}  # after stopping them",
        )


def _asked(settings: Settings, *, here: bool) -> dict[str, dict[str, Any]]:
    """What each worker says of itself. On this host the first answer will do."""
    only = {"pattern": f"*@{host()}", "matcher": "glob", "limit": 1} if here else {}
    # Celery itself would try to connect again and again.
    with answering(settings) as (url, _), closing(make_app(settings, url=url)) as application:
        try:
            replies = application.control.broadcast(
                "ordersync_about", reply=True, timeout=_ASK_SECONDS, **only
            )
        except OperationalError as error:
            raise NoBroker(f"the broker gives no answer ({type(error).__name__})") from None
    return {name: said for reply in replies or () for name, said in reply.items()}


def beat(settings: Settings, *, here: bool) -> Iterator[Finding]:
    """Whether any beat has left a sign of life lately. `here`: one of this host."""
    report = Report("beat")
    try:
        with answering(settings) as (_, client):
            signs = alive(client, process="beat", on=host() if here else None)
    except NoBroker as error:
        yield report.wrong(f"Beat cannot be looked for: {error}.", do=_LOOK_AT_BROKER)
        return
    if not signs:
        where = f" on {host()}" if here else ""
        yield report.wrong(
            f"No beat has sent anything lately{where}; nothing is read and nothing is swept.",
            do=f"{UP}  # or: celery -A workers.app beat",
        )
        return
    now = datetime.now(UTC)
    each = (
        f"{sign.host} (process {sign.pid}, {max(0, round((now - sign.at).total_seconds()))} s ago)"
        for sign in signs
    )
    note = " More than one does no harm." if len(signs) > 1 else ""
    yield report.ok(f"{_counted(len(signs), 'beat')}: {', '.join(each)}.{note}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
