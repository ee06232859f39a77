"""The sandbox Business Central: faults, the request log, and a real socket."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import requests

from app.sandbox.server import serve
from tests.sandbox.test_erp_sign_in import ROOT, SIGN_IN, TOKEN, Api, Reply

CASH = {"customerNumber": "WEB-CASH", "externalDocumentNumber": "F-1"}


@pytest.fixture
def api() -> Api:
    return Api()


def _fault(api: Api, kind: str, *, times: int = 1, operation: str = "", **more: object) -> None:
    match = {"method": "POST", "path": "batch" if operation else "salesOrders$"}
    order = {
        "match": match | ({"operation": operation} if operation else {}),
        "kind": kind,
        "times": times,
    } | more
    assert api.post("/_sandbox/faults", order).status == 201


def _batch(api: Api, **headers: str) -> Reply:
    requests_ = [
        {
            "id": str(n),
            "method": "POST",
            "url": "salesOrders" if n else "salesOrders?$expand=salesOrderLines",
            "headers": {"Content-Type": "application/json"},
            "body": CASH,
        }
        for n in range(3)
    ]
    return api.post("$batch", {"requests": requests_}, Accept="application/json", **headers)


@pytest.mark.parametrize("kind", ["503", "429", "500", "504", "408"])
def test_a_status_fault_does_nothing_as_often_as_ordered_and_only_503_says_when(api: Api, kind: str) -> None:
    _fault(api, kind, times=2)
    replies = [api.order() for _ in range(3)]
    assert [reply.status for reply in replies] == [int(kind), int(kind), 201]
    assert ("Retry-After" in replies[0].headers) is (kind == "503")
    assert len(api.documents()) == 1


@pytest.mark.parametrize(
    ("kind", "made"), [("reset", 0), ("reset_after", 1), ("timeout", 0), ("truncated", 1)]
)
def test_a_cut_connection_leaves_the_work_done_or_not_as_its_name_says(
    api: Api, kind: str, made: int
) -> None:
    _fault(api, kind, seconds=0.01)
    with pytest.raises(ConnectionResetError):
        api.order()
    assert len(api.documents()) == made


def test_a_slow_answer_comes_after_the_work_was_done(api: Api) -> None:
    _fault(api, "timeout_after", seconds=0.01)
    assert api.order().status == 201
    assert len(api.documents()) == 1


def test_late_work_is_committed_after_the_client_was_told_it_took_too_long(api: Api) -> None:
    _fault(api, "late", seconds=0.1)
    assert api.order().status == 408
    assert api.documents() == []
    deadline = time.monotonic() + 3
    while not api.documents() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(api.documents()) == 1


def test_html_instead_of_json_is_answered_with_200_and_nothing_is_done(api: Api) -> None:
    _fault(api, "html")
    reply = api.order()
    assert (reply.status, reply.data.startswith(b"<!DOCTYPE html>")) == (200, True)
    assert api.documents() == []


def test_a_fault_on_an_operation_of_a_batch_leaves_the_earlier_ones_done(api: Api) -> None:
    _fault(api, "503", operation="salesOrders$")
    assert [answer["status"] for answer in _batch(api).body["responses"]] == [201, 503]
    _fault(api, "reset", operation="salesOrders$")
    with pytest.raises(ConnectionResetError):
        _batch(api)
    assert len(api.documents()) == 2
    _fault(api, "reset_after", operation="salesOrders$")
    with pytest.raises(ConnectionResetError):
        _batch(api)
    assert len(api.documents()) == 4


def test_a_snapshot_cut_in_the_middle_leaves_nothing(api: Api) -> None:
    _fault(api, "reset_after", operation="salesOrders$")
    with pytest.raises(ConnectionResetError):
        _batch(api, Isolation="snapshot")
    assert api.documents() == []


def test_a_fault_that_makes_no_sense_is_refused_and_waiting_ones_can_be_taken_back(api: Api) -> None:
    assert api.post("/_sandbox/faults", {"kind": "nothing"}).status == 400
    assert api.post("/_sandbox/faults", {"kind": "503", "match": {"path": "("}}).status == 400
    _fault(api, "503")
    assert api.send("DELETE", "/_sandbox/faults").body == {"value": []}
    assert api.order().status == 201


def test_the_request_log_counts_operations_and_keeps_no_bodies(api: Api) -> None:
    api.send("DELETE", "/_sandbox/requests")
    _batch(api)
    _fault(api, "reset")
    with pytest.raises(ConnectionResetError):
        api.order()
    log = api.get("/_sandbox/requests").body["value"]
    line = {"method": "POST", "query": ""}
    assert log == [
        line | {"path": f"{ROOT}/$batch", "operations": 3, "kinds": {"POST salesOrders": 3}, "status": 200},
        line | {"path": f"{ROOT}/salesOrders", "operations": 0, "kinds": {}, "status": None},
    ]


def test_over_a_socket_a_reset_is_a_reset_and_a_truncated_body_is_short(api: Api) -> None:
    with serve(api.client.application, "127.0.0.1", 0) as server:
        headers = {"Authorization": f"Bearer {api.token}"}
        for kind in ("reset", "truncated"):
            api.post("/_sandbox/faults", {"match": {"path": "accounts"}, "kind": kind})
            with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
                requests.get(f"{server.url}{ROOT}/accounts", headers=headers, timeout=5)
        answer = requests.get(f"{server.url}{ROOT}/accounts?$top=1", headers=headers, timeout=5)
        assert answer.status_code == 200
        api.erp.switches.page_limit = 1
        link = requests.get(f"{server.url}{ROOT}/accounts", headers=headers, timeout=5).json()[
            "@odata.nextLink"
        ]
        assert link.startswith(f"{server.url}{ROOT}/accounts?")
        assert requests.get(link, headers=headers, timeout=5).json()["value"][0]["number"] == "40100"


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "app.sandbox.erp", "--port", "0", "--empty"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        host = line.split(" at ")[1].strip().removesuffix(ROOT)
        token = requests.post(f"{host}{TOKEN}", data=SIGN_IN, timeout=5).json()["access_token"]
        answer = requests.get(f"{host}{ROOT}/items", headers={"Authorization": f"Bearer {token}"}, timeout=5)
        assert json.loads(answer.text)["value"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
