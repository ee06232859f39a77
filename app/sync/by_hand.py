"""What a person starts by hand: any task by its name, for a site, an ERP, a batch or orders, watched as a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.road import LINKS, Link, State
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.ports.places import OrderPlace
from app.ports.store import Bell, ErpRow, Site
from app.sync.parts import Parts, site_named
from app.sync.telling import tell_summary

SHORT_NAMES = {"verify": "verify_skus", "expand": "expand_kits"}
"""What people say for tasks with longer names."""

_FOR_READERS = {"run_id", "site", "erp", "watched_run"}
"""Arguments that a task's messages carry for whoever reads them; nobody types them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument that a task takes; `read` makes its value of what was typed and raises `ValueError`."""

    name: str
    kind: str
    required: bool
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A task of ours: its name without `ordersync.`, what it does in a line, and what it takes."""

    name: str
    does: str
    parameters: tuple[Parameter, ...]

    @property
    def link(self) -> Link | None:
        """The link of the road that it works on, or None."""
        return next((each for each in LINKS if each == self.name), None)

    @property
    def others(self) -> tuple[Parameter, ...]:
        """What is given by `--arg`: neither what people name otherwise nor what is there for readers."""
        named = {*_FOR_READERS, "site_id", "erp_id", *(("batch_id",) if self.link is not None else ())}
        return tuple(each for each in self.parameters if each.name not in named)

    @property
    def takes(self) -> str:
        """What is typed after its name."""
        words = ["--site SITE | --batch N | ORDER..."] if self.link is not None else []
        words += ["SITE"] if self._has("site_id") else []
        words += ["[--erp ERP]"] if self._has("erp_id") else []
        for each in self.others:
            text = f"--arg {each.name}={each.kind.upper()}"
            words.append(text if each.required else f"[{text}]")
        return " ".join(words)

    def needs(self, name: str) -> bool:
        """Whether it takes the id of a site or an ERP."""
        return self._has(f"{name}_id")

    def _has(self, name: str) -> bool:
        return any(each.name == name for each in self.parameters)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed after a task's name."""

    words: Sequence[str] = ()
    site: str | None = None
    erp: str | None = None
    batch: int | None = None
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An order for which nothing is done, and where it stands."""

    order: str
    where: str


@dataclass(frozen=True, slots=True)
class Message:
    """A task to be sent once, with these arguments."""

    task: Task
    arguments: Mapping[str, Any]
    site: Site | None = None
    erp: ErpRow | None = None


@dataclass(frozen=True, slots=True)
class Ringing:
    """A link to be rung for these orders; for the others it was asked for, nothing is done."""

    link: Link
    orders: tuple[OrderPlace, ...]
    elsewhere: tuple[Elsewhere, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The run that was opened, and what is to be sent for it: bells, or else one message with these arguments."""

    run_id: int
    orders: int = 0
    bells: tuple[Bell, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)


def task_named(tasks: Mapping[str, Task], name: str) -> Task:
    """The task of this name. Raises `UsageError` naming those there are."""
    known = SHORT_NAMES.get(name, name.removeprefix("ordersync."))
    if known not in tasks:
        raise UsageError(f"There is no task {name!r} (there are: {', '.join(sorted(tasks))}).")
    return tasks[known]


def plan(parts: Parts, task: Task, wish: Wish) -> Message | Ringing:
    """What is to be done; nothing is changed yet.

    Raises `UsageError` for arguments that the task does not take, `Misconfigured` where no order stands at its link.
    """
    given = _arguments(task, wish.given)
    if task.link is not None:
        if wish.erp is not None:
            raise UsageError(f"The task {task.name} takes no ERP.")
        return _ringing(parts, task.link, wish)
    if wish.batch is not None:
        raise UsageError(f"The task {task.name} takes no batch.")
    site = _site(parts, task, wish)
    erp = _erp(parts, task, wish.erp)
    ids = {
        name: value
        for name, value in {
            "site_id": None if site is None else site.id,
            "site": None if site is None else site.name,
            "erp_id": None if erp is None else erp.id,
            "erp": None if erp is None else erp.name,
        }.items()
        if value is not None
    }
    return Message(task=task, arguments={**ids, **given}, site=site, erp=erp)


def start(parts: Parts, planned: Message | Ringing) -> Started:
    """Open the run, make what is planned due, and say what is to be sent. Raises `Misconfigured` where somebody was quicker."""
    match planned:
        case Message(task=task, arguments=arguments, site=site, erp=erp):
            # A reading is a run of its own kind: should its message be lost, the sweeper rings for it.
            is_reading = task.name == "fetch"
            run_id = parts.store.open_run(
                kind="orders" if is_reading else "task",
                site_id=None if site is None else site.id,
                erp_id=None if erp is None else erp.id,
            )
            if site is not None and task.name in _MADE_DUE:
                _MADE_DUE[task.name](parts, site.id, parts.store.now())
            watched = {"run_id": run_id} if is_reading else {"watched_run": run_id}
            return Started(run_id=run_id, arguments={**arguments, **watched})
        case Ringing(link=link, orders=orders):
            sites = {each.site_id for each in orders}
            site_id = sites.pop() if len(sites) == 1 else None
            run_id = parts.store.open_run(kind="task", site_id=site_id)
            bells = parts.store.adopt(run_id, thread_ids=[each.thread_id for each in orders], link=link)
            taken = parts.store.run(run_id).counts["fetched"]
            if not bells:
                end_task(parts, run_id, reason="Its orders went on meanwhile.")
                raise Misconfigured("The orders went on meanwhile; nothing was done.")
            return Started(run_id=run_id, orders=taken, bells=bells)


class Finding(str):
    """What a task has found that a person has to look at, having done what it was sent for."""

    __slots__ = ()


def end_task(parts: Parts, run_id: int, *, reason: str) -> None:
    """The task is over for whoever watches its run; a reason says why it did not do what it was sent for.

    A `Finding` is what it has found, and done.
    """
    failed = reason and not isinstance(reason, Finding)
    ended = parts.store.finish_reading(run_id, state="failed" if failed else "finished", reason=str(reason))
    if ended is not None:
        names = {site.id: site.name for site in parts.store.sites()}
        tell_summary(ended, site=names.get(ended.site_id or 0, ""))


def _plan_comparison(parts: Parts, site_id: int, now: datetime) -> None:
    parts.store.plan_reconciliation(site_id, at=now)


def _plan_hook_check(parts: Parts, site_id: int, now: datetime) -> None:
    parts.store.check_hooks_at(site_id, now)


_MADE_DUE: Mapping[str, Callable[[Parts, int, datetime], None]] = {
    "reconcile": _plan_comparison,
    "check_hooks": _plan_hook_check,
}
"""Tasks that do nothing before they are due, and what makes them due."""


def _arguments(task: Task, given: Mapping[str, str]) -> dict[str, Any]:
    known = {each.name: each for each in task.others}
    for name in given:
        if name not in known:
            there_are = ", ".join(known) or "none"
            raise UsageError(
                f"The task {task.name} takes no argument {name!r} (there are: {there_are}); it is called as"
                f" `ordersync task run {f'{task.name} {task.takes}'.strip()}`."
            )
    missing = [each.name for each in known.values() if each.required and each.name not in given]
    if missing:
        raise UsageError(f"The task {task.name} needs --arg {missing[0]}=VALUE.")
    found: dict[str, Any] = {}
    for name, text in given.items():
        try:
            found[name] = known[name].read(text)
        except ValueError:
            raise UsageError(
                f"The argument {name} of {task.name} is to be of the kind {known[name].kind}; {text!r} is not."
            ) from None
    return found


def _site(parts: Parts, task: Task, wish: Wish) -> Site | None:
    names = [*wish.words, *([] if wish.site is None else [wish.site])]
    if not task.needs("site"):
        if names:
            raise UsageError(f"The task {task.name} takes no site and no orders.")
        return None
    if len(names) != 1:
        raise UsageError(f"Say which site: `ordersync task run {task.name} SITE`.")
    site = site_named(parts, names[0])
    if task.name == "check_hooks" and not site.hook_url:
        raise UsageError(f"The site {site.name} has no webhooks (`ordersync site hooks install`).")
    return site


def _erp(parts: Parts, task: Task, name: str | None) -> ErpRow | None:
    if not task.needs("erp"):
        if name is not None:
            raise UsageError(f"The task {task.name} takes no ERP.")
        return None
    rows = {row.name: row for row in parts.store.erps()}
    there_are = ", ".join(rows) or "none yet; add one with `ordersync erp add`"
    if name is None and len(rows) != 1:
        raise UsageError(f"Say which ERP with --erp (there are: {there_are}).")
    if name is not None and name not in rows:
        raise UsageError(f"There is no ERP named {name!r} (there are: {there_are}).")
    return next(iter(rows.values())) if name is None else rows[name]


def _ringing(parts: Parts, link: Link, wish: Wish) -> Ringing:
    if sum((bool(wish.words), wish.site is not None, wish.batch is not None)) != 1:
        raise UsageError("Say which orders: --site SITE, --batch N, or the numbers of orders.")
    if wish.site is not None:
        site = site_named(parts, wish.site)
        found = parts.store.places(site_id=site.id, link=link)
        of = f"of the site {site.name}"
    elif wish.batch is not None:
        found = parts.store.places(batch_id=wish.batch)
        of = f"of the batch {wish.batch}"
    else:
        found = tuple({each.thread_id: each for each in (_order(parts, key) for key in wish.words)}.values())
        of = "of these"
    here = tuple(each for each in found if link in each.links and not each.busy)
    elsewhere = tuple(
        Elsewhere(order=_number(each), where=_where(each, link)) for each in found if each not in here
    )
    if not here:
        if len(elsewhere) == 1:
            raise Misconfigured(f"Nothing was done: {elsewhere[0].order} {elsewhere[0].where}.")
        raise Misconfigured(f"Nothing was done: no order {of} stands at {link}{_summed(found, elsewhere)}.")
    return Ringing(link=link, orders=here, elsewhere=elsewhere)


def _summed(found: Sequence[OrderPlace], elsewhere: Sequence[Elsewhere]) -> str:
    """Where each of a few orders stands, else how many stand how."""
    if not elsewhere:
        return ""
    if len(elsewhere) <= _TOLD:
        return ": " + "; ".join(f"{each.order} {each.where}" for each in elsewhere)
    states = sorted({each.state for each in found})
    counts = ", ".join(f"{sum(each.state is state for each in found)} {state}" for state in states)
    return f" ({counted(len(found), 'order')}: {counts})"


_TOLD = 10


def _order(parts: Parts, key: str) -> OrderPlace:
    match parts.store.places(key=key):
        case ():
            raise Misconfigured(f"There is no order {key!r}; nothing was done.")
        case (only,):
            return only
        case several:
            names = ", ".join(f"{_number(each)} of {each.site}" for each in several)
            raise UsageError(f"Several sites have an order {key!r} ({names}); say its number.")


def _number(place: OrderPlace) -> str:
    return place.order_number or f"(platform id {place.platform_order_id})"


def _where(place: OrderPlace, link: Link) -> str:
    if place.state is State.REJECTED:
        return "is rejected and needs a person (ordersync errors show)"
    if not place.links:
        return f"has come to its end: {place.state}"
    if place.busy:
        return "is being worked on at this moment"
    return f"stands at {' and '.join(place.links)}, not at {link}"
