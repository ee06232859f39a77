"""Who may use the panel and the API, what they did, and a person's own account."""

from http import HTTPStatus

from flask import Blueprint, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.errors import UsageError
from app.ports.accounts import Role, Scope, User
from app.sync.panel import accounts
from app.web.panel.access import Answer, changes, needs, not_done, person, present
from app.web.panel.shared import LARGEST_ID, done, page
from app.web.people import People

_ACTIONS = 50
_HERE = "panel.users"
_UNKNOWN_ROLE = f"Say what they may do: {', '.join(Role)}."


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    panel = people.panel

    def users_page(*, wrong: str = "") -> tuple[str, int]:
        """The accounts; with what was typed for a new one, where it could not be made."""
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        shown = page("users.html", users=panel.store.users(), now=panel.store.now(), wrong=wrong)
        return shown, status

    def user_page(user: User, *, wrong: str = "") -> tuple[str, int]:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        return page("user.html", user=user, now=panel.store.now(), wrong=wrong, here=_HERE), status

    def tokens_page(*, wrong: str = "") -> tuple[str, int]:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        shown = page(
            "tokens.html",
            tokens=panel.store.tokens(),
            now=panel.store.now(),
            scopes=tuple(Scope),
            wrong=wrong,
            here=_HERE,
        )
        return shown, status

    def link_page(name: str) -> str:
        """A link that was made just now. It stands on this page and nowhere else."""
        path = url_for("signing.take_link", key=accounts.make_link(panel, name))
        link = f"{people.settings.web_url or request.host_url}".rstrip("/") + path
        return page("user_link.html", name=name, link=link, here=_HERE)

    def user_or_404(name: str) -> User:
        found = accounts.find_user(panel, name)
        return abort(HTTPStatus.NOT_FOUND) if found is None else found

    def user_done(user: User, sentence: str) -> AnyResponse:
        """Back to the account's page, which somebody who changed their own may not see any more."""
        is_own = user.id == person().id
        return done(sentence, url_for("panel.account") if is_own else url_for("panel.user", name=user.name))

    # Accounts.

    @pages.get("/users")
    def users() -> Answer:
        needs(Role.ADMIN)
        return users_page()

    @pages.post("/users")
    @changes(people, Role.ADMIN, "user.add")
    def add_user() -> Answer:
        form = request.form
        name, role = form.get("name", "").strip().lower(), _role(form.get("role", ""))
        by_link = form.get("way") != "password"
        if role is None:
            return users_page(wrong=_refused(_UNKNOWN_ROLE))
        try:
            password = None if by_link else form.get("password", "")
            accounts.add_user(panel, name=name, role=role, password=password, by=person().name)
        except UsageError as error:
            return users_page(wrong=_refused(error.reason))
        if by_link:
            return link_page(name)
        return done(f"{name} may sign in as {role}.", url_for("panel.users"))

    @pages.get("/users/account/<name>")
    def user(name: str) -> Answer:
        needs(Role.ADMIN)
        return user_page(user_or_404(name))

    @pages.post("/users/account/<name>/role")
    @changes(people, Role.ADMIN, "user.set")
    def change_role(name: str) -> Answer:
        found, role = user_or_404(name), _role(request.form.get("role", ""))
        if role is None:
            return user_page(found, wrong=_refused(_UNKNOWN_ROLE))
        try:
            accounts.change_user(panel, found.name, role=role)
        except UsageError as error:
            return user_page(found, wrong=_refused(error.reason))
        return user_done(found, f"{found.name} is {role} now.")

    @pages.post("/users/account/<name>/active")
    @changes(people, Role.ADMIN, "user.set")
    def change_active(name: str) -> Answer:
        found, wanted = user_or_404(name), request.form.get("active")
        if wanted not in {"yes", "no"}:
            return user_page(found, wrong=_refused("Say whether they may sign in: yes or no."))
        try:
            accounts.change_user(panel, found.name, is_active=wanted == "yes")
        except UsageError as error:
            return user_page(found, wrong=_refused(error.reason))
        if wanted == "yes":
            return user_done(found, f"{found.name} may sign in again.")
        return user_done(found, f"{found.name} is signed out and may not sign in any more.")

    @pages.post("/users/account/<name>/link")
    @changes(people, Role.ADMIN, "user.link")
    def make_link(name: str) -> Answer:
        found = user_or_404(name)
        try:
            return link_page(found.name)
        except UsageError as error:
            return user_page(found, wrong=_refused(error.reason))

    @pages.post("/users/account/<name>/unlock")
    @changes(people, Role.ADMIN, "user.unlock")
    def unlock(name: str) -> Answer:
        found = user_or_404(name)
        accounts.unlock(panel, found.name)
        return user_done(found, f"{found.name} may try their password again.")

    @pages.post("/users/account/<name>/password")
    @changes(people, Role.ADMIN, "user.password")
    def set_password(name: str) -> Answer:
        found = user_or_404(name)
        # An admin who gives themselves another password goes on here.
        keep = present().id if found.id == person().id else None
        try:
            accounts.set_password(panel, found.name, request.form.get("password", ""), keep_session=keep)
        except UsageError as error:
            return user_page(found, wrong=_refused(error.reason))
        return user_done(
            found, f"{found.name} has another password; where they were signed in, they are not any more."
        )

    # Tokens of programs.

    @pages.get("/users/tokens")
    def tokens() -> Answer:
        needs(Role.ADMIN)
        return tokens_page()

    @pages.post("/users/tokens")
    @changes(people, Role.ADMIN, "token.add")
    def add_token() -> Answer:
        form = request.form
        name, days = form.get("name", "").strip(), form.get("days", "").strip()
        if days and not _is_number(days):
            return tokens_page(wrong=_refused(f"{days!r} is no number of days."))
        chosen = form.getlist("scope")
        try:
            key = accounts.make_token(
                panel,
                name=name,
                scopes=[each for each in Scope if each.value in chosen],
                days=int(days) if days else None,
                by=person().name,
            )
        except UsageError as error:
            return tokens_page(wrong=_refused(error.reason))
        return page("tokens_new.html", name=name, key=key, here=_HERE)

    @pages.post("/users/tokens/<name>/revoke")
    @changes(people, Role.ADMIN, "token.revoke")
    def revoke_token(name: str) -> Answer:
        try:
            accounts.revoke_token(panel, name)
        except UsageError as error:
            return tokens_page(wrong=_refused(error.reason))
        return done(
            f"The token {name} is revoked: whoever uses it is refused from now on.", url_for("panel.tokens")
        )

    # What was done.

    @pages.get("/users/actions")
    def actions() -> Answer:
        needs(Role.ADMIN)
        before, by = request.args.get("before", ""), request.args.get("by", "").strip()
        if before and not (_is_number(before) and int(before) <= LARGEST_ID):
            abort(HTTPStatus.NOT_FOUND)
        found = panel.store.actions(
            before=int(before) if before else None, limit=_ACTIONS + 1, by=by[:80] or None
        )
        shown, has_more = found[:_ACTIONS], len(found) > _ACTIONS
        return page(
            "actions.html",
            actions=shown,
            by=by,
            newest=url_for("panel.actions", by=by or None) if before else "",
            older=url_for("panel.actions", by=by or None, before=shown[-1].id) if has_more else "",
            here=_HERE,
        )

    # One's own account.

    def account_page(*, wrong: str = "") -> tuple[str, int]:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        return page("account.html", user=person(), since=present().created_at, wrong=wrong), status

    @pages.get("/account")
    def account() -> Answer:
        return account_page()

    @pages.post("/account/password")
    @changes(people, Role.VIEWER, "account.password")
    def change_own_password() -> Answer:
        form = request.form
        new = form.get("password_new", "")
        if new != form.get("password_again", ""):
            return account_page(
                wrong=_refused("The new password was typed in two ways; nothing was changed.")
            )
        try:
            accounts.change_own_password(panel, present(), old=form.get("password_old", ""), new=new)
        except UsageError as error:
            return account_page(wrong=_refused(error.reason))
        return done(
            "Your password is changed. Wherever else you were signed in, you are not any more.",
            url_for("panel.account"),
        )

    @pages.post("/account/end")
    @changes(people, Role.VIEWER, "account.end")
    def sign_out_everywhere() -> Answer:
        accounts.sign_out_everywhere(panel, present())
        session.clear()
        return redirect(url_for("signing.sign_in"), 303)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID))


def _role(word: str) -> Role | None:
    return Role(word) if word in set(Role) else None


def _refused(sentence: str) -> str:
    """The sentence, which the record of actions has as well."""
    not_done(sentence)
    return sentence
