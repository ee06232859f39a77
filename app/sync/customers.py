"""The ERP customer of an order: the stored link, else the e-mail address, else a new one or the configured default."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from app.domain.order import Order
from app.errors import Reject, Retry, Unknown
from app.ports.erp import Erp, ErpCustomer, Told
from app.ports.store import CustomerLink, ErpRow
from app.sync.options import ErpOptions
from app.sync.owed import check_open
from app.sync.parts import Parts
from app.sync.policy import next_look


class Customers:
    """Resolves the customers of one batch. Creating one is intent, look, write, confirm, like writing an order."""

    def __init__(
        self,
        parts: Parts,
        erp: Erp,
        row: ErpRow,
        options: ErpOptions,
        *,
        told: Told,
        in_time: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._in_time = in_time
        self._told = told
        self._erp = erp
        self._row = row
        self._options = options
        self._numbers: dict[str, str] = {}
        self._found: Mapping[str, tuple[ErpCustomer, ...]] = {}
        self._intent_at: datetime | None = None
        self._asked_at = parts.store.now()

    def look_up(self, orders: Sequence[Order]) -> None:
        """Ask once for all of them: our links first, the ERP for the rest. Raises what the ERP's read raises."""
        emails = list(dict.fromkeys(_email(order) for order in orders if _email(order)))
        self._numbers |= self._parts.store.customer_numbers(self._row.id, emails)
        unknown = [email for email in emails if email not in self._numbers]
        self._asked_at = self._parts.store.now()
        self._found = self._erp.find_customers(unknown) if unknown else {}

    def may_be(self, order: Order, number: str) -> bool:
        """Whether a document with this customer can be this order's."""
        email = _email(order)
        candidates = {self._options.default_customer, self._numbers.get(email, "")}
        candidates |= {each.number for each in self._found.get(email, ())}
        return number in candidates

    def number(self, order: Order) -> str:
        """The order's customer number. Raises `Reject`, `Retry`, `Hold`, `Unknown` or `Misconfigured`."""
        email = _email(order)
        if not email:
            return self._default("The order has no e-mail address, and there is no default customer.")
        if email not in self._numbers:
            self._numbers[email] = self._resolve(email, order)
        return self._numbers[email]

    def next_look(self, now: datetime) -> datetime:
        """When a customer whose creation is in doubt is looked up next."""
        return next_look(intent_at=self._intent_at or now, now=now, late=self._options.late)

    def _default(self, reason: str) -> str:
        if not self._options.default_customer:
            raise Reject(reason, kind="customer", field="/bill/email")
        return self._options.default_customer

    def foreseen(self, order: Order) -> str | None:
        """The number the order's customer would have, None where one would be created. Raises `Reject`; changes nothing."""
        email = _email(order)
        if not email:
            return self._default("The order has no e-mail address, and there is no default customer.")
        return self._numbers.get(email) or self._known(email)

    def _resolve(self, email: str, order: Order) -> str:
        number = self._known(email)
        if number is None:
            return self._create(email, order)
        if self._found.get(email, ()):
            self._parts.store.confirm_customer(self._row.id, email, number=number)
        return number

    def _known(self, email: str) -> str | None:
        """The number of the customer that the ERP has, or the default one's; None where one is to be created."""
        found = self._found.get(email, ())
        if len(found) > 1:
            numbers = ", ".join(each.number for each in found)
            raise Reject(
                f"{len(found)} customers in the ERP have the order's e-mail address: {numbers}.",
                kind="customer",
                field="/bill/email",
            )
        if found:
            if found[0].blocked:
                raise Reject(
                    f"The customer {found[0].number} is blocked in the ERP ({found[0].blocked}).",
                    kind="customer",
                )
            return found[0].number
        if not self._options.create_customers:
            return self._default(
                "The ERP has no customer with the order's e-mail address, and none may be created."
            )
        return None

    def _create(self, email: str, order: Order) -> str:
        store = self._parts.store
        check_open(self._parts, self._row)
        link = self._intend(email)
        try:
            made = self._erp.create_customer(order, in_time=self._in_time, told=self._told)
        except (Reject, Retry):
            store.drop_customer_intent(self._row.id, email, intent_at=link.intent_at)
            raise
        store.confirm_customer(self._row.id, email, number=made.number)
        return made.number

    def _intend(self, email: str) -> CustomerLink:
        """Our own intent to create this customer; an older one counts until it can no longer have any effect."""
        store = self._parts.store
        link = store.customer_link(self._row.id, email, intend=True)
        if link is not None and not link.mine and self._asked_at >= link.intent_at + self._options.late:
            # The ERP was asked after that moment and has no such customer, so that attempt came to nothing.
            store.drop_customer_intent(self._row.id, email, intent_at=link.intent_at)
            link = store.customer_link(self._row.id, email, intend=True)
        if link is None or not link.mine:
            self._intent_at = None if link is None else link.intent_at
            raise Unknown(
                "Its customer is being created by another attempt, whose outcome is being verified."
            )
        self._intent_at = link.intent_at
        return link


def _email(order: Order) -> str:
    return order.bill.email.strip().lower()
