"""One sales line, its values set one after another (contract section 2, salesOrderLines; section 7)."""

from decimal import Decimal
from typing import Any

from app.sandbox.erp.books import UNTAXED, Books
from app.sandbox.erp.customers import writable
from app.sandbox.erp.errors import bad_request, dialog, field_validation, no_relation, read_only
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.schema import NO_GUID, SALES_ORDER_LINES
from app.sandbox.erp.values import round_half_away

_PRICE_PRECISION = Decimal("0.00001")
_HUNDRED = Decimal(100)
_ZERO = Decimal(0)
_SETTERS = {
    "lineType": "_set_type",
    "lineObjectNumber": "_set_object",
    "itemId": "_set_item_id",
    "accountId": "_set_account_id",
    "itemVariantId": "_set_variant",
    "unitOfMeasureCode": "_set_unit",
    "quantity": "_set_quantity",
    "unitPrice": "_set_price",
    "discountAmount": "_set_discount_amount",
    "discountPercent": "_set_discount_percent",
    "taxCode": "_set_tax_code",
}
"""Who validates which property; any other is kept as it is sent."""


class Line:
    """A line while its values are validated; `finish` says whether it can be kept."""

    def __init__(self, books: Books, *, precision: Decimal, values: dict[str, Any] | None = None) -> None:
        self._books = books
        self._precision = precision
        self.values = dict(values) if values else SALES_ORDER_LINES.blank()
        self.assembly = False

    def write(self, body: Any, *, document_id: str = "") -> None:
        """Set the body's values in turn, each only where it differs from what is there."""
        values = writable(self._books, SALES_ORDER_LINES, body)
        if document_id and values.pop("documentId", document_id) != document_id:
            raise bad_request("The documentId of a line cannot be changed.")
        if values.pop("sequence", self.values["sequence"]) != self.values["sequence"]:
            raise read_only("sequence")
        if all(values.get(name, NO_GUID) != NO_GUID for name in ("itemId", "accountId")):
            raise dialog('Both "itemId" and "accountId" are specified. Specify only one of them.')
        if not self._books.switches.json_order:
            values = {name: values[name] for name in SALES_ORDER_LINES.properties if name in values}
        for name, value in values.items():
            if value == self.values[name]:
                continue
            if name in _SETTERS:
                getattr(self, _SETTERS[name])(value)
            else:
                self.values[name] = value

    def finish(self) -> None:
        """What a line must have to be inserted."""
        if self._type != "Comment" and not self.values["lineObjectNumber"]:
            raise field_validation(
                "No. must have a value in Sales Line: Document Type=Order. It cannot be zero or empty."
            )

    @property
    def _type(self) -> str:
        return str(self.values["lineType"])

    @property
    def _gross(self) -> Decimal:
        return round_half_away(self.values["quantity"] * self.values["unitPrice"], self._precision)

    def _need_type(self, field: str) -> None:
        if self._type == "Comment":
            raise field_validation(
                f"Type must have a value in Sales Line: Document Type=Order, {field}. It cannot be zero or empty."
            )

    def _set_type(self, value: str) -> None:
        kept = {name: self.values[name] for name in ("id", "documentId", "sequence")}
        self.values = SALES_ORDER_LINES.blank() | kept | {"lineType": value}

    def _set_object(self, value: str) -> None:
        match self._type:
            case "Item":
                self._set_item(self._books.table("items").first("number", value), value)
            case "Account":
                self._set_account(self._books.table("accounts").first("number", value), value)
            case "Comment":
                raise self._unknown(value, "Standard Text")
            case other:
                raise self._unknown(value, other)

    def _set_item_id(self, value: str) -> None:
        if self._type != "Item":
            self._set_type("Item")
        self._set_item(self._books.table("items").get(value), value)

    def _set_account_id(self, value: str) -> None:
        if self._type != "Account":
            self._set_type("Account")
        self._set_account(self._books.table("accounts").get(value), value)

    def _set_item(self, item: Row | None, wanted: str) -> None:
        if item is None:
            raise self._unknown(wanted, "Item")
        number = item.values["number"]
        if item.values["blocked"]:
            raise field_validation(
                f"Blocked must be equal to 'No'  in Item: No.={number}. Current value is 'Yes'."
            )
        if item.hidden.get("salesBlocked"):
            raise dialog(
                f"You cannot sell Item {number} because the Sales Blocked check box is selected on the Item card."
            )
        self.assembly = bool(item.hidden.get("assembly"))
        self.values |= {
            "itemId": item.id,
            "lineObjectNumber": number,
            "description": item.values["displayName"],
            "description2": item.values["displayName2"],
            "unitOfMeasureId": item.values["baseUnitOfMeasureId"],
            "unitOfMeasureCode": item.values["baseUnitOfMeasureCode"],
            "unitPrice": item.values["unitPrice"],
            "taxCode": item.values["taxGroupCode"],
        }

    def _set_account(self, account: Row | None, wanted: str) -> None:
        if account is None:
            raise self._unknown(wanted, "G/L Account")
        number = account.values["number"]
        if account.values["blocked"]:
            raise field_validation(
                f"Blocked must be equal to 'No'  in G/L Account: No.={number}. Current value is 'Yes'."
            )
        if account.values["accountType"] != "Posting":
            raise field_validation(f"Account Type must be equal to 'Posting'  in G/L Account: No.={number}.")
        if not account.values["directPosting"]:
            raise field_validation(
                f"Direct Posting must be equal to 'Yes'  in G/L Account: No.={number}. Current value is 'No'."
            )
        self.values |= {
            "accountId": account.id,
            "lineObjectNumber": number,
            "description": account.values["displayName"],
        }

    def _set_variant(self, value: str) -> None:
        variant = self._books.table("itemVariants").get(value)
        if value != NO_GUID and (variant is None or variant.values["itemId"] != self.values["itemId"]):
            raise no_relation(field="Variant Code", table="Sales Line", value=value, related="Item Variant")
        self.values["itemVariantId"] = value

    def _set_unit(self, value: str) -> None:
        if value and value not in self._books.units:
            raise no_relation(
                field="Unit of Measure Code", table="Sales Line", value=value, related="Unit of Measure"
            )
        self.values["unitOfMeasureCode"] = value

    def _set_tax_code(self, value: str) -> None:
        if value and value not in self._books.tax_codes:
            raise no_relation(field="Tax Group Code", table="Sales Line", value=value, related="Tax Group")
        self.values["taxCode"] = value

    def _set_quantity(self, value: Decimal) -> None:
        self._need_type("Quantity")
        if value != round_half_away(value, _PRICE_PRECISION):
            raise field_validation(f"Quantity may have at most 5 decimal places. The value is {value}.")
        self.values["quantity"] = value
        self._discount_from_percent()

    def _set_price(self, value: Decimal) -> None:
        self._need_type("Unit Price")
        self.values["unitPrice"] = round_half_away(value, _PRICE_PRECISION)
        self._discount_from_percent()

    def _set_discount_amount(self, value: Decimal) -> None:
        self._need_type("Line Discount Amount")
        amount = round_half_away(value, self._precision)
        gross = self._gross
        if amount and (abs(amount) > abs(gross) or amount * gross < 0):
            raise field_validation(
                f"The Line Discount Amount {amount} must lie between 0 and the line's amount {gross}."
            )
        percent = round_half_away(amount / gross * _HUNDRED, _PRICE_PRECISION) if gross else _ZERO
        self.values |= {"discountAmount": amount, "discountPercent": percent}

    def _set_discount_percent(self, value: Decimal) -> None:
        self._need_type("Line Discount %")
        if not 0 <= value <= _HUNDRED:
            raise field_validation(f"The value {value} of Line Discount % must lie between 0 and 100.")
        self.values["discountPercent"] = value
        self._discount_from_percent()

    def _discount_from_percent(self) -> None:
        if not self.values["discountPercent"]:
            self.values["discountAmount"] = _ZERO
            return
        amount = self._gross * self.values["discountPercent"] / _HUNDRED
        self.values["discountAmount"] = round_half_away(amount, self._precision)

    @staticmethod
    def _unknown(value: str, related: str) -> Exception:
        return no_relation(field="No.", table="Sales Line", value=value, related=related)


def _is_taxed(values: dict[str, Any]) -> bool:
    match values["lineType"]:
        case "Comment":
            return False
        case "Account":
            return values["taxCode"] not in {UNTAXED, ""}
        case _:
            return bool(values["taxCode"] != UNTAXED)


def work_out(
    lines: list[dict[str, Any]],
    *,
    discount: Decimal,
    includes_tax: bool,
    precision: Decimal,
    percent: Decimal,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Each line's amounts and the header's totals (section 2: BC works tax out itself; section 7: rounding).

    The header's discount is spread over the lines, and tax is rounded on the running sum, so that the lines
    add up to the header to the last cent.
    """
    amounts = [
        round_half_away(
            round_half_away(line["quantity"] * line["unitPrice"], precision) - line["discountAmount"],
            precision,
        )
        for line in lines
    ]
    total = sum(amounts, _ZERO)
    if discount and not 0 < discount <= total:
        raise field_validation(
            f"The Invoice Discount Amount {discount} must lie between 0 and the order's amount {total}."
        )
    share = percent / (_HUNDRED + percent) if includes_tax else percent / _HUNDRED
    results: list[dict[str, Any]] = []
    seen = given = taxed = tax_given = net_taxed = net_tax_given = _ZERO
    for line, amount in zip(lines, amounts, strict=True):
        seen += amount
        allocated = round_half_away(discount * seen / total, precision) - given if discount else _ZERO
        given += allocated
        net = amount - allocated
        tax = net_tax = _ZERO
        if _is_taxed(line):
            taxed, net_taxed = taxed + amount, net_taxed + net
            tax = round_half_away(taxed * share, precision) - tax_given
            net_tax = round_half_away(net_taxed * share, precision) - net_tax_given
            tax_given, net_tax_given = tax_given + tax, net_tax_given + net_tax
        off, net_off = (tax, net_tax) if includes_tax else (_ZERO, _ZERO)
        results.append(
            {
                "amountExcludingTax": amount - off,
                "taxPercent": percent if _is_taxed(line) else _ZERO,
                "totalTaxAmount": tax,
                "amountIncludingTax": amount - off + tax,
                "invoiceDiscountAllocation": allocated,
                "netAmount": net - net_off,
                "netTaxAmount": net_tax,
                "netAmountIncludingTax": net - net_off + net_tax,
                "invoiceQuantity": line["quantity"],
                "shipQuantity": line["quantity"],
            }
        )
    excluding = sum((r["netAmount"] for r in results), _ZERO)
    totals = {
        "discountAmount": discount,
        "totalAmountExcludingTax": excluding,
        "totalTaxAmount": net_tax_given,
        "totalAmountIncludingTax": excluding + net_tax_given,
    }
    return results, totals
