"""A world in which something of everything has happened, and a program at its API."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.ports.accounts import Scope
from app.ports.certificates import NewCertificate
from app.sandbox.erp.records import put
from tests.pipeline.world import Json, MakeWorld, World, plain_order
from tests.web.office import Office

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"


def with_sku(order_id: int, sku: str) -> Json:
    body = plain_order(order_id)
    body["line_items"][0]["sku"] = sku
    return body


def busy_world(make_world: MakeWorld) -> World:
    """Orders 1 and 2 exported, 3 to 6 in error (a sum, an address, an unknown SKU, no payment), 7 held for its item."""
    world = make_world(
        orders=[
            plain_order(1),
            plain_order(2, customer_note='<script>alert("x")</script>'),
            plain_order(3, total="29.99"),
            plain_order(4, shipping={**plain_order(4)["billing"], "postcode": "", "country": "US"}),
            with_sku(5, "NEW-1"),
            plain_order(6, payment_method=""),
            with_sku(7, "LATE-1"),
        ]
    )
    # The ERP has this item, and it was not read yet.
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "LATE-1", "displayName": "Late", "type": "Inventory"})
    world.run()
    certificate = NewCertificate(
        site_id=world.site_id,
        from_at=None,
        until_at=world.clock.now(),
        complete=True,
        counts={"platform": 7},
        findings=[{"order": "BGM-1", "what": "nothing"}],
    )
    world.parts.store.add_certificate(certificate)
    return world


class Program:
    """A program with a token."""

    def __init__(self, office: Office, *scopes: Scope) -> None:
        self.office = office
        self.client: FlaskClient = office.app.test_client()
        self.key = office.token(*scopes)
        self.headers = {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(PREFIX + path, headers=self.headers, query_string=query)

    def page(self, path: str, **query: Any) -> Any:
        """What is there, which must be so."""
        return read(self.get(path, **query), 200)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **more: Any) -> TestResponse:
        headers = {**self.headers, **({} if key is None else {"Idempotency-Key": key})}
        if body is not None:
            more["json"] = body
        return self.client.post(PREFIX + path, headers=headers, **more)

    def done(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """What came of it, which must have been done."""
        return read(self.post(path, body, key=key), 200)


def read(answer: TestResponse, status: int) -> Any:
    """What a program reads of an answer of this status."""
    assert answer.status_code == status, (answer.status_code, answer.text[:2000])
    assert answer.content_type == ("application/json" if status < 400 else PROBLEM)
    found = json.loads(answer.text, parse_float=Decimal)
    if status >= 400:
        assert_problem(found, status)
    return found


def assert_problem(found: Mapping[str, Any], status: int) -> None:
    assert (
        {"type", "title", "status", "detail"}
        <= set(found)
        <= {"type", "title", "status", "detail", "errors", "request"}
    )
    assert found["status"] == status
    assert found["detail"].endswith((".", "?")), found
