"""Plain sessions of `requests` on the sandboxes, signed in, for what is measured beside Order Sync."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import requests
from requests_oauthlib import OAuth1

from tests.bench.peers import COMPANY, Peer

PAGE = 100
_TIMEOUT = 30.0
_SCOPE = "https://api.businesscentral.dynamics.com/.default"


class Wire:
    """One shop and one ERP, with connections that are kept. `calls` counts what was sent after signing in."""

    def __init__(self, *, shop: Peer, erp: Peer) -> None:
        self.calls = 0
        self.orders = f"{shop.url}/wp-json/wc/v3/orders"
        self.batches = f"{erp.url}/api/v2.0/$batch"
        self.company = f"{erp.url}/api/v2.0/companies({COMPANY})"
        self.shop = requests.Session()
        # Over plain http the shop takes signed requests only, ours as well.
        self.shop.auth = OAuth1("ck_sandbox", client_secret="cs_sandbox", signature_method="HMAC-SHA256")
        self.erp = requests.Session()
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "scope": _SCOPE,
        }
        answer = self.erp.post(f"{erp.url}/sandbox/oauth2/v2.0/token", data=form, timeout=_TIMEOUT)
        answer.raise_for_status()
        self.erp.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        self.shop.close()
        self.erp.close()

    def call(self, session: requests.Session, method: str, url: str, **arguments: Any) -> requests.Response:
        """One request. Raises where the answer is an error."""
        self.calls += 1
        answer = session.request(method, url, timeout=_TIMEOUT, **arguments)
        answer.raise_for_status()
        return answer

    def pages(self, *, decimals: int = 2) -> Iterator[requests.Response]:
        """The shop's open orders, a page in an answer."""
        wanted = {"status": "processing", "orderby": "id", "order": "asc", "per_page": PAGE, "dp": decimals}
        number = 1
        while True:
            answer = self.call(self.shop, "GET", self.orders, params=wanted | {"page": number})
            yield answer
            if 'rel="next"' not in answer.headers.get("Link", ""):
                return
            number += 1

    def batch(self, operations: Sequence[tuple[str, str, Any]]) -> None:
        """Many operations (method, path, body) in one call to the ERP, each of which must succeed."""
        requests_ = [
            {
                "id": str(number),
                "method": method,
                "url": f"companies({COMPANY})/{path}",
                "headers": {"Accept": "application/json", "Content-Type": "application/json"},
                **({} if body is None else {"body": body}),
            }
            for number, (method, path, body) in enumerate(operations)
        ]
        answer = self.call(
            self.erp,
            "POST",
            self.batches,
            json={"requests": requests_},
            headers={"Accept": "application/json", "Prefer": "odata.continue-on-error"},
        )
        failed = [each for each in answer.json()["responses"] if each["status"] >= 300]
        assert not failed, failed[0]


def condition(text: str) -> str:
    """A filter as Business Central takes it: no `+` for a blank, which `params=` would send."""
    return f"$filter={quote(text, safe='')}"
