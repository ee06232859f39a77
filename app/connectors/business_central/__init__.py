"""Business Central through its API v2.0: items and customers are read, orders become sales orders. Quirks: README.md."""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from app.connectors.business_central.client import Authorization, Basic, ClientCredentials, Service
from app.connectors.business_central.documents import Writer
from app.connectors.business_central.erp import BusinessCentral
from app.connectors.business_central.operations import Operations, report
from app.connectors.business_central.settings import read_settings, typed
from app.connectors.business_central.words import WORDS
from app.domain.windows import BUSINESS_CENTRAL
from app.errors import Misconfigured
from app.ports.connector import Account, Connector
from app.ports.limiters import Ceilings, Limiters
from app.transport import HttpClient, LocalLimiters

_CLIENT = ("token_url", "client_id", "client_secret")
_USER = ("username", "password")
_SIGN_IN = Ceilings(at_once=5)
"""Another service than the ERP, with troubles of its own: each process signs in about once an hour."""


def open_erp(account: Account, *, clock: Callable[[], float] = time.monotonic) -> BusinessCentral:
    """The ERP of one account; nothing is sent yet. Raises `Misconfigured` where something needed is missing."""
    if not account.company:
        raise Misconfigured(
            f"{account.name}: --company is missing; it is the company's id, a GUID from GET /companies.",
            mend=("company",),
        )
    settings = typed(account.settings)
    http = HttpClient(
        account=account.name,
        base_url=account.url,
        timeout=account.http_timeout,
        allow_private=account.allow_private,
        limiter=_limiters(account).of(
            name=account.name, counted_by=_counted_by(account, account.url), ceilings=settings.ceilings
        ),
        judge=report,
    )
    service = Service(http=http, authorization=_authorization(account, scope=settings.scope, clock=clock))
    operations = Operations(
        service=service, company=quote(account.company, safe=""), batch=settings.batch == "auto"
    )
    writer = Writer(operations=operations, settings=settings, clock=clock)
    return BusinessCentral(operations=operations, settings=settings, writer=writer)


def _authorization(account: Account, *, scope: str, clock: Callable[[], float]) -> Authorization:
    given = account.credentials
    if all(given.get(name) for name in _CLIENT):
        http = HttpClient(
            account=account.name,
            base_url=given["token_url"],
            timeout=account.http_timeout,
            allow_private=account.allow_private,
            limiter=_limiters(account).of(
                name=f"{account.name} sign-in",
                counted_by=_counted_by(account, given["token_url"]),
                ceilings=_SIGN_IN,
            ),
        )
        return ClientCredentials(
            http=http,
            client_id=given["client_id"],
            client_secret=given["client_secret"],
            scope=scope,
            clock=clock,
        )
    if all(given.get(name) for name in _USER):
        return Basic(username=given["username"], password=given["password"])
    raise Misconfigured(
        f"{account.name}: give the credentials {', '.join(_CLIENT)}, or on premises {' and '.join(_USER)}.",
        mend=tuple(f"credential {name}" for name in _CLIENT),
    )


def _limiters(account: Account) -> Limiters:
    return account.limiters or LocalLimiters()


def _counted_by(account: Account, url: str) -> tuple[str, ...]:
    """The user of one environment, whichever of its companies is worked on (contract section 5)."""
    user = account.credentials.get("client_id") or account.credentials.get("username", "")
    return "business_central", url.rstrip("/").lower(), user


CONNECTOR = Connector(
    platform="business_central",
    title="Business Central",
    port="erp",
    open=open_erp,
    read_settings=read_settings,
    credentials=(*_CLIENT, *_USER),
    windows=(BUSINESS_CENTRAL,),
    late=timedelta(minutes=20),
    words=WORDS,
)
