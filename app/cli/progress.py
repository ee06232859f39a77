"""A progress bar on standard error for what is counted and takes a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.root import ERR


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how many of `total` are done: call what it gives with their number. Nothing is shown where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def done(number: int) -> None:
            progress.update(task, completed=number)

        yield done
