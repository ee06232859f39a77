"""`user` and `token`: who may use the panel, and which programs the API."""

import sys

import click

from app.bootstrap import Program, panel_of
from app.cli.changing import asking, yes_option
from app.cli.noting import noted
from app.cli.root import json_option, main, opened, person, rows_table, say, show, show_or_say
from app.errors import UsageError
from app.ports.accounts import Role, Scope
from app.sync.panel import accounts

_role = click.Choice([each.value for each in Role])
_name = click.argument("name", metavar="NAME")


@main.group()
def user() -> None:
    """Who may use the panel: viewers look, operators repair and start work, admins change everything."""


@user.command("add")
@_name
@click.option("--role", type=_role, default=Role.VIEWER.value, show_default=True, help="What they may do.")
@click.option("--password-stdin", is_flag=True, help="The password is the first line of standard input.")
@click.option("--link", is_flag=True, help="No password: print a link that signs them in once.")
@json_option
def user_add(name: str, role: str, password_stdin: bool, link: bool, as_json: bool) -> None:
    """A new account. Asks for the password, unless it comes from elsewhere or a link is wanted."""
    if link and password_stdin:
        raise UsageError("Take --link or --password-stdin, not both.")
    program = opened()
    password = None if link else _password(from_input=password_stdin)
    with noted(program, "user.add", name, {"role": role}) as panel:
        accounts.add_user(panel, name=name, role=Role(role), password=password, by=person())
    path = _link(program, name) if link else ""
    sentence = (
        f"{name} may sign in as {role}."
        if not link
        else f"{name} is {role}; this signs them in once, within a day: {path}"
    )
    show_or_say({"name": name, "role": role, "link": path}, as_json=as_json, sentence=sentence)


@user.command("list")
@json_option
def user_list(as_json: bool) -> None:
    """Every account."""
    rows = [
        {
            "name": each.name,
            "role": each.role.value,
            "active": each.is_active,
            "password": "set" if each.password else "none",
            "last_login": each.last_login_at,
            "locked_until": each.locked_until,
            "created_by": each.created_by,
        }
        for each in panel_of(opened()).store.users()
    ]
    columns = ("name", "role", "active", "password", "last_login", "created_by")
    show(rows, as_json=as_json, table=lambda: rows_table(rows, *columns))


@user.command("set")
@_name
@click.option("--role", type=_role, default=None, help="What they may do from now on.")
@click.option(
    "--active/--inactive", default=None, help="Whether they may sign in; who may not is signed out at once."
)
@json_option
def user_set(name: str, role: str | None, active: bool | None, as_json: bool) -> None:
    """Change what somebody may do."""
    if role is None and active is None:
        raise UsageError("Say what is to change: --role, --active or --inactive.")
    with noted(opened(), "user.set", name, {"role": role, "active": active}) as panel:
        accounts.change_user(panel, name, role=None if role is None else Role(role), is_active=active)
    show_or_say(
        {"name": name, "role": role, "active": active}, as_json=as_json, sentence=f"{name} was changed."
    )


@user.command("password")
@_name
@click.option("--password-stdin", is_flag=True, help="The password is the first line of standard input.")
def user_password(name: str, password_stdin: bool) -> None:
    """Give somebody another password; whoever is signed in as them is signed out."""
    program = opened()
    password = _password(from_input=password_stdin)
    with noted(program, "user.password", name) as panel:
        accounts.set_password(panel, name, password)
    say(f"{name} has another password.")


@user.command("unlock")
@_name
def user_unlock(name: str) -> None:
    """Let somebody try their password again at once, who is locked after too many wrong ones."""
    with noted(opened(), "user.unlock", name) as panel:
        accounts.unlock(panel, name)
    say(f"{name} may try their password again.")


@user.command("link")
@_name
@json_option
def user_link(name: str, as_json: bool) -> None:
    """A link that signs somebody in once, within a day: for a first time, or a forgotten password.

    It takes the place of links made before; once it is used the old password is good for nothing, and they set a new one.
    """
    path = _link(opened(), name)
    show_or_say(
        {"name": name, "link": path},
        as_json=as_json,
        sentence=f"This signs {name} in once, within a day: {path}",
    )


@main.group()
def token() -> None:
    """What programs use the API with."""


@token.command("add")
@_name
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([each.value for each in Scope]),
    multiple=True,
    required=True,
    help="What it may be used for; may be given several times.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=None, help="It ends after so many days.")
@json_option
def token_add(name: str, scopes: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """A new token, which is shown this once and kept nowhere."""
    with noted(opened(), "token.add", name, {"scopes": " ".join(scopes), "days": days}) as panel:
        key = accounts.make_token(panel, name=name, scopes=map(Scope, scopes), days=days, by=person())
    if not as_json:
        click.echo(key)
    show_or_say({"name": name, "token": key}, as_json=as_json, sentence="Keep it now; it is not shown again.")


@token.command("list")
@json_option
def token_list(as_json: bool) -> None:
    """Every token, without what it takes to use it."""
    rows = [
        {
            "name": each.name,
            "begins": each.hint,
            "scopes": " ".join(each.scopes),
            "last_used": each.last_used_at,
            "expires": each.expires_at,
            "revoked": each.revoked_at,
            "created_by": each.created_by,
        }
        for each in panel_of(opened()).store.tokens()
    ]
    show(rows, as_json=as_json, table=lambda: rows_table(rows, *(rows[0] if rows else ("name", "scopes"))))


@token.command("revoke")
@_name
@yes_option
def token_revoke(name: str, yes: bool) -> None:
    """The token is good for nothing any more."""
    program = opened()
    if not asking(yes, "Revoking a token")(
        f"Revoke the token {name}? Programs that use it are refused at once."
    ):
        say(f"The token {name} was not revoked.")
        sys.exit(1)
    with noted(program, "token.revoke", name) as panel:
        accounts.revoke_token(panel, name)
    say(f"The token {name} is revoked.")


def _password(*, from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return found


def _link(program: Program, name: str) -> str:
    """The address as people reach it; without one that is set, that of a panel on this machine."""
    with noted(program, "user.link", name) as panel:
        key = accounts.make_link(panel, name)
    return f"{program.settings.web_url or 'http://127.0.0.1:8080'}/login/{key}"
