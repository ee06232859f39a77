"""How many statements a page takes does not depend on how many rows it shows."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from app.ports.accounts import Scope
from tests.pipeline.world import MakeWorld
from tests.web.many_orders import fill
from tests.web.office import Browser, Office

MOST = 40
"""No page takes more, however much it shows."""


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    found: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(" ".join(statement.split())[:120])

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", count)


def pages(office: Office) -> list[str]:
    """Every page of the panel and the API that takes no argument, those of one order, and searches."""
    plain = [
        rule.rule
        for rule in office.app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        and not rule.arguments
        and (rule.endpoint.startswith("panel.") or rule.rule.startswith("/api/v1/"))
    ]
    return sorted(
        {
            *plain,
            "/metrics",
            "/orders?q=example.test",
            "/orders?q=BGM&every=1",
            "/desk?sort=money",
            "/orders/BGM-1",
        }
    )


def statements(office: Office, browser: Browser, path: str, token: str) -> list[str]:
    headers = {"Authorization": f"Bearer {token}"} if path.startswith(("/api", "/metrics")) else {}
    # What is kept between requests is there from now on.
    office.app.test_client().get(path, headers=headers)
    with counted(office.world.engine) as found:
        answer = browser.get(path, headers=headers)
        answer.get_data()
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
    return found


@pytest.mark.parametrize("kind", ["panel", "api"])
def test_a_page_takes_as_many_statements_for_a_thousand_orders_as_for_a_few(
    make_world: MakeWorld, kind: str
) -> None:
    seen: list[dict[str, list[str]]] = []
    for orders, errors in ((10, 2), (1_000, 200)):
        world = make_world()
        fill(
            world.engine,
            site_id=world.site_id,
            erp_id=world.erp_id,
            orders=orders,
            errors=errors,
            now=world.clock.now(),
        )
        office = Office(world)
        browser, token = office.signed_in(), office.token(*Scope)
        chosen = [each for each in pages(office) if each.startswith(("/api", "/metrics")) == (kind == "api")]
        seen.append({path: statements(office, browser, path, token) for path in chosen})
    few, many = seen
    more = {
        path: [each for each in many[path] if many[path].count(each) > few[path].count(each)][:3]
        for path in many
        if len(many[path]) > len(few[path])
    }
    assert more == {}
    assert {path: len(found) for path, found in many.items() if len(found) > MOST} == {}
