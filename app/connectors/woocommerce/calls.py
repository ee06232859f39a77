"""The calls to one shop: signed, and each answer that is not what was asked for raised as what it comes to."""

import base64
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from requests_oauthlib import OAuth1

from app.connectors.woocommerce.answers import read_failure, write_failure
from app.connectors.woocommerce.bodies import listed
from app.connectors.woocommerce.settings import Settings
from app.errors import Misconfigured, Retry, Unknown
from app.ports.connector import Account
from app.ports.sales_channel import Probe
from app.transport import Answer, HttpClient, LocalLimiters, NoAnswer

Found = TypeVar("Found")

ANY_ORDER = {"per_page": "1", "status": "any", "_fields": "id"}
_API = "/wp-json/wc/v3"


class Calls:
    """Raises `Retry`, `Misconfigured` or `Unknown` (writes only). Amounts are asked for with the settings' `decimals`."""

    def __init__(self, account: Account, *, settings: Settings) -> None:
        self._decimals = settings.decimals
        key, secret = _credentials(account)
        self.encrypted = urlsplit(account.url).scheme.lower() == "https"
        # Over plain http WooCommerce does not look at Basic at all. OAuth1 signs each request when it is sent, with its whole
        # URL and a nonce of its own: a used nonce is refused.
        signature = OAuth1(key, client_secret=secret, signature_method="HMAC-SHA256")
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        base_url = account.url.rstrip("/").removesuffix(_API) + _API
        self._http = HttpClient(
            account=account.name,
            base_url=base_url,
            timeout=account.http_timeout,
            allow_private=account.allow_private,
            auth=None if self.encrypted else signature,
            headers={"Authorization": f"Basic {basic}"} if self.encrypted else None,
            limiter=(account.limiters or LocalLimiters()).of(
                name=account.name,
                counted_by=("woocommerce", base_url.lower(), key),
                ceilings=settings.ceilings,
            ),
        )

    def get(self, path: str, parameters: Mapping[str, str], *, setting: str = "statuses") -> Answer:
        """A read that was answered with 200. `setting` is where the statuses that are asked for come from."""
        return self.good(self.answer(path, parameters), parameters, setting=setting)

    def good(self, answer: Answer, parameters: Mapping[str, str], *, setting: str = "statuses") -> Answer:
        """The answer to a read, if it is 200; else raises what it comes to."""
        if answer.status != HTTPStatus.OK:
            asked = parameters.get("status", "")
            raise read_failure(answer, encrypted=self.encrypted, statuses=asked, setting=setting)
        return answer

    def answer(self, path: str, parameters: Mapping[str, str], *, timeout: float | None = None) -> Answer:
        """Whatever a read was answered with."""
        params = {**parameters, "dp": str(self._decimals)}
        try:
            return self._http.request("GET", path, params=params, timeout=timeout)
        except NoAnswer as error:
            raise Retry(f"The shop gave no whole answer ({error}).") from None

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        """A write that was answered with 200."""
        return self.written("POST", path, body=body, good=(HTTPStatus.OK,))

    def written(
        self,
        method: str,
        path: str,
        *,
        good: Collection[int],
        body: dict[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        """A write that was answered with one of the `good` statuses; else raises what it comes to."""
        try:
            answer = self._http.request(method, path, params=parameters, json=body)
        except NoAnswer as error:
            raise Unknown(f"The shop gave no whole answer to a write ({error}).") from None
        if answer.status not in good:
            raise write_failure(answer, encrypted=self.encrypted)
        return answer

    def check_status(self, statuses: str, *, setting: str) -> None:
        """Raises `Misconfigured` naming a status that the shop does not have: a list refuses what is not registered."""
        self.get("/orders", {"per_page": "1", "status": statuses, "_fields": "id"}, setting=setting)


def counted(answer: Answer) -> Probe:
    """How many orders the shop says it has, from the answer to a list. Raises `Retry`."""
    readable(listed, answer)
    total = answer.headers.get("X-WP-Total", "")
    if not (total.isascii() and total.isdigit()):
        raise Retry("The shop's answer does not tell how many orders there are (no X-WP-Total).")
    return Probe(orders=int(total), answered_at=answer.answered_at)


def readable(read: Callable[[Answer], Found], answer: Answer) -> Found:
    """What `read` makes of the answer. Raises `Retry` where it can make nothing of it."""
    try:
        return read(answer)
    except ValueError as error:
        raise Retry(str(error)) from None


def _credentials(account: Account) -> tuple[str, str]:
    key, secret = (account.credentials.get(name, "").strip() for name in ("key", "secret"))
    if not key or not secret:
        raise Misconfigured(
            "The shop needs the credentials key (ck_...) and secret (cs_...).",
            mend=("credential key", "credential secret"),
        )
    return key, secret
