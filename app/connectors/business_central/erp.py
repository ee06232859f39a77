"""Business Central as the port `Erp` wants it: one question or one change per method."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from app.connectors.business_central import fitting, mapping, schema
from app.connectors.business_central.client import Answered
from app.connectors.business_central.documents import Writer
from app.connectors.business_central.examination import examine
from app.connectors.business_central.exchanges import exchange, unanswered
from app.connectors.business_central.failures import write_failure
from app.connectors.business_central.operations import Operation, Operations
from app.connectors.business_central.reading import Question, Reader, encoded
from app.connectors.business_central.sent import sent_lines
from app.connectors.business_central.settings import Settings
from app.domain.order import Order, sku_key
from app.errors import OrderSyncError, Retry, Unknown
from app.ports.erp import Draft, ErpCustomer, ErpDocument, ErpItem, Plan, PlannedLine, Told
from app.ports.examination import Examination

PAGE_SIZE = 500
_CREATED = 201


class BusinessCentral:
    """One company of one Business Central service."""

    def __init__(self, *, operations: Operations, settings: Settings, writer: Writer) -> None:
        self._operations = operations
        self._settings = settings
        self._writer = writer
        self._reader = Reader(operations=operations)

    @property
    def slice_size(self) -> int:
        """How many orders go into one `$batch` now."""
        return self._writer.size

    def find_items(self, numbers: Sequence[str]) -> Mapping[str, ErpItem]:
        """The items with these numbers. One that no item could have (empty, too long) is not asked for."""
        asked = _distinct(sku_key(number) for number in numbers)
        possible = tuple(number for number in asked if fitting.is_writable(number, fitting.NUMBER))
        question = Question("items", "number", possible, schema.ITEM_FIELDS, replica=True)
        found = (mapping.item(row) for _, row in self._reader.rows([question]))
        wanted = frozenset(asked)
        return {item.number: item for item in found if item.number in wanted}

    def changed_items(self, since: datetime | None) -> Iterator[tuple[ErpItem, ...]]:
        """Items by modified time, a page of up to 500 at once. Deleted ones do not show (contract section 3)."""
        path = f"items?$orderby=lastModifiedDateTime&$select={','.join(schema.ITEM_FIELDS)}"
        if since is not None:
            moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            path += f"&$filter={encoded(f'lastModifiedDateTime gt {moment}')}"
        prefer = {"Prefer": f"odata.maxpagesize={PAGE_SIZE}"}
        first = self._operations.send(Operation("GET", path, replica=True), headers=prefer)
        for page in self._reader.pages(first, replica=True, headers=prefer):
            if page:
                yield tuple(mapping.item(row) for row in page)

    def find_customers(self, emails: Sequence[str]) -> Mapping[str, tuple[ErpCustomer, ...]]:
        """All customers by e-mail; every address asked for is a key of the answer."""
        asked = _distinct(email.strip().lower() for email in emails)
        possible = tuple(email for email in asked if fitting.is_writable(email, fitting.EMAIL))
        # `eq` minds the case of a text, `tolower` does not (contract section 2).
        question = Question("customers", "tolower(email)", possible, schema.CUSTOMER_FIELDS)
        found: dict[str, tuple[ErpCustomer, ...]] = dict.fromkeys(asked, ())
        for _, row in self._reader.rows([question]):
            customer = mapping.customer(row)
            email = customer.email.strip().lower()
            if email in found:
                found[email] += (customer,)
        return found

    def create_customer(self, order: Order, *, in_time: Callable[[], bool], told: Told) -> ErpCustomer:
        """A new customer; its number comes from the ERP's number series."""
        body = mapping.customer_body(order, settings=self._settings)
        number = order.number.upper()
        try:
            outcome = self._operations.send(Operation("POST", "customers", body), in_time=in_time)
        except BaseException:
            told(number, unanswered("customer", body))
            raise
        found = exchange("customer", body, posted=outcome)
        if found is not None:
            told(number, found)
        if not isinstance(outcome, Answered) or outcome.status != _CREATED:
            raise write_failure(outcome, subject="the customer", company=self._operations.company)
        try:
            return mapping.customer(outcome.body)
        except Retry as error:
            raise Unknown(
                f"Business Central took the customer, but its answer cannot be read. {error.reason}"
            ) from None

    def find_documents(self, external_numbers: Sequence[str]) -> Mapping[str, tuple[ErpDocument, ...]]:
        """Open orders and invoices: an order that was shipped and invoiced is deleted, and only its invoice remains."""
        asked = _distinct(sku_key(number) for number in external_numbers)
        possible = tuple(number for number in asked if fitting.is_writable(number, fitting.EXTERNAL_NUMBER))
        # Orders before invoices: one that is posted between the two questions then shows in both places, not in neither.
        questions = [
            Question("salesOrders", "externalDocumentNumber", possible, schema.ORDER_FIELDS),
            Question("salesInvoices", "externalDocumentNumber", possible, schema.INVOICE_FIELDS),
        ]
        found = mapping.documents(self._reader.rows(questions))
        return {number: found.get(sku_key(number), ()) for number in external_numbers}

    def plan(self, draft: Draft) -> Plan:
        """The lines of its sales order and the text of the deep insert."""
        return mapping.order_plan(draft, settings=self._settings)

    def sent_lines(self, request: str, *, currency: str) -> tuple[PlannedLine, ...]:
        """Read from the JSON of the deep insert; the settings of today have no part in it."""
        return sent_lines(request, currency=currency)

    def create_documents(
        self, drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told
    ) -> Mapping[str, ErpDocument | OrderSyncError]:
        """Each draft as one sales order, in groups of one call, read back in the same call; see the port."""
        return self._writer.write(drafts, in_time=in_time, told=told)

    def examine(self, *, customer: str) -> Examination:
        """Reads only: Business Central has no way to prove a write without making one."""
        return examine(self._operations, self._reader, settings=self._settings, customer=customer)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
