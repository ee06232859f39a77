"""The whole sandbox: sign-in, the road every request takes, and the books behind it."""

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.sandbox.erp.batch import Batch
from app.sandbox.erp.books import Books
from app.sandbox.erp.calls import Answer, Call, refused
from app.sandbox.erp.errors import Refusal
from app.sandbox.erp.faults import Faults
from app.sandbox.erp.ledger import Journal
from app.sandbox.erp.limits import Limits
from app.sandbox.erp.service import Service
from app.sandbox.erp.switches import Switches

TENANT = "sandbox"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 (a made-up secret that the demo prints)
COMPANY_ID = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
COMPANY_NAME = "CRONUS Sandbox"
SECOND_COMPANY_ID = "c2f0d7f4-0b6e-4c53-8b0a-5d1f3e7a9b02"
SCOPE = "https://api.businesscentral.dynamics.com/.default"
ROOT_PATH = "/api/v2.0"

_LOG_LENGTH = 50_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """What the request log keeps: never a body. `status` is None where the connection was cut.

    `kinds` says what the `operations` of a batch were: `{"POST salesOrders": 50, "GET salesOrders": 50}`.
    """

    method: str
    path: str
    query: str
    operations: int
    kinds: dict[str, int]
    status: int | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Erp:
    """A stand-in for one Business Central environment. Safe to use from many threads."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = _utc_now,
        tenant: str = TENANT,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        company_id: str = COMPANY_ID,
        second_company: bool = False,
        latency_ms: float = 0,
    ) -> None:
        self.lock = threading.RLock()
        self.switches = Switches()
        self.latency_ms = latency_ms
        self.faults = Faults(lambda: self.switches.retry_after)
        self.limits = Limits(self.switches)
        self._clock = clock
        self._tenant = tenant
        self._client = (client_id, client_secret)
        self._tokens: dict[str, datetime] = {}
        self._log: deque[LoggedRequest] = deque(maxlen=_LOG_LENGTH)
        journal = Journal()
        names = {company_id.lower(): COMPANY_NAME}
        if second_company:
            names[SECOND_COMPANY_ID] = "CRONUS Second"
        self._companies = {
            key: Books(company_id=key, name=name, journal=journal, switches=self.switches, clock=clock)
            for key, name in names.items()
        }
        self._service = Service(self._companies, self.switches)
        self._batch = Batch(
            handle=self._handle,
            lock=self.lock,
            journal=journal,
            faults=self.faults,
            limit=lambda: self.switches.batch_limit,
        )

    @property
    def books(self) -> Books:
        """The books of the first company; hold `lock` while using them."""
        return next(iter(self._companies.values()))

    def issue_token(self, tenant: str, form: Mapping[str, str]) -> Answer:
        """OAuth2 client credentials (contract section 1): a token, or the error of the identity platform."""
        if tenant != self._tenant:
            return _no_token(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return _no_token(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if not secrets.compare_digest("\n".join(given).encode(), "\n".join(self._client).encode()):
            return _no_token(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        if form.get("scope") != SCOPE:
            return _no_token(
                400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid."
            )
        token, now, life = secrets.token_urlsafe(48), self._clock(), float(self.switches.token_seconds)
        with self.lock:
            self._tokens = {t: expiry for t, expiry in self._tokens.items() if expiry > now}
            self._tokens[token] = now + timedelta(seconds=life)
        return Answer(200, {"token_type": "Bearer", "expires_in": int(life), "access_token": token})

    def revoke_tokens(self) -> None:
        """Make every token given out so far invalid."""
        with self.lock:
            self._tokens.clear()

    def answer(self, call: Call) -> Answer:
        """Answer a request: fault, limits, sign-in, latency, work. Raises `Dropped` for a cut connection."""
        fault = self.faults.take(method=call.method, path=f"{ROOT_PATH}/{call.path}")
        return self.faults.apply(fault, lambda: self._admit(call))

    def record(self, entry: LoggedRequest) -> None:
        """Keep one line of the request log."""
        with self.lock:
            self._log.append(entry)

    def requests(self) -> list[dict[str, Any]]:
        """The request log, oldest first."""
        with self.lock:
            return [asdict(entry) for entry in self._log]

    def forget_requests(self) -> None:
        """Empty the request log."""
        with self.lock:
            self._log.clear()

    def _admit(self, call: Call) -> Answer:
        try:
            with self.limits.admitted():
                self._authenticate(call)
                if self.latency_ms:
                    time.sleep(self.latency_ms / 1000)
                if call.path == "$batch" and call.method == "POST":
                    return self._batch.run(call)
                return self._handle(call)
        except Refusal as refusal:
            return refused(refusal)

    def _handle(self, call: Call) -> Answer:
        with self.lock:
            return self._service.handle(call)

    def _authenticate(self, call: Call) -> None:
        match = re.fullmatch(r"Bearer\s+(\S+)", call.headers.get("authorization", ""), re.IGNORECASE)
        expiry = self._tokens.get(match.group(1)) if match else None
        if expiry is None or expiry <= self._clock():
            raise Refusal(
                401,
                "Authentication_InvalidCredentials",
                "The server has rejected the client credentials.",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _no_token(status: int, error: str, description: str) -> Answer:
    return Answer(status, {"error": error, "error_description": description})
