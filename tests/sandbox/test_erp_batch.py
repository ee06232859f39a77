"""The sandbox Business Central: `$batch` (contract section 4)."""

from typing import Any

import pytest

from app.sandbox.erp import COMPANY_ID
from tests.sandbox.test_erp_sign_in import Api, Reply

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api() -> Api:
    return Api()


def _order(key: str, external: str, *, sku: str = "TS-1", lines: int = 1) -> dict[str, Any]:
    line = {
        "lineType": "Item",
        "lineObjectNumber": sku,
        "quantity": 1,
        "unitPrice": 10,
        "taxCode": "NONTAXABLE",
    }
    body = {
        "customerNumber": "WEB-CASH",
        "externalDocumentNumber": external,
        "salesOrderLines": [line] * lines,
    }
    url = f"companies({COMPANY_ID})/salesOrders"
    return {"id": key, "method": "POST", "url": url, "headers": JSON, "body": body}


def _batch(api: Api, *requests: object, **headers: str) -> Reply:
    return api.post("$batch", {"requests": list(requests)}, **({"Accept": "application/json"} | headers))


def _statuses(reply: Reply) -> list[tuple[str, int]]:
    return [(answer["id"], answer["status"]) for answer in reply.body["responses"]]


def _externals(api: Api) -> list[str]:
    return [document["externalDocumentNumber"] for document in api.documents()]


def test_operations_run_in_order_and_a_later_one_sees_what_an_earlier_one_did(api: Api) -> None:
    look = "salesOrders?$filter=externalDocumentNumber%20eq%20'B-1'"
    reply = _batch(api, _order("1", "B-1"), {"id": "2", "method": "GET", "url": look})
    assert _statuses(reply) == [("1", 201), ("2", 200)]
    assert len(reply.body["responses"][1]["body"]["value"]) == 1


def test_a_batch_stops_at_the_first_failure_and_the_earlier_ones_stay(api: Api) -> None:
    reply = _batch(api, _order("1", "B-1"), _order("2", "B-2", sku="NONE"), _order("3", "B-3"))
    assert reply.status == 200
    assert _statuses(reply) == [("1", 201), ("2", 400)]
    assert _externals(api) == ["B-1"]


def test_a_batch_goes_on_after_a_failure_where_that_is_preferred(api: Api) -> None:
    requests = (_order("1", "B-1", sku="NONE"), _order("2", "B-2"))
    reply = _batch(api, *requests, Prefer="odata.continue-on-error")
    assert _statuses(reply) == [("1", 400), ("2", 201)]
    assert reply.body["responses"][0]["body"]["error"]["code"] == "Internal_InvalidTableRelation"
    assert _externals(api) == ["B-2"]


def test_a_snapshot_is_all_or_nothing(api: Api) -> None:
    failed = _batch(api, _order("1", "B-1"), _order("2", "B-2", sku="NONE"), Isolation="snapshot")
    assert _statuses(failed)[-1] == ("2", 400)
    assert _externals(api) == []
    assert api.rows("salesOrders", "externalDocumentNumber eq 'B-1'") == []
    _batch(api, _order("1", "B-1"), _order("2", "B-2"), Isolation="snapshot")
    assert _externals(api) == ["B-1", "B-2"]


def test_a_snapshot_takes_changes_and_deletions_back_too(api: Api) -> None:
    order = _batch(api, _order("1", "B-1")).body["responses"][0]["body"]
    path = f"salesOrders({order['id']})"
    etag = api.get(path).body["@odata.etag"]
    change = {
        "id": "1",
        "method": "PATCH",
        "url": path,
        "headers": JSON | {"If-Match": "*"},
        "body": {"email": "x"},
    }
    delete = {"id": "2", "method": "DELETE", "url": path, "headers": {"If-Match": "*"}}
    _batch(api, change, delete, _order("3", "B-3", sku="NONE"), Isolation="snapshot")
    body = api.get(f"{path}?$expand=salesOrderLines").body
    assert (body["@odata.etag"], body["email"], len(body["salesOrderLines"])) == (etag, "", 1)


def test_a_batch_of_more_than_a_hundred_is_refused_whole(api: Api) -> None:
    assert _batch(api, *[_order(str(n), "B") for n in range(101)]).status == 400
    assert _externals(api) == []


def test_a_write_without_its_own_content_type_is_refused(api: Api) -> None:
    reply = _batch(api, _order("1", "B-1") | {"headers": {}})
    assert reply.body["responses"][0]["status"] == 415
    assert _externals(api) == []


def test_urls_are_relative_to_the_service_root(api: Api) -> None:
    reply = _batch(
        api,
        {"id": "1", "method": "GET", "url": "accounts"},
        {"id": "2", "method": "GET", "url": "/accounts"},
        Prefer="odata.continue-on-error",
    )
    assert _statuses(reply) == [("1", 200), ("2", 404)]


def test_the_answer_is_multipart_unless_json_is_accepted(api: Api) -> None:
    reply = _batch(api, {"id": "1", "method": "GET", "url": "accounts"}, Accept="*/*")
    assert reply.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    assert b"HTTP/1.1 200 OK" in reply.data


def test_orders_are_found_among_thousands(api: Api) -> None:
    for block in range(20):
        _batch(api, *[_order(str(n), f"B-{block}-{n}", lines=0) for n in range(100)])
    terms = " or ".join(f"externalDocumentNumber eq 'B-7-{n}'" for n in range(15))
    assert len(api.rows("salesOrders", terms)) == 15
