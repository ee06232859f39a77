"""Who may do what: every page asks who is signed in, and every change says which role it takes and is noted."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Response, g, redirect, request, session, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from app.ports.accounts import Role, Session, User
from app.sync.panel import accounts
from app.sync.panel.acting import DONE, REFUSED, acting
from app.web.people import People

P = ParamSpec("P")
Answer = str | AnyResponse | tuple[str, int]

KEY = "key"
"""Under which name the browser's cookie holds the key of the person's session."""

_UNTOLD = (
    *("password", "credential", "secret", "csrf_token", "target_url"),
    # What may say something of a buyer: the order's own trail has it, where it can be erased.
    *("old", "new", "reason", "comment", "text", "back", "what"),
)
"""How the names of fields begin that are not noted."""

_LONGEST_VALUE = 200
_LOGIN = re.compile(r"//[^/@\s]*@")


def guard(pages: Blueprint, people: People) -> None:
    """Let nobody in who is not signed in."""

    @pages.before_request
    def signed_in() -> AnyResponse | None:
        if request.endpoint == "panel.static":
            return None
        found = accounts.session_of(people.panel, session.get(KEY, ""))
        if found is None:
            session.pop(KEY, None)
            return _to_sign_in()
        g.session = found
        # Most pages write nothing: on SQLite they would wait for whoever writes.
        if found.is_new_minute and not _is_refreshing():
            people.panel.store.touch_session(found.id)
        return None


def _to_sign_in() -> AnyResponse:
    here = request.full_path.rstrip("?") if request.method == "GET" else ""
    where = url_for("signing.sign_in") + (f"?{urlencode({'next': here})}" if here not in {"", "/"} else "")
    if "HX-Request" in request.headers:
        # A part of a page that is asked for in the background: the whole page goes to the form.
        return Response("", 200, {"HX-Redirect": url_for("signing.sign_in")})
    return redirect(where, 303)


def _is_refreshing() -> bool:
    """A page that renews itself is no sign of a person."""
    return request.method == "GET" and "HX-Request" in request.headers


def present() -> Session:
    """The session of the person who asks."""
    found: Session = g.session
    return found


def person() -> User:
    """The person who asks."""
    return present().user


def may(role: Role) -> bool:
    """Whether the person who asks may do what takes this role."""
    found = g.get("session")
    return found is not None and found.user.role.includes(role)


def needs(role: Role) -> None:
    """Raises `Forbidden` where the person who asks may not do what takes this role."""
    if not may(role):
        raise Forbidden(
            f"This takes the role {role.value}; {person().name} is {_article(person().role)}. Nothing was changed."
        )


def _article(role: Role) -> str:
    return f"{'an' if role.value[0] in 'aeiou' else 'a'} {role.value}"


def changes(people: People, role: Role, action: str) -> Callable[[Callable[P, Answer]], Callable[P, Answer]]:
    """A page that changes something: for this role, noted as `action` under the person's name with what was asked for.

    Noted are the page's own arguments and the form's fields, but for secrets and what may be about a buyer; and as refused, what
    the view answers with an error (a form that is shown again) or with `shared.refused`.
    """

    def of(view: Callable[P, Answer]) -> Callable[P, Answer]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Answer:
            needs(role)
            target = " ".join(str(each) for each in (request.view_args or {}).values())
            with acting(
                people.panel.store,
                by=person().name,
                via="panel",
                action=action,
                target=target,
                detail=_told(request.form.to_dict(flat=False)),
            ) as acted:
                g.acted = acted
                answer = view(*args, **kwargs)
                if acted.outcome == DONE and _status_of(answer) >= HTTPStatus.BAD_REQUEST:
                    acted.outcome = REFUSED
                return answer

        guarded.needs_role = role  # type: ignore[attr-defined] # read by a test that looks for changes without one
        return guarded

    return of


def _status_of(answer: Answer) -> int:
    if isinstance(answer, AnyResponse):
        return answer.status_code
    return answer[1] if isinstance(answer, tuple) else HTTPStatus.OK


def not_done(sentence: str) -> None:
    """Note of the change that is asked for that it was refused, and why."""
    if "acted" in g:
        g.acted.refuse(sentence)


def _told(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """The fields of a form, as they are noted."""
    found: dict[str, Any] = {}
    for name, values in form.items():
        if name.startswith(_UNTOLD):
            continue
        cut = [
            value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
            # An address may have been typed with a login in it.
            for value in (_LOGIN.sub("//…@", value) for value in values[:100])
        ]
        found[name[:64]] = cut[0] if len(cut) == 1 else cut
    return found
