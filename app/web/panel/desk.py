"""Order health: the error desk. Orders that cannot pass and those that are held, one error, and the form that repairs it."""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.bootstrap import Bell
from app.domain.road import LINKS, State
from app.domain.words import counted
from app.errors import OrderSyncError, Reject, UsageError
from app.ports.accounts import Role
from app.ports.desk import DeskOrder, ErrorFilter, ErrorSort
from app.ports.error_counts import HeldFilter
from app.sync.desk import KINDS, takes
from app.sync.exporting import error_rows
from app.sync.moments import moment_from
from app.sync.panel import desk as the_desk
from app.sync.panel import repairing
from app.sync.panel.desk import NoSuchError, in_panel
from app.sync.repair import Repaired
from app.sync.repaired import shown
from app.sync.resume import End, How, Result, foresee, release, resume
from app.web.panel.access import changes, needs, person
from app.web.panel.shared import back_to, done, page, refused
from app.web.people import People

Form = Mapping[str, str]

_NOBODY = "-"
"""As the filter's person: those of nobody. No user's name begins so."""

_FURTHEST_PAGE = 100_000
_LONGEST = 200
_HERE = "panel.desk"
_UNHEARD = "No worker could be told; the order is due, and the next one that runs comes for it."
_UNHEARD_MANY = "No worker could be told; the orders are due, and the next one that runs comes for them."
_WELL = frozenset({End.RESUMED, End.RELEASED, End.RESTARTED, End.SETTLED, End.FORESEEN})
_SAID = 1_500
"""What is said on the next page travels in a cookie, which holds 4 kB."""

_HOWS: Mapping[str, Mapping[str, bool]] = {
    "resume": {},
    "restart": {"replay": True},
    "read_again": {"replay": True, "read_again": True},
    "send_again": {"send_again": True},
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which errors were asked for and how they are sorted; `query` is how an address says so, `wrong` what was no valid wish."""

    wanted: ErrorFilter
    sort: ErrorSort
    reverse: bool
    query: Mapping[str, str]
    wrong: tuple[str, ...]


@dataclass(slots=True)
class _Ring:
    """Tells the workers, and keeps whether one of the bells was not heard."""

    people: People
    unheard: bool = field(default=False)

    def __call__(self, bell: Bell) -> None:
        self.unheard = not self.people.doors.ring(bell) or self.unheard


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    _add_lists(pages, people)
    _add_actions(pages, people)
    _add_error(pages, people)
    _add_repair(pages, people)


def _add_lists(pages: Blueprint, people: People) -> None:
    panel = people.panel

    @pages.get("/desk")
    def desk() -> str:
        asked = _asked(people, request.args)
        number = _page_number(request.args)
        found = the_desk.health(panel, asked.wanted, sort=asked.sort, reverse=asked.reverse, page=number)
        return page(
            "desk.html",
            title="Order health",
            found=found,
            asked=asked,
            number=number,
            url=_urls("panel.desk", asked.query),
            sites=the_desk.sites_ever(panel),
            users=the_desk.people_to_assign(panel),
            kinds=KINDS,
            stages=[str(each) for each in LINKS],
            sorts=[str(each) for each in ErrorSort],
            at_once=the_desk.AT_ONCE,
        )

    @pages.get("/desk/errors.csv")
    def errors_csv() -> Response:
        asked = _asked(people, request.args)
        _check(asked)
        rows = error_rows(panel.parts, asked.wanted)
        named = {"Content-Disposition": 'attachment; filename="errors.csv"'}
        return Response(_csv(rows), mimetype="text/csv", headers=named)

    @pages.get("/desk/held")
    def held() -> str:
        wanted = _held_filter(request.args)
        number = _page_number(request.args)
        found = the_desk.held_page(panel, wanted, page=number)
        query = {
            name: value
            for name, value in (("site", wanted.site), ("kind", wanted.kind), ("what", wanted.waits_for))
            if value
        }
        return page(
            "desk_held.html",
            title="Order health: held orders",
            here=_HERE,
            found=found,
            wanted=wanted,
            query=query,
            number=number,
            url=_urls("panel.held", query),
            sites=the_desk.sites_ever(panel),
            at_once=the_desk.AT_ONCE,
        )


def _add_actions(pages: Blueprint, people: People) -> None:
    """What is done about many orders at once, or about one."""
    panel = people.panel

    @pages.post("/desk/preview")
    @changes(people, Role.OPERATOR, "errors.preview")
    def preview_errors() -> AnyResponse | str:
        orders = _picked(people)
        able, passed = _still_meant(orders[: the_desk.FORESEEN_AT_ONCE], even_over=True)
        results = [*foresee(panel.parts, able, _how()), *passed]
        note = "Nothing was changed: this is what would happen."
        if len(orders) > the_desk.FORESEEN_AT_ONCE:
            note += f" Looked at were the first {the_desk.FORESEEN_AT_ONCE} of {len(orders)}, as shop and ERP are asked for each."
        return _told(orders, results, title="What would happen", note=note)

    @pages.post("/desk/resume")
    @changes(people, Role.OPERATOR, "errors.resume")
    def resume_errors() -> AnyResponse | str:
        orders = _picked(people)
        ring = _Ring(people)
        able, passed = _still_meant(orders, even_over=True)
        results = [*resume(panel.parts, able, _how(), ring=ring), *passed]
        return _told(orders, results, title="What came of it", ring=ring)

    @pages.post("/desk/skip/ask")
    @changes(people, Role.OPERATOR, "errors.ask_to_skip")
    def ask_to_skip() -> AnyResponse | str:
        orders = _picked(people)
        able, passed = _still_meant(orders)
        if not able:
            return _told(orders, passed, title="Nothing to be settled")
        return _skip_page(able, passed=passed)

    @pages.post("/desk/skip")
    @changes(people, Role.OPERATOR, "errors.skip")
    def skip_errors() -> AnyResponse | str | tuple[str, int]:
        confirmed = the_desk.seen_at(request.form.getlist("order"))
        orders = the_desk.orders_ticked(panel, errors=_ids("error"), orders=confirmed)
        if confirmed.keys() - {each.thread_id for each in orders}:
            raise UsageError("One of the orders is not there; nothing was done. Choose the orders anew.")
        able, passed = _still_meant(orders, but=confirmed)
        # Shown again, the form is still about what was seen when it was opened.
        seen = {each.thread_id: each.revision for each in orders} | confirmed
        reason = request.form.get("reason", "")
        if not able:
            return _told(orders, passed, title="What came of it")
        if not reason.strip():
            refusal = "Say why in the field for it; nothing was settled."
            return _skip_page(able, seen=seen, passed=passed, refusal=refusal), 422
        try:
            results = the_desk.skip_all(panel, able, seen=seen, reason=reason, by=person().name)
        except UsageError as error:
            return _skip_page(able, seen=seen, passed=passed, refusal=error.reason, reason=reason), 422
        return _told(orders, [*results, *passed], title="What came of it")

    @pages.post("/desk/assign")
    @changes(people, Role.OPERATOR, "errors.assign")
    def assign_errors() -> AnyResponse:
        to = request.form.get("to", "")
        name = {"me": person().name, "nobody": None}.get(to, to.removeprefix("user:"))
        able, passed = _still_meant(_picked(people))
        if not able:
            return refused(f"Nothing was assigned. {passed[0].sentence}", _back())
        sentence = the_desk.assign_all(panel, able, to=name, by=person().name)
        if passed:
            sentence += f" Left out: {counted(len(passed), 'order')} whose error is not open any more."
        return done(sentence, _back())

    @pages.post("/desk/comment")
    @changes(people, Role.OPERATOR, "errors.comment")
    def comment_errors() -> AnyResponse:
        text = request.form.get("comment", "")
        return done(the_desk.comment_all(panel, _picked(people), text=text, by=person().name), _back())

    @pages.post("/desk/held/release")
    @changes(people, Role.OPERATOR, "held.release")
    def release_held() -> AnyResponse | str:
        if request.form.get("which") == "all":
            orders = the_desk.held_matching(panel, _held_filter(request.form))
        else:
            orders = the_desk.orders_ticked(panel, orders=_ids("order"))
        ring = _Ring(people)
        results = release(panel.parts, orders, by=person().name, ring=ring)
        return _told(orders, results, title="What came of it", ring=ring)


def _add_error(pages: Blueprint, people: People) -> None:
    panel = people.panel

    @pages.get("/desk/of/<path:key>")
    def error_of(key: str) -> AnyResponse:
        """The error of an order, by the order's number or the platform's id."""
        found = None if "\0" in key else the_desk.error_id_of(panel, key)
        if found is None:
            abort(404)
        return redirect(url_for("panel.error", error_id=found), 303)

    @pages.get("/desk/<int:error_id>")
    def error(error_id: int) -> str:
        try:
            found = the_desk.error_page(panel, error_id)
        except NoSuchError:
            abort(404)
        return page(
            "desk_error.html",
            title=f"Error {error_id}: {found.order.name}",
            here=_HERE,
            found=found,
            key=_key(found.order),
            users=the_desk.people_to_assign(panel),
            shown=shown,
        )


def _add_repair(pages: Blueprint, people: People) -> None:
    panel = people.panel

    @pages.get("/desk/<int:error_id>/repair")
    def repair_error(error_id: int) -> AnyResponse | str:
        needs(Role.OPERATOR)
        try:
            return _form(people, error_id)
        except NoSuchError:
            abort(404)
        except OrderSyncError as error:
            return refused(in_panel(error.reason)[:_SAID], url_for("panel.error", error_id=error_id))

    @pages.post("/desk/<int:error_id>/repair/preview")
    @changes(people, Role.OPERATOR, "errors.preview_repair")
    def preview_repair(error_id: int) -> AnyResponse | str | tuple[str, int]:
        return _tried(
            people, error_id, dry_run=True, then=lambda found: _form(people, error_id, foreseen=found)
        )

    @pages.post("/desk/<int:error_id>/repair")
    @changes(people, Role.OPERATOR, "errors.repair")
    def repaired(error_id: int) -> AnyResponse | str | tuple[str, int]:
        def then(found: Repaired) -> AnyResponse:
            sentence = f"The order {found.order} is repaired ({_fields_of(found)})."
            if "resume" in request.form:
                return _went_on(people, error_id, sentence)
            return done(
                f"{sentence} {found.foreseen.sentence}"[:_SAID], url_for("panel.error", error_id=error_id)
            )

        return _tried(people, error_id, dry_run=False, then=then)

    @pages.post("/desk/<int:error_id>/withdraw")
    @changes(people, Role.OPERATOR, "errors.withdraw")
    def withdraw_repair(error_id: int) -> AnyResponse:
        pointer = request.form.get("pointer", "")
        back = back_to(url_for("panel.error", error_id=error_id))
        try:
            repairing.withdraw(panel, error_id, pointer, revision=_revision(), by=person().name)
        except NoSuchError:
            abort(404)
        except (Reject, UsageError) as error:
            return refused(f"The repair stays as it is. {in_panel(error.reason)}"[:_SAID], back)
        return done(
            f"The repair of {pointer[:_LONGEST]} is withdrawn; the field is as it was received.", back
        )


# What was asked for.


def _asked(people: People, given: Form) -> _Asked:
    """The filter as an address or a form says it. What is no valid wish is left out, and said."""
    wrong: list[str] = []
    query = {
        name: text
        for name in ("site", "kind", "stage", "assignee", "text", "since", "sort")
        if (text := given.get(name, "").replace("\0", "").strip()[:_LONGEST])
    }
    known: Mapping[str, Iterable[str]] = {
        "site": the_desk.sites_ever(people.panel) if "site" in query else (),
        "kind": KINDS,
        "stage": [str(each) for each in LINKS],
        "sort": [str(each) for each in ErrorSort],
    }
    for name, words in known.items():
        if name in query and query[name] not in set(words):
            wrong.append(f"There is no {name} {query.pop(name)!r}.")
    try:
        since = moment_from(query.get("since", ""), "Since")
    except UsageError as error:
        wrong.append(error.reason)
        since = None
        query.pop("since")
    query |= {name: "1" for name in ("resolved", "reverse") if given.get(name)}
    assignee = query.get("assignee")
    wanted = ErrorFilter(
        site=query.get("site"),
        kind=query.get("kind"),
        stage=query.get("stage"),
        assignee=None if assignee == _NOBODY else assignee,
        unassigned=assignee == _NOBODY,
        text=query.get("text", ""),
        since=since,
        resolved="resolved" in query,
    )
    sort = ErrorSort(query.get("sort", ErrorSort.AGE))
    return _Asked(wanted, sort, "reverse" in query, query, tuple(wrong))


def _check(asked: _Asked) -> None:
    """Raises `UsageError` where a part of the filter was no valid wish: what is done for all is not done for more than was meant."""
    if asked.wrong:
        raise UsageError(f"{' '.join(asked.wrong)} Nothing was done.")


def _held_filter(given: Form) -> HeldFilter:
    site, kind, what = (
        given.get(name, "").replace("\0", "").strip() or None for name in ("site", "kind", "what")
    )
    return HeldFilter(site=site, kind=kind, waits_for=what if kind else None)


def _page_number(given: Form) -> int:
    text = given.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 - digits
    if not 1 <= number <= _FURTHEST_PAGE:
        abort(404)
    return number


def _ids(name: str) -> list[int]:
    texts = request.form.getlist(name)
    return [int(each) for each in texts if each.isascii() and each.isdecimal() and len(each) < 11]  # noqa: PLR2004 - digits


def _revision() -> int:
    return next(iter(_ids("revision")), -1)


def _picked(people: People) -> Sequence[DeskOrder]:
    """The orders that a form means: those ticked, or all open errors that its filter matches."""
    if request.form.get("which") != "all":
        return the_desk.orders_ticked(people.panel, errors=_ids("error"), orders=_ids("order"))
    asked = _asked(people, request.form)
    _check(asked)
    wanted = replace(asked.wanted, resolved=False)
    return the_desk.orders_matching(people.panel, wanted, sort=asked.sort, reverse=asked.reverse)


def _still_meant(
    orders: Sequence[DeskOrder], *, but: Collection[int] = (), even_over: bool = False
) -> tuple[list[DeskOrder], list[Result]]:
    """The orders one of whose ticked errors is open, and a refusal for each other; those of `but` were not ticked by an error.

    `even_over`: also those with nothing open, where going on says itself what has become of them. One that is settled or
    closed runs from the start only for whom the page has shown it so: another may have settled it since the page was made.
    """
    if request.form.get("which") == "all":
        return list(orders), []
    errors, others = set(_ids("error")), {*but, *_ids("order")}
    unmeant = {State.HELD}
    if even_over and _how().replay and "over" not in request.form:
        unmeant |= {State.CLOSED, State.SKIPPED}
    able: list[DeskOrder] = []
    passed: list[Result] = []
    for each in orders:
        is_over = even_over and not each.errors and each.state not in unmeant
        if is_over or each.thread_id in others or any(error.id in errors for error in each.errors):
            able.append(each)
        else:
            passed.append(the_desk.passed_over(each))
    return able, passed


def _how() -> How:
    words = _HOWS.get(request.form.get("how", "resume"))
    if words is None:
        raise UsageError("There is no such way to go on; nothing was done.")
    return How(by=person().name, **words)


def _urls(endpoint: str, query: Mapping[str, str]) -> Callable[..., str]:
    """Addresses of the list with another filter; an empty value leaves that part out."""

    def url(*, to: str = endpoint, **other: Any) -> str:
        return url_for(to, **{name: value for name, value in {**query, **other}.items() if value})

    return url


# What is answered.


def _told(
    orders: Sequence[DeskOrder],
    results: Sequence[Result],
    *,
    title: str,
    note: str = "",
    ring: _Ring | None = None,
) -> AnyResponse | str:
    """What came of each order: on a page of its own, or for one order on the page that was left."""
    unheard = ring is not None and ring.unheard
    back = _back()
    if len(results) == 1 and "single" in request.form:
        (only,) = results
        said = f"{note} {only.end.value.capitalize()}: {in_panel(only.sentence)} {_UNHEARD if unheard else ''}".strip()
        return (done if only.end in _WELL else refused)(said[:_SAID], back)
    keys = {each.thread_id: _key(each) for each in orders}
    counts: dict[End, int] = {}
    for each in results:
        counts[each.end] = counts.get(each.end, 0) + 1
    return page(
        "desk_results.html",
        title=title,
        here=_HERE,
        note=f"{note} {_UNHEARD_MANY if unheard else ''}".strip(),
        counts=counts,
        rows=[(each, keys.get(each.thread_id, each.order), in_panel(each.sentence)) for each in results],
        well=_WELL,
        back=back,
        full=len(orders) == the_desk.AT_ONCE,
        at_once=the_desk.AT_ONCE,
    )


def _skip_page(
    orders: Sequence[DeskOrder],
    *,
    seen: Mapping[int, int] | None = None,
    passed: Sequence[Result] = (),
    refusal: str = "",
    reason: str = "",
) -> str:
    return page(
        "desk_skip.html",
        title="Settle as they are",
        here=_HERE,
        orders=[(each, _key(each)) for each in orders],
        seen=seen or {each.thread_id: each.revision for each in orders},
        passed=passed,
        refusal=refusal,
        reason=reason,
        back=_back(),
        single="single" in request.form,
    )


def _back() -> str:
    return back_to(url_for("panel.desk"))


def _key(order: DeskOrder) -> str:
    """What names the order in an address."""
    return order.order_number or order.platform_order_id


class _Line:
    """Takes what the CSV writer writes, a line at a time."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    for row in rows:
        yield str(writer.writerow(row))


# The repair.


def _typed() -> dict[str, str]:
    """The fields that were changed; what they held when they were shown is sent along."""
    new = {name.removeprefix("new:"): text for name, text in request.form.items() if name.startswith("new:/")}
    old = {name.removeprefix("old:"): text for name, text in request.form.items() if name.startswith("old:/")}
    return repairing.changed(new, old)


def _form(
    people: People,
    error_id: int,
    *,
    foreseen: Repaired | None = None,
    refusal: OrderSyncError | None = None,
) -> str:
    """The form, with what was typed if anything was."""
    form = repairing.repair_form(people.panel, error_id)
    typed = _typed() if request.method == "POST" else {}
    about = getattr(refusal, "field", None) if refusal is not None else None
    return page(
        "desk_repair.html",
        title=f"Repair {form.order.name}",
        here=_HERE,
        form=form,
        key=_key(form.order),
        typed=typed,
        reason=request.form.get("reason", ""),
        foreseen=foreseen,
        changes=()
        if foreseen is None
        else [(each.pointer, shown(each.before), shown(each.after)) for each in foreseen.changes],
        refusal="" if refusal is None else in_panel(refusal.reason),
        about=about if about in form.pointers else "",
        lost={pointer: text for pointer, text in typed.items() if pointer not in form.pointers},
        conflict=isinstance(refusal, repairing.ChangedMeanwhile),
        said=in_panel(form.error.reason),
        takes=in_panel(takes(form.error.kind)),
    )


def _tried(
    people: People, error_id: int, *, dry_run: bool, then: Callable[[Repaired], AnyResponse | str]
) -> AnyResponse | str | tuple[str, int]:
    """A repair; what is refused is shown on the form, with all that was typed."""
    wishes = repairing.Wishes(
        values=_typed(), reason=request.form.get("reason", ""), revision=_revision(), by=person().name
    )
    try:
        found = repairing.mend(people.panel, error_id, wishes, dry_run=dry_run)
    except NoSuchError:
        abort(404)
    except OrderSyncError as error:
        return _form(people, error_id, refusal=error), 422
    return then(found)


def _fields_of(found: Repaired) -> str:
    return "; ".join(
        f"{each.pointer}: {shown(each.before)} is now {shown(each.after)}" for each in found.changes
    )


def _went_on(people: People, error_id: int, sentence: str) -> AnyResponse:
    """Let the repaired order go on. The repair is kept whatever comes of that."""
    to = url_for("panel.error", error_id=error_id)
    ring = _Ring(people)
    orders = the_desk.orders_ticked(people.panel, errors=[error_id])
    try:
        (result,) = resume(people.panel.parts, orders, How(by=person().name), ring=ring)
    except OrderSyncError as error:
        return refused(f"{sentence} It does not go on yet: {in_panel(error.reason)}"[:_SAID], to)
    said = f"{sentence} {result.end.value.capitalize()}: {in_panel(result.sentence)} {_UNHEARD if ring.unheard else ''}"
    return (done if result.end in _WELL else refused)(said.strip()[:_SAID], to)
