"""The sandbox Business Central: sign-in, companies, limits (contract sections 1 and 5)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from app.sandbox.erp import COMPANY_ID, SCOPE, Erp, create_app, demo_fill

ROOT = "/api/v2.0"
TOKEN = "/sandbox/oauth2/v2.0/token"
SIGN_IN = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "scope": SCOPE,
}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Reply:
    """Status, headers and the JSON body of an answer."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.data.decode("utf-8-sig"), parse_float=Decimal)
        return body

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


class Api:
    """A signed-in client of a filled sandbox, without a socket."""

    def __init__(self, *, second_company: bool = False, fill: bool = True) -> None:
        self.clock = Clock()
        self.erp = Erp(clock=self.clock, second_company=second_company)
        if fill:
            demo_fill(self.erp)
        self.client = create_app(self.erp).test_client()
        self.token = self.sign_in()

    def sign_in(self) -> str:
        answer = self.client.post(TOKEN, data=SIGN_IN)
        return str(json.loads(answer.data)["access_token"])

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        sent = {"Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        url = path if path.startswith("/") else f"{ROOT}/{path}"
        answer = self.client.open(url, method=method, data=data, headers=sent)
        return Reply(answer.status_code, dict(answer.headers), answer.data)

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, **headers)

    def find(self, entity: str, condition: str, **headers: str) -> Reply:
        return self.get(f"{entity}?$filter={quote(condition, safe='')}", **headers)

    def rows(self, entity: str, condition: str) -> list[Any]:
        reply = self.find(entity, condition)
        assert reply.status == 200, reply.data
        return list(reply.body["value"])

    def post(self, path: str, body: object, **headers: str) -> Reply:
        return self.send("POST", path, body, **headers)

    def order(self, *lines: object, **header: object) -> Reply:
        return self.post(
            "salesOrders", {"customerNumber": "WEB-CASH", "salesOrderLines": list(lines)} | header
        )

    def documents(self) -> list[Any]:
        return list(self.get("/_sandbox/documents").body["documents"])


def test_a_client_with_the_right_secret_gets_a_bearer_token() -> None:
    answer = Api().client.post(TOKEN, data=SIGN_IN)
    body = json.loads(answer.data)
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 3599)


def test_a_wrong_secret_is_answered_401_invalid_client() -> None:
    answer = Api().client.post(TOKEN, data=SIGN_IN | {"client_secret": "wrong"})
    assert (answer.status_code, json.loads(answer.data)["error"]) == (401, "invalid_client")


def test_a_request_without_a_token_is_refused_with_the_documented_code() -> None:
    reply = Api().get("items", Authorization="")
    assert (reply.status, reply.code) == (401, "Authentication_InvalidCredentials")
    assert "CorrelationId:  " in reply.message


def test_a_token_expires_after_its_life_and_a_new_one_works() -> None:
    api = Api()
    api.clock.now += timedelta(seconds=3598)
    assert api.get("items").status == 200
    api.clock.now += timedelta(seconds=1)
    assert api.get("items").status == 401
    api.token = api.sign_in()
    assert api.get("items").status == 200


def test_the_company_may_be_in_the_path_in_the_query_or_left_out_where_there_is_one() -> None:
    api = Api()
    assert [c["id"] for c in api.get("companies").body["value"]] == [COMPANY_ID]
    for path in (f"companies({COMPANY_ID})/accounts", f"accounts?company={COMPANY_ID}", "accounts"):
        assert len(api.get(path).body["value"]) == 7


def test_without_a_company_the_call_fails_where_there_are_two() -> None:
    api = Api(second_company=True)
    reply = api.get("items")
    assert (reply.status, reply.code) == (404, "Internal_CompanyNotFound")
    assert api.get(f"companies({COMPANY_ID})/items").status == 200


def test_one_request_more_than_the_rate_is_answered_429_without_retry_after() -> None:
    api = Api()
    assert api.send("PUT", "/_sandbox/switches", {"rate_limit": 2}).status == 200
    assert [api.get("items").status for _ in range(3)] == [200, 200, 429]
    assert "Retry-After" not in api.get("items").headers


def test_a_request_that_waits_too_long_for_its_turn_is_answered_503_with_retry_after() -> None:
    api = Api()
    api.erp.switches.update({"running_limit": 1, "waiting_seconds": Decimal("0.01")})
    with api.erp.limits.admitted():
        reply = api.get("items")
        api.erp.switches.waiting_limit = 0
        assert api.get("items").status == 429
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert api.get("items").status == 200


def test_an_unknown_switch_is_refused_and_changes_nothing() -> None:
    api = Api()
    assert api.send("PUT", "/_sandbox/switches", {"stale_totals": False, "nothing": 1}).status == 400
    assert api.get("/_sandbox/switches").body["stale_totals"] is True
