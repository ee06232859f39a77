"""Signing in and out."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Blueprint, Response, flash, redirect, request, session, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from app.sync.panel import accounts
from app.sync.panel.accounts import NotLetIn, SignedIn
from app.web.panel.access import KEY
from app.web.panel.shared import is_our_own, page
from app.web.people import People

_FIELDS = 1_000
"""The longest name or password that is looked at."""


def pages(people: People) -> Blueprint:
    """The pages that need nobody to be signed in."""
    found = Blueprint("signing", __name__, template_folder="../templates")

    @found.before_request
    def from_here_only() -> None:
        url = people.settings.web_url
        if url is not None and not _is_named_here(_hostname(urlsplit(url).netloc)):
            return
        # An address of this machine stands for no other, whoever hands requests on.
        if _is_handed_on() or not (url or _is_loopback(request.remote_addr or "")):
            raise Forbidden(
                "The panel lets people in from this machine only, until ORDERSYNC_WEB_URL says at which address they reach it."
            )

    @found.get("/login")
    def sign_in() -> str:
        return page("login.html", name="", wrong="", next=_next())

    @found.post("/login")
    def signed_in() -> Response | AnyResponse | tuple[str, int]:
        name = request.form.get("name", "")[:_FIELDS]
        password = request.form.get("password", "")[:_FIELDS]
        try:
            who = accounts.sign_in(people.panel, name=name, password=password)
        except NotLetIn as error:
            return page("login.html", name=name, wrong=error.reason, next=_next()), 401
        return _let_in(people, who, _next() or url_for("panel.overview"))

    @found.get("/login/<key>")
    def offer_link(key: str) -> str | tuple[str, int]:
        # Asked for by whatever looks at links before people do: only the button uses it up.
        owner = accounts.link_owner(people.panel, key)
        if owner is None:
            wrong = "This link was used already, or it has ended; ask for another (ordersync user link NAME)."
            return page("login.html", name="", wrong=wrong, next=""), 404
        return page("login_link.html", name=owner.name, key=key, next=_next())

    @found.post("/login/<key>")
    def take_link(key: str) -> Response | AnyResponse | tuple[str, int]:
        try:
            who = accounts.sign_in_by_link(people.panel, key)
        except NotLetIn as error:
            return page("login.html", name="", wrong=error.reason, next=""), 404
        answer = _let_in(people, who, _next() or url_for("panel.account"))
        flash(
            "You are signed in. The link is used up: set a password under your name, for the next time.",
            "done",
        )
        return answer

    @found.post("/logout")
    def sign_out() -> AnyResponse:
        accounts.sign_out(people.panel, session.get(KEY, ""))
        session.clear()
        return redirect(url_for("signing.sign_in"), 303)

    return found


def _let_in(people: People, who: SignedIn, to: str) -> AnyResponse:
    # Whoever was signed in here before is not any more; and what was in the cookie may be known to somebody else.
    accounts.sign_out(people.panel, session.get(KEY, ""))
    session.clear()
    session.permanent = True
    session[KEY] = who.key
    return redirect(to, 303)


def _next() -> str:
    wanted = request.args.get("next", "") or request.form.get("next", "")
    return wanted if is_our_own(wanted) else ""


def _is_handed_on() -> bool:
    """Whether a proxy speaks for somebody elsewhere, or a page elsewhere has had its name resolve to this machine."""
    forwarded = {"X-Forwarded-For", "Forwarded"} & set(request.headers.keys())
    return bool(forwarded) or not _is_named_here(_hostname(request.host))


def _is_named_here(name: str) -> bool:
    return name == "localhost" or _is_loopback(name)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
