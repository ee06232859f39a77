"""What all pages of the panel share: how values are written, how cookies are kept, and how refusals look."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFError, CSRFProtect
from markupsafe import Markup, escape
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app import __version__
from app.bootstrap import DATABASE_AWAY
from app.errors import OrderSyncError
from app.ports.accounts import Role
from app.show import visible
from app.web.naming import asked_for
from app.web.panel import access
from app.web.people import People

log = structlog.get_logger("ordersync.web")

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LARGEST_ID = 2**31 - 1
"""No row has a greater id, and PostgreSQL does not take one in a question."""

_OTHERS = ("/hooks/", "/api/", "/metrics", "/healthz", "/readyz")
"""What is not for people answers in its own way."""


_HTTPS_ONLY = "max-age=31536000"
"""A browser that was here once over https asks for nothing by http for a year."""


def set_up(app: Flask, people: People) -> None:
    """Cookies, CSRF, how values are written, and the answers to what went wrong."""
    secure = (people.settings.web_url or "").startswith("https://")
    app.config.update(
        SECRET_KEY=people.key,
        SESSION_COOKIE_NAME="__Host-ordersync" if secure else "ordersync",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,
        # The header that it compares is left out on purpose: see `Referrer-Policy`. The token and the cookie's SameSite decide.
        WTF_CSRF_SSL_STRICT=False,
    )
    csrf = CSRFProtect(app)
    # Platforms sign what they send; the API, which takes no cookies either, is added later and says so itself.
    csrf.exempt(app.blueprints["hooks"])
    app.jinja_env.finalize = _shown
    app.jinja_env.filters.update(
        moment=moment, age=age, amount=amount, number=number, plain=plain, exact=exact, hides=hides
    )
    app.jinja_env.globals.update(may=access.may, Role=Role, version=__version__, static=static, people=people)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http_refusal(app))
    app.register_error_handler(OrderSyncError, _refused(app))
    app.register_error_handler(Exception, _failed)
    for failure in DATABASE_AWAY:
        app.register_error_handler(failure, _database_away)
    app.before_request(_numbered)
    app.after_request(_for_people)


def static(name: str) -> str:
    """Where a static file is; its address changes with the program's version, so that browsers may keep it."""
    return url_for("panel.static", filename=name, v=__version__)


def page(template: str, **values: Any) -> str:
    """A page of the panel."""
    return render_template(template, **values)


def done(sentence: str, to: str) -> AnyResponse:
    """What was done, said on the page that comes next."""
    flash(sentence, "done")
    return redirect(to, 303)


def refused(sentence: str, to: str) -> AnyResponse:
    """Why nothing was done, said on the page that comes next."""
    access.not_done(sentence)
    flash(sentence, "refused")
    return redirect(to, 303)


def back_to(default: str) -> str:
    """The page of ours that a form was on, as it says itself in the field `back`; else `default`."""
    wanted = request.form.get("back", "") or request.args.get("back", "")
    return wanted if is_our_own(wanted) else default


def is_our_own(path: str) -> bool:
    """Whether a path stays on this panel: no other host, however it is written."""
    return (
        path.startswith("/")
        and not path.startswith(("//", "/\\"))
        and path.isprintable()
        and "\\" not in path
    )


# How values are written.


def _shown(value: Any) -> Any:
    """Texts come from shops and from whoever buys there: what would steer the reading is shown as its escape."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) else value


_UNSENDABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What no page can hold."""

_READ_OTHERWISE = re.compile(r"[\x80-\x9f]")
"""What a browser takes for other characters where it is written by its number."""


def exact(value: Any) -> Markup:
    """What stands in a form's control: the browser sends back the very text, so nothing of it is spelled out.

    What would steer the reading of the page's source is written there by its number.
    """
    text = "" if value is None else str(value)
    if visible(text) == text:
        return escape(text)
    safe = str(escape(_UNSENDABLE.sub(lambda found: visible(found[0]), text)))
    return Markup("".join(map(_by_number, safe)))  # noqa: S704 - escaped above


def _by_number(character: str) -> str:
    if visible(character) == character or _READ_OTHERWISE.fullmatch(character):
        return character
    return f"&#x{ord(character):x};"


def hides(value: Any) -> bool:
    """Whether a text has characters that a form's control does not show."""
    return isinstance(value, str) and visible(value) != value


def moment(value: datetime | None, missing: str = "never") -> Markup | str:
    """A time, in UTC to the minute; the whole of it where a pointer rests."""
    if value is None:
        return missing
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S} UTC", f"{at:%Y-%m-%d %H:%M}"
    )


def age(seconds: float | timedelta | None) -> str:
    """A span of time in the two units that tell most."""
    if seconds is None:
        return ""
    total = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    if total < 0:
        return f"-{age(-total)}"
    if total < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min" if minutes > 9 else f"{minutes} min {rest:02d} s"  # noqa: PLR2004 - two digits


def amount(value: Decimal | None, currency: str | None = "") -> str:
    """An amount as it is stored, with two digits at least."""
    if value is None:
        return ""
    exponent = value.as_tuple().exponent
    text = f"{value:,.2f}" if not isinstance(exponent, int) or exponent >= -2 else f"{value:,f}"  # noqa: PLR2004 - cents
    return f"{text} {currency}".strip()


def number(value: int | None) -> str:
    """A count, with its thousands set apart."""
    return "" if value is None else f"{value:,}"


def plain(value: Any) -> str:
    """A word of the program as people read it: `apply_store_credit` is `apply store credit`."""
    return str(value).replace("_", " ")


# What went wrong.


def _is_for_people() -> bool:
    return not request.path.startswith(_OTHERS)


def problem(sentence: str, status: int) -> AnyResponse:
    """A page that says why nothing was done."""
    if "HX-Request" in request.headers:
        # A part that renews itself stays as it is; the page says so.
        return make_response("", status)
    signed_in = "session" in g
    html = render_template(
        "problem.html" if signed_in else "problem_outside.html", sentence=sentence, status=status
    )
    return make_response(html, status)


def _http_refusal(app: Flask) -> Any:
    before = app.error_handler_spec[None][None][HTTPException]

    def answer(error: HTTPException) -> Any:
        if not _is_for_people():
            return before(error)
        code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        if error.response is not None:
            return error.response
        return problem(_SENTENCES.get(code) or error.description or "", code)

    return answer


_SENTENCES: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "There is no such page, or what it was about is not there any more.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes no such request. Nothing was changed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "What was sent is larger than the panel takes (2 MB). Nothing was changed; larger files go in by the command line."
    ),
    HTTPStatus.BAD_REQUEST: "The request could not be understood. Nothing was changed.",
}


def _refused(app: Flask) -> Any:
    before = app.error_handler_spec[None][None][OrderSyncError]

    def answer(error: OrderSyncError) -> Any:
        if not _is_for_people():
            return before(error)
        return problem(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY)

    return answer


def _stale_form(_error: CSRFError) -> Any:
    return problem(
        "The form did not come from a page of yours that is still good; somebody may have signed in or out since. Nothing was "
        "changed: go back, load the page again and send it once more.",
        HTTPStatus.BAD_REQUEST,
    )


def _database_away(error: Exception) -> Any:
    log.warning("request_failed", failure=type(error).__name__, page=asked_for())
    if not _is_for_people():
        return Response("", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"})
    sentence = "The database does not answer right now. Nothing was changed as far as this page knows; try again in a minute."
    if "HX-Request" in request.headers:
        return make_response("", HTTPStatus.SERVICE_UNAVAILABLE)
    html = render_template(
        "problem_outside.html", sentence=sentence, status=HTTPStatus.SERVICE_UNAVAILABLE.value
    )
    return make_response(html, HTTPStatus.SERVICE_UNAVAILABLE)


def _failed(error: Exception) -> Any:
    """A fault of the program: a line in the log with a number, which the page tells too."""
    log.error(
        "request_broke",
        failure=type(error).__name__,
        page=asked_for(),
        request=g.number,
        exc_info=error,
    )
    if not _is_for_people():
        return Response("", HTTPStatus.INTERNAL_SERVER_ERROR)
    sentence = f"This is a fault of the program; the log has it under request={g.number}."
    if "HX-Request" in request.headers:
        return make_response("", HTTPStatus.INTERNAL_SERVER_ERROR)
    html = render_template(
        "problem_outside.html", sentence=sentence, status=HTTPStatus.INTERNAL_SERVER_ERROR.value
    )
    return make_response(html, HTTPStatus.INTERNAL_SERVER_ERROR)


def _numbered() -> None:
    g.number = secrets.token_hex(4)


def _for_people(response: Response) -> Response:
    if _is_for_people():
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY
        if current_app.config["SESSION_COOKIE_SECURE"]:
            response.headers["Strict-Transport-Security"] = _HTTPS_ONLY
        if request.endpoint == "panel.static":
            response.headers["Cache-Control"] = "public, max-age=86400"
    return response


def pick(values: Sequence[str], wanted: str | None) -> str | None:
    """The word that was asked for, where it is one of these; None where nothing was asked for or there is no such word."""
    return wanted if wanted in values else None
