"""What each bad answer of a BigCommerce store comes to, for reads and for writes, in both of its error shapes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.connectors.bigcommerce.answers import (
    good_list,
    read_failure,
    said,
    says_missing,
    what_came,
    write_failure,
)
from app.connectors.bigcommerce.client import BigCommerce
from app.domain.reading import Position
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.connector import Account
from app.transport import Answer
from tests.connectors.bigcommerce_orders import body
from tests.connectors.bigcommerce_script import MISSING, Script, answered
from tests.connectors.bigcommerce_store import Shop


def answer(status: int, body: object = "", *, kind: str = "application/json", **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=status, headers={"Content-Type": kind, **headers}, body=text.encode())


V2 = [{"status": 404, "message": "No such thing."}]
V3 = {"status": 422, "title": "Not acceptable.", "type": "x", "errors": {"id": "is wrong", "other": 1}}
REFUND = {"data": [{"order_id": 1, "status": 503, "error": "Tax service gone away"}], "meta": {}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (V2, "No such thing"),
        (V3, "Not acceptable; id: is wrong"),
        (REFUND, "Tax service gone away"),
        ([], ""),
        ({}, ""),
        ("null", ""),
        ("[1]", ""),
        ("{", ""),
        ("", ""),
    ],
)
def test_the_stores_own_words_are_read_in_every_shape(body: object, words: str) -> None:
    assert said(answer(400, body)) == words


def test_a_page_is_told_by_its_type_and_never_by_its_content() -> None:
    page = answer(502, "<html>Jane Doe, 1 Main Street</html>", kind="text/html; charset=UTF-8")
    assert what_came(page) == "502 Bad Gateway (text/html)"
    assert what_came(answer(599, kind="")) == "599 (no content type)"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (answer(404, V2), True),
        (answer(404, {"status": 404, "title": "Not found"}), True),
        (answer(404), False),
        (answer(404, "<html>", kind="text/html"), False),
        (answer(410, V2), False),
    ],
)
def test_only_the_stores_own_words_make_something_missing(given: Answer, missing: bool) -> None:
    assert says_missing(given) is missing


READS: list[tuple[Answer, type[OrderSyncError], str]] = [
    (answer(401), Misconfigured, "credential token"),
    (answer(403, {"status": 403, "title": "No permission."}), Misconfigured, "scopes"),
    (answer(413, V2), Misconfigured, "less in one request"),
    (answer(404), Retry, "404 Not Found"),
    (answer(408), Retry, "too long"),
    (answer(409), Retry, "Somebody else"),
    (answer(422, V3), Retry, "Not acceptable"),
    (answer(423), Retry, "locked"),
    (answer(500), Retry, "500"),
    (answer(502, "<html>", kind="text/html"), Retry, "text/html"),
    (answer(503), Retry, "suspended or unpaid"),
    (answer(507), Retry, "507"),
]


@pytest.mark.parametrize(
    ("given", "failure", "words"), READS, ids=lambda each: str(getattr(each, "status", ""))
)
def test_a_read_that_fails_stops_the_site_or_is_made_again(
    given: Answer, failure: type[OrderSyncError], words: str
) -> None:
    error = read_failure(given)
    assert type(error) is failure
    assert words in error.reason
    assert error.reason[-1] == "."


WRITES: list[tuple[Answer, type[OrderSyncError], str]] = [
    (answer(400, V2), Reject, "platform"),
    (answer(401), Misconfigured, ""),
    (answer(403), Misconfigured, ""),
    (answer(404, V2), Reject, "gone"),
    (answer(404), Unknown, ""),
    (answer(400), Unknown, ""),
    (answer(408), Unknown, ""),
    (answer(409), Retry, ""),
    (answer(413), Reject, "platform"),
    (answer(422, V3), Reject, "platform"),
    (answer(423), Retry, ""),
    (answer(429), Retry, ""),
    (answer(500), Unknown, ""),
    (answer(502), Unknown, ""),
    (answer(503), Unknown, ""),
    (answer(504), Unknown, ""),
    (answer(200, "{"), Unknown, ""),
    (answer(299), Unknown, ""),
]


@pytest.mark.parametrize(
    ("given", "failure", "kind"), WRITES, ids=lambda each: str(getattr(each, "status", ""))
)
def test_a_write_that_fails_is_refused_made_again_or_unknown(
    given: Answer, failure: type[OrderSyncError], kind: str
) -> None:
    error = write_failure(given, order_id="118")
    assert type(error) is failure
    assert getattr(error, "kind", "") == kind
    assert "118" in error.reason or isinstance(error, Misconfigured)


def test_a_wait_that_is_asked_for_is_handed_on() -> None:
    error = read_failure(answer(503, **{"Retry-After": "17"}))
    assert isinstance(error, Retry)
    assert error.after == 17


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-Retry-After": "9"}, 9),
        ({"X-Retry-After": "9", "Retry-After": "17"}, 17),
        ({"X-Retry-After": "999999999"}, 3600),
        ({"X-Retry-After": "NaN"}, None),
    ],
)
def test_the_longer_wait_that_is_asked_for_counts_and_never_more_than_an_hour(
    headers: dict[str, str], wait: float | None
) -> None:
    error = read_failure(answer(503, **headers))
    assert isinstance(error, Retry)
    assert error.after == wait


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (answer(404, V2), Misconfigured),
        (answer(404, "<html>", kind="text/html"), Retry),
        (answer(404), Retry),
        (answer(400, V2), Misconfigured),
        (answer(415, V2), Misconfigured),
        (answer(422, V3), Misconfigured),
        (answer(400), Retry),
        (answer(503), Retry),
    ],
    ids=lambda each: str(getattr(each, "status", "")),
)
def test_a_list_of_orders_that_the_store_refuses_in_its_own_words_stops_the_site(
    given: Answer, failure: type[OrderSyncError]
) -> None:
    with pytest.raises(OrderSyncError) as error:
        good_list(given)
    assert type(error.value) is failure


@pytest.mark.parametrize("name", ["transactions", "coupons", "products"])
def test_a_part_of_an_order_that_is_not_found_is_named_and_waited_for(name: str) -> None:
    changes: dict[str, Any] = {
        "transactions": {"payment_method": "Credit Card"},
        "coupons": {"coupon_discount": "1.0000"},
        "products": {"items_total": 9},
    }
    with Script(lambda _method, _path: answered(MISSING, status=404)) as script:
        (failure,) = script.open().complete([body(**changes[name])])
    assert isinstance(failure, Retry)
    assert f"the {name} of order 118" in failure.reason


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def test_a_store_that_is_not_there_is_named_as_a_wrong_address(shop: Shop) -> None:
    account = shop.account()
    wrong = Account(
        name="bgm",
        url=account.url[:-3] + "xyz",
        allow_private=True,
        credentials=account.credentials,
        settings=account.settings,
        http_timeout=5,
    )
    for call in (
        lambda: BigCommerce(wrong).examine(),
        lambda: BigCommerce(wrong).changed(Position(since=None), page_size=1),
    ):
        with pytest.raises(Misconfigured) as error:
            call()
        assert "url" in error.value.mend


def test_a_store_without_a_token_or_with_a_wrong_one_says_which_credential(shop: Shop) -> None:
    with pytest.raises(Misconfigured) as error:
        shop.open(token=" ")
    assert error.value.mend == ("credential token",)
    with pytest.raises(Misconfigured) as error:
        shop.open(token="wrong").probe()
    assert "credential token" in error.value.mend


@pytest.mark.parametrize(
    "fault",
    [
        "reset",
        "reset_after",
        "truncated",
        "404",
        "409",
        "423",
        "500",
        "502",
        "503",
        "504",
        "507",
        "error_without_body",
        "garbage",
        "html",
        "empty",
        "wrong_shape",
    ],
)
def test_no_read_of_a_failing_store_ends_in_anything_but_a_retry(shop: Shop, fault: str) -> None:
    ids = [str(each) for each in shop.store.generate(3)]
    channel = shop.open()
    calls: dict[str, Callable[[], object]] = {
        "probe": channel.probe,
        "read": lambda: channel.read(ids),
        "one": lambda: channel.read(ids[:1]),
        "changed": lambda: channel.changed(Position(since=None), page_size=10),
        "census": lambda: list(channel.census(since=None, until=shop.now)),
    }
    if fault == "404":
        # The store's own 404 means a wrong address, or that an order is gone.
        calls = {"probe": channel.probe}
    for call in calls.values():
        shop.store.faults.clear()
        shop.store.add_fault(fault)
        with pytest.raises(Retry):
            call()


def test_a_failure_says_nothing_of_customers_or_of_the_token(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    (order_id,) = shop.store.generate(1)
    shop.store.add_fault("wrong_shape")
    with pytest.raises(Retry) as error:
        shop.open().read([str(order_id)])
    printed = capsys.readouterr()
    for secret in ("bc_sandbox_token", "example.test"):
        assert secret not in error.value.reason + printed.out + printed.err
