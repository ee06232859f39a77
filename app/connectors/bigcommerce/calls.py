"""The calls to one store: within its quota and the time of one port call, and each bad answer raised as what it comes to."""

import contextvars
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, TypeVar

import structlog

from app.connectors.bigcommerce.answers import good, good_list, write_failure
from app.connectors.bigcommerce.quota import refusal_wait, report
from app.errors import Held, Misconfigured, OrderSyncError, Retry, Unknown
from app.ports.connector import Account
from app.ports.limiters import Ceilings, Report
from app.transport import Answer, HttpClient, LocalLimiters, NoAnswer

log = structlog.get_logger("ordersync.bigcommerce")

Given = TypeVar("Given")
Made = TypeVar("Made")

ORDERS = "/v2/orders"
_SUFFIX = re.compile(r"/(v[23])?/*\Z")
_STORE = re.compile(r"/stores/[A-Za-z0-9_-]+\Z")
_ATTEMPTS = 4
"""How often a request that was answered with 429 goes out again within one port call."""
_LEAST_TIME = 0.05
_FRESH = 2.0
"""Seconds for which a look at an order counts: it may be cancelled, and its notes edited, while an update waits for the quota."""
_SHARE_LEFT = 0.2


def store_url(url: str) -> str:
    """The store's own address, without a version. Raises `Misconfigured` where it names no store."""
    found = _SUFFIX.sub("", url.strip().rstrip("/"))
    if not _STORE.search(found):
        raise Misconfigured(
            f"The address {url} names no store; it must be like https://api.bigcommerce.com/stores/abc123.",
            mend=("url",),
        )
    return found


class Stale(Retry):
    """Nothing was sent: what the request rests on was looked at too long ago."""


class Calls:
    """Raises `Retry`, `Misconfigured` or `Unknown` (writes only). May be shared between threads, each call has a client of its own.

    A port call begins with `begin`, and all of its requests together take no longer than the account's HTTP timeout.
    """

    def __init__(
        self,
        account: Account,
        *,
        ceilings: Ceilings,
        parallel: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        token = account.credentials.get("token", "").strip()
        if not token:
            raise Misconfigured(
                "The store needs the credential token (Settings > Store-level API accounts).",
                mend=("credential token",),
            )
        self._account = account
        self._base_url = store_url(account.url)
        self._headers = {"X-Auth-Token": token}
        self._parallel = parallel
        self.clock = clock
        self.quota_size: int | None = None
        """Requests that the store takes in one window, None as long as no answer said so."""
        self._sleep = sleep
        # The store counts all of its apps' requests together: no key of it has a quota of its own.
        self._limiter = (account.limiters or LocalLimiters()).of(
            name=account.name, counted_by=("bigcommerce", self._base_url.lower()), ceilings=ceilings
        )
        self._lock = threading.Lock()
        self._idle = [self._client()]
        self._until = clock() + account.http_timeout

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody in between can read along."""
        return self._base_url.lower().startswith("https://")

    def begin(self) -> None:
        """A port call begins: its time runs from now."""
        self._until = self.clock() + self._account.http_timeout

    @property
    def time_is_up(self) -> bool:
        """Whether nothing more may be begun in this port call."""
        return self._until - self.clock() < _LEAST_TIME

    def orders(self, parameters: Mapping[str, str]) -> Answer:
        """A list of orders that was answered with 200 or 204."""
        return good_list(self.order_list(parameters))

    def order_list(self, parameters: Mapping[str, str]) -> Answer:
        """Whatever a list of orders was answered with, but 429."""
        return self.answer(ORDERS, parameters)

    def get(self, path: str, parameters: Mapping[str, str] | None = None, *, about: str = "orders") -> Answer:
        """A read that was answered with 200 or 204. `about` is what is read, for the sentence where it may not be."""
        return good(self.answer(path, parameters), about=about)

    def answer(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Whatever a read was answered with, but 429."""
        try:
            return self.request("GET", path, params=parameters)
        except NoAnswer as error:
            raise Retry(f"The store gave no whole answer ({error}).") from None

    def update(self, order_id: str, changes: Mapping[str, Any], *, looked_at: float) -> Answer:
        """An update of one order that was answered with 200.

        Raises `Stale`, with nothing sent, where the look that it rests on has become too old while it waited for its turn.
        """
        try:
            answer = self.request(
                "PUT",
                f"{ORDERS}/{order_id}",
                json=dict(changes),
                leaving_time=True,
                fresh_until=looked_at + _FRESH,
            )
        except NoAnswer as error:
            raise Unknown(
                f"The store gave no whole answer to the update of order {order_id} ({error})."
            ) from None
        if answer.status != HTTPStatus.OK:
            raise write_failure(answer, order_id=order_id)
        return answer

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        leaving_time: bool = False,
        fresh_until: float | None = None,
    ) -> Answer:
        """Whatever was answered but 429, which is waited for: what was refused so was certainly not done. Raises `NoAnswer`.

        `leaving_time` keeps a part of the port call's time for what comes afterwards. `fresh_until`: a moment of the clock after
        which nothing is sent any more, but `Stale` raised.
        """
        ends = self._ends(leaving_time=leaving_time)

        def check_freshness() -> None:
            if fresh_until is not None and self.clock() > fresh_until:
                raise Stale("The order has to be looked at again: its turn came too late.")

        wait = None
        for _ in range(_ATTEMPTS):
            answer = self._once(
                method, path, params=params, json=json, ends=ends, just_before=check_freshness
            )
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            wait = refusal_wait(answer)
        raise Retry("The store keeps refusing requests, its quota is used up.", after=wait)

    def each(
        self,
        given: Sequence[Given],
        work: Callable[[Given], Made],
        *,
        unforeseen: type[Retry | Unknown] = Retry,
    ) -> list[Made | OrderSyncError]:
        """What `work` makes of each, several at a time; a failure stands in the place of its own result.

        What was not begun while there was time is a `Retry`. A failure of the whole store is not tried again on the others.
        `unforeseen` is what an exception without a name of ours comes to: the others have their results all the same.
        """
        stopped: list[OrderSyncError] = []

        def one(item: Given) -> Made | OrderSyncError:
            if stopped:
                is_for_all = isinstance(stopped[0], (Misconfigured, Held))
                return stopped[0] if is_for_all else Retry(stopped[0].reason)
            if self.time_is_up:
                return Retry("There was no time left for this order in the store's turn.")
            try:
                return work(item)
            except OrderSyncError as error:
                if isinstance(error, Misconfigured) or (isinstance(error, Retry) and error.after is not None):
                    stopped.append(error)
                return error
            except Exception as error:
                log.exception("unforeseen_failure", account=self._account.name)
                return unforeseen(
                    f"Something unforeseen went wrong with this order ({type(error).__name__})."
                )

        if len(given) <= 1 or self._parallel == 1:
            return [one(item) for item in given]
        with ThreadPoolExecutor(max_workers=min(self._parallel, len(given))) as pool:
            # Each thread logs as the task that it works for.
            futures = [pool.submit(contextvars.copy_context().run, one, item) for item in given]
            return [future.result() for future in futures]

    def _ends(self, *, leaving_time: bool) -> float:
        return self._until - (self._account.http_timeout * _SHARE_LEFT if leaving_time else 0)

    def _once(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        json: Any,
        ends: float,
        just_before: Callable[[], None],
    ) -> Answer:
        left = ends - self.clock()
        if left < _LEAST_TIME:
            raise Retry("The store is too slow: the time for this step is over.")
        # Time that is waited away is no time for an answer: a write that is cut off has to be looked up.
        patience = max(0.0, left - self._account.http_timeout * _SHARE_LEFT)
        client = self._borrowed()
        try:
            return client.request(
                method,
                path,
                params=params,
                json=json,
                timeout=left,
                patience=patience,
                just_before=just_before,
            )
        finally:
            with self._lock:
                self._idle.append(client)

    def _judge(self, answer: Answer) -> Report:
        found = report(answer)
        if found.quota is not None:
            self.quota_size = found.quota.size
        return found

    def _borrowed(self) -> HttpClient:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._client()

    def _client(self) -> HttpClient:
        return HttpClient(
            account=self._account.name,
            base_url=self._base_url,
            timeout=self._account.http_timeout,
            allow_private=self._account.allow_private,
            headers=self._headers,
            limiter=self._limiter,
            judge=self._judge,
            sleep=self._sleep,
        )


def raised(results: Iterable[Made | OrderSyncError]) -> list[Made]:
    """The results, if none of them is a failure; else raises the first."""
    found = []
    for each in results:
        if isinstance(each, OrderSyncError):
            raise each
        found.append(each)
    return found
