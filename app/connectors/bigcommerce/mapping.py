"""Their words to ours: one BigCommerce order body as an `Order`. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import notes
from app.connectors.bigcommerce.amounts import amounts
from app.connectors.bigcommerce.checks import faults_of
from app.connectors.bigcommerce.lines import Sourced, sourced_lines
from app.connectors.bigcommerce.meta import meta_of
from app.connectors.bigcommerce.payment import payment_of
from app.connectors.bigcommerce.schema import load_order
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.splitting import one_address, part_of
from app.connectors.bigcommerce.statuses import status_text
from app.connectors.bigcommerce.totals import Reading, due, is_ambiguous, reading_of, readings, tender, total
from app.domain.balance import Unbalanced, balanced
from app.domain.money import NotWholeUnits, UnknownCurrency, amount, smallest_unit
from app.domain.order import Address, Line, Order, numbered
from app.ports.faults import Fault, rejection

_AMBIGUOUS = (
    "The order's total can be read in two ways that differ in what was paid, with store credit, gift certificates and fees inside"
    " of it or not; set tender (outside or inside) and fees_in_total (yes or no) to what this store does."
)
_ADDRESS_PARTS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "address1": "street_1",
    "address2": "street_2",
    "city": "city",
    "state": "state",
    "postcode": "zip",
    "country": "country_iso2",
    "email": "email",
    "phone": "phone",
}


def normalize(body: str, *, prefix: str, settings: Settings) -> Order:
    """The order in `body`, balanced to the cent. Raises `Reject` with every fault named, the most telling first."""
    return mapped(body, prefix=prefix, settings=settings).order


@dataclass(frozen=True, slots=True)
class Mapped:
    """An order and how it came about.

    `given` is the body as `schema` loaded it. `whole` is all of the platform's order, balanced; its first lines are those of
    `sources`, behind which stands what the balance added. `order` is the part of it that the body stands for: mostly all.
    """

    given: dict[str, Any]
    reading: Reading
    sources: tuple[Sourced, ...]
    whole: Order
    order: Order


def mapped(body: str, *, prefix: str, settings: Settings) -> Mapped:
    """The order in `body`, and how it came about. Raises `Reject`, see `normalize`."""
    given = one_address(load_order(body), settings=settings)
    currency = given["default_currency_code"] or ""
    try:
        unit = smallest_unit(currency)
    except UnknownCurrency:  # One of the faults; no sum can be made of such amounts.
        raise rejection(faults_of(given, settings=settings, due=given["total_inc_tax"])) from None
    reading = _reading(given, settings=settings, unit=unit)
    faults = faults_of(given, settings=settings, due=due(given, reading))
    if is_ambiguous(given, given["fees"], settings=settings):
        faults.append(Fault("balance", _AMBIGUOUS, "/total_inc_tax"))
    try:
        sources = tuple(sourced_lines(given, amounts(given, reading, unit=unit), reading, unit=unit))
        lines = numbered(each.line for each in sources)
        whole = balanced(
            _order(given, prefix=prefix, settings=settings, reading=reading, lines=lines), unit=unit
        )
        order = part_of(whole, given, unit=unit)
    except NotWholeUnits as error:
        reason = f"The order's total of {error} is no whole number of the smallest unit of {currency}."
        raise rejection([*faults, Fault("validation", reason, "/total_inc_tax")]) from None
    except Unbalanced as unbalanced:
        reason = f"The order does not add up: {unbalanced.sum_text}.{_other_sums(given, settings)}"
        raise rejection([*faults, Fault("balance", reason, "/total_inc_tax")]) from None
    if faults:
        raise rejection(faults)
    return Mapped(given, reading, sources, whole, order)


def _reading(given: dict[str, Any], *, settings: Settings, unit: Decimal) -> Reading:
    """The reading that fits, else the most natural one, whose sum is then shown."""
    fees = given["fees"]
    found = reading_of(given, fees, settings=settings, allowed=unit * (len(given["lines"]) + 1))
    return found or next(readings(given, fees, settings=settings))


def _other_sums(given: dict[str, Any], settings: Settings) -> str:
    """The sums of the header by each reading, where there is more than one that could have been meant."""
    if not tender(given) and not given["fees"]:
        return ""
    said = [
        f"{given['total_inc_tax'] + each.off} with {' and '.join(_assumed(given, each))}"
        for each in readings(given, given["fees"], settings=settings)
        if each.basis == "inc"
    ]
    return f" Its header comes to {', or to '.join(said)}, and says {given['total_inc_tax']}."


def _assumed(given: dict[str, Any], reading: Reading) -> Iterator[str]:
    if tender(given):
        yield f"store credit and gift certificates {'taken off' if reading.tender_inside else 'not taken off'}"
    if given["fees"]:
        yield f"fees {'added' if reading.fees_inside else 'left out'}"


def _order(
    given: dict[str, Any], *, prefix: str, settings: Settings, reading: Reading, lines: tuple[Line, ...]
) -> Order:
    currency = given["default_currency_code"]
    bill = _address(given["billing_address"])
    return Order(
        number=f"{prefix}-{given['id']}",
        platform_order_id=str(given["id"]),
        currency=currency,
        total=amount(total(given, reading), currency=currency),
        created_at=given["date_created"],
        created_raw=given["created_raw"],
        bill=bill,
        ship=_ship_to(given, bill=bill),
        payment=payment_of(given),
        lines=lines,
        status=status_text(given["status_id"]),
        customer_id=str(given["customer_id"] or ""),
        customer_note=given["customer_message"] or "",
        prices_include_tax=given["is_tax_inclusive_pricing"],
        meta=meta_of(
            given, staff_notes=notes.without_mark(given["staff_notes"], note_text=settings.note_text)
        ),
    )


def _address(given: dict[str, Any]) -> Address:
    return Address(**{ours: given[theirs] or "" for ours, theirs in _ADDRESS_PARTS.items()})


def _ship_to(given: dict[str, Any], *, bill: Address) -> Address:
    """Where the order goes; the billing address where nothing is shipped (downloads, pickups)."""
    if not given["addresses"]:
        return bill
    ship = _address(given["addresses"][0])
    return ship if ship.name else replace(ship, first_name=bill.first_name, last_name=bill.last_name)
