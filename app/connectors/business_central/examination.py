"""A harmless look at one company: whether it answers, lets us read what we read, and has what the settings name."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.connectors.business_central import mapping, schema
from app.connectors.business_central.client import Answered
from app.connectors.business_central.failures import read_failure
from app.connectors.business_central.operations import Operations
from app.connectors.business_central.reading import Question, Reader
from app.connectors.business_central.settings import Settings
from app.errors import Misconfigured, Retry
from app.ports.erp import ErpCustomer
from app.ports.examination import Examination, Trouble

NOBODY = "ORDERSYNC-DOCTOR"
"""A number that nothing has: asking for it shows that we may ask. Reading an order that is there may rewrite its discounts
(contract section 3, `Data-Access-Intent`)."""

_OK = 200
_SHOWN = 5


def examine(operations: Operations, reader: Reader, *, settings: Settings, customer: str) -> Examination:
    """Two requests: the companies, and one `$batch` of reads. Raises `Retry` or `Misconfigured`."""
    outcome = operations.companies()
    if not isinstance(outcome, Answered) or outcome.status != _OK:
        raise read_failure(outcome, company=operations.company)
    name = _company_name(outcome.body, wanted=operations.company)
    used = _kinds_by_account(settings)
    rows: dict[str, list[Any]] = {"customers": [], "accounts": []}
    for entity, row in reader.rows(_questions(customer, tuple(used))):
        rows.setdefault(entity, []).append(row)
    accounts = {row["number"]: row for row in map(schema.load_account, rows["accounts"])}
    customers = [mapping.customer(row) for row in rows["customers"]]
    troubles = (
        *_customer_troubles(customer, customers),
        *_account_troubles(used, accounts),
        *_unset_accounts(settings),
    )
    return Examination(
        found=f"The company {name} answers; reading works, and writing is proved by the first export.",
        answered_at=outcome.answered_at,
        troubles=troubles,
    )


def _company_name(body: Any, *, wanted: str) -> str:
    rows = body.get("value") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise Retry("Business Central sent a list of companies that cannot be read.")
    names = {
        str(row.get("id", "")).lower(): str(row.get("displayName") or row.get("name") or "without a name")
        for row in rows
        if isinstance(row, dict)
    }
    found = names.get(wanted.lower())
    if found is None:
        there = ", ".join(f"{name} ({key})" for key, name in list(names.items())[:_SHOWN])
        raise Misconfigured(
            f"Business Central has no company {wanted} at this address (there are: {there or 'none'}).",
            mend=("company",),
        )
    return found


def _questions(customer: str, accounts: tuple[str, ...]) -> list[Question]:
    asked = [
        # Numbers are codes, which are stored in upper case.
        Question("customers", "number", (customer.upper() or NOBODY,), schema.CUSTOMER_FIELDS),
        Question("items", "number", (NOBODY,), schema.ITEM_FIELDS),
        Question("salesOrders", "externalDocumentNumber", (NOBODY,), schema.ORDER_FIELDS),
        Question("salesInvoices", "externalDocumentNumber", (NOBODY,), schema.INVOICE_FIELDS),
    ]
    return [*asked, *([Question("accounts", "number", accounts, schema.ACCOUNT_FIELDS)] if accounts else [])]


def _kinds_by_account(settings: Settings) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, number in settings.accounts.items():
        found.setdefault(number, []).append(kind)
    return found


def _customer_troubles(number: str, found: list[ErpCustomer]) -> Iterator[Trouble]:
    if not number:
        return
    mend = ("set default_customer",)
    there = next((each for each in found if each.number.upper() == number.upper()), None)
    if there is None:
        yield Trouble(f"The default customer {number} does not exist in Business Central.", mend)
    elif there.blocked:
        yield Trouble(
            f"The default customer {number} is blocked in Business Central ({there.blocked}); it takes no orders.",
            mend,
        )


def _account_troubles(
    used: Mapping[str, list[str]], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[Trouble]:
    for number, kinds in used.items():
        what, mend = (
            f"The account {number} ({', '.join(kinds)})",
            tuple(f"set account.{kind}" for kind in kinds),
        )
        row = found.get(number)
        if row is None:
            yield Trouble(f"{what} does not exist in Business Central.", mend)
        elif row["blocked"]:
            yield Trouble(f"{what} is blocked in Business Central.", mend)
        elif not row["directPosting"]:
            yield Trouble(
                f"{what} does not allow direct posting in Business Central, so that no order line takes it.",
                mend,
            )


def _unset_accounts(settings: Settings) -> Iterator[Trouble]:
    """Shipping and tax, which nearly every shop has; fees and gift cards may never occur."""
    needed = ("shipping", "tax") if settings.tax_mode == "line" else ("shipping",)
    unset = [kind for kind in needed if kind not in settings.accounts]
    if unset:
        yield Trouble(
            f"No account is set for {' and '.join(unset)}; an order that needs one is rejected.",
            tuple(f"set account.{kind}" for kind in unset),
            stops=False,
        )
