"""The panel on the database of a world, as people use it: signed in by role, by links and forms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.bootstrap import Bell, Program
from app.celery_door import Processes
from app.notifier import AppriseNotifier
from app.ports.accounts import Role, Scope
from app.ports.limiters import Limiters
from app.ports.measures import Counted
from app.sync.panel import Panel, accounts
from app.web import People, create_app
from tests.fakes.limiters import an_hour_between_calls
from tests.pipeline.world import World

PASSWORD = "a password of the tests"


class PlainPasswords:
    """Passwords without the half second that a real hash takes."""

    def hashed(self, password: str) -> str:
        return f"plain:{password}"

    def fits(self, password: str, stored: str | None) -> bool:
        return stored == f"plain:{password}"


@dataclass
class Doors:
    """Keeps what would be sent, instead of sending it."""

    rung: list[Bell] = field(default_factory=list)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    waiting: Mapping[str, Any] = field(
        default_factory=lambda: {"queues": {"orders": 0}, "unacknowledged": 0, "fault": ""}
    )
    alive: Processes = field(default_factory=Processes)
    measured: Counted = field(default_factory=Counted)
    is_there: bool = True

    def ring(self, bell: Bell) -> bool:
        self.rung.append(bell)
        return self.is_there

    def send(self, task: str, **arguments: Any) -> bool:
        self.sent.append((task, arguments))
        return self.is_there

    def queues(self) -> Mapping[str, Any]:
        return self.waiting

    def counted(self) -> Counted:
        return self.measured

    def processes(self) -> Processes:
        return self.alive


class Browser:
    """Somebody at the panel: forms carry the token of the page before."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **more)

    def page(self, path: str) -> str:
        """The page, which must be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.text[:2000])
        return answer.text

    def token(self) -> str:
        """The CSRF token of this person's pages."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get("/account").text)
        assert found
        return unescape(found[1])

    def post(self, path: str, *, follow: bool = True, **fields: Any) -> TestResponse:
        """Send a form."""
        data = {"csrf_token": self.token(), **fields}
        return self.client.post(path, data=data, follow_redirects=follow)


class Office:
    """The web application on a world, and who is there."""

    def __init__(self, world: World, *, limiters: Limiters | None = None) -> None:
        self.world = world
        self.doors = Doors()
        used = limiters or an_hour_between_calls()
        self.program = Program(
            settings=world.settings, engine=world.engine, parts=world.parts, limiters=lambda: used
        )
        self.panel = Panel(
            parts=world.parts,
            store=world.parts.store,  # type: ignore[arg-type] # the SQL store, seen whole
            passwords=PlainPasswords(),
            limiters=lambda: used,
            notifier=AppriseNotifier(),
        )
        self.app: Flask = create_app(
            self.program,
            ring=lambda _site: None,
            people=People(panel=self.panel, doors=self.doors, key=b"k" * 32, settings=world.settings),
        )

    def browser(self) -> Browser:
        """Somebody who is not signed in."""
        return Browser(self.app.test_client())

    def signed_in(self, role: Role = Role.ADMIN, *, name: str = "") -> Browser:
        """Somebody of this role, named after it."""
        name = name or f"{role.value}1"
        if self.panel.store.user_named(name) is None:
            accounts.add_user(self.panel, name=name, role=role, password=PASSWORD, by="tests")
        who = accounts.sign_in(self.panel, name=name, password=PASSWORD)
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["key"] = who.key
        return Browser(client)

    def token(self, *scopes: Scope) -> str:
        """An API token with these scopes, or with all."""
        wanted = scopes or tuple(Scope)
        name = f"t{len(self.panel.store.tokens())}"
        return accounts.make_token(self.panel, name=name, scopes=wanted, days=None, by="tests")
