"""Every task that the workers know, as people see it: read from Celery's own registry, so that a new task shows by itself."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, get_args

from app.settings import Settings
from app.sync.by_hand import Parameter, Task
from workers.application import make_app

_PREFIX = "ordersync."
_YES, _NO = {"1", "true", "yes"}, {"0", "false", "no"}


def known_tasks(settings: Settings) -> Mapping[str, Task]:
    """The tasks by their names without `ordersync.`, in alphabetical order. No broker is asked."""
    app = make_app(settings, url="memory://")
    app.loader.import_default_modules()
    names = sorted(name for name in app.tasks if name.startswith(_PREFIX))
    return {name.removeprefix(_PREFIX): _task(name, app.tasks[name]) for name in names}


def _task(name: str, task: Any) -> Task:  # noqa: ANN401 - Celery has no types
    signature = inspect.signature(task.run)
    return Task(
        name=name.removeprefix(_PREFIX),
        does=(inspect.getdoc(task.run) or "").partition("\n")[0],
        parameters=tuple(
            _parameter(each)
            for each in signature.parameters.values()
            if each.kind is inspect.Parameter.KEYWORD_ONLY
        ),
    )


def _parameter(found: inspect.Parameter) -> Parameter:
    kind, read = _READ[_type(found.annotation)]
    return Parameter(name=found.name, kind=kind, required=found.default is inspect.Parameter.empty, read=read)


def _type(annotation: Any) -> type:  # noqa: ANN401 - an annotation is any object
    """The type of an argument that may be None as well."""
    if isinstance(annotation, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    return annotation if annotation in _READ else str


def _truth(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(text)
    return text.lower() in _YES


_READ: Mapping[type, tuple[str, Callable[[str], Any]]] = {
    str: ("text", str),
    int: ("number", int),
    float: ("number", float),
    bool: ("yes or no", _truth),
}
