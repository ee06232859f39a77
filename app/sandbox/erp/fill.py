"""What the demo's ERP holds at the start."""

from decimal import Decimal

from app.sandbox.erp.records import put
from app.sandbox.erp.state import Erp

_ITEMS = (
    ("WID-001", "Widget", "19.99"),
    ("COMP-A", "Component A", "5.00"),
    ("COMP-B", "Component B", "7.50"),
    ("THIRD-3", "Third of a set", "33.33"),
    ("HOSE-3", "Garden hose 3 m", "14.95"),
    ("TS-1", "T-shirt, one", "25.00"),
    ("TS-2", "T-shirt, two", "25.00"),
    ("000123", "Item with leading zeros", "1.23"),
    ("ABC-LOWER-9", "Item known to the shop in lower case", "9.00"),
    ("A/B C.D_#1", "Item with signs in its number", "3.00"),
    ("CHEAP-1", "Cheap part", "0.04"),
    ("FREE-0", "Free sample", "0"),
)
_ACCOUNTS = (
    ("40000", "Sales, not for direct posting", False),
    ("40100", "Sales", True),
    ("40400", "Shipping income", True),
    ("40500", "Sales tax payable", True),
    ("40600", "Fees", True),
    ("40700", "Gift cards", True),
    ("40900", "Rounding", True),
)
_CURRENCIES = (
    ("USD", "US Dollar", "$", "2:2", "0.01"),
    ("EUR", "Euro", "€", "2:2", "0.01"),
    ("GBP", "Pound Sterling", "£", "2:2", "0.01"),
    ("CAD", "Canadian Dollar", "$", "2:2", "0.01"),
    ("JPY", "Yen", "¥", "0:0", "1"),
)
_CUSTOMERS = (
    {"number": "WEB-CASH", "displayName": "Web cash sale", "type": "Person"},
    {"displayName": "Twin One", "email": "twice@example.test"},
    {"displayName": "Twin Two", "email": "twice@example.test"},
    {"displayName": "Blocked Buyer", "email": "blocked@example.test", "blocked": "All"},
)


def demo_fill(erp: Erp) -> None:
    """Items, accounts, currencies, shipment methods and customers of the demo, into the first company."""
    with erp.lock:
        books = erp.books
        for number, name, price in _ITEMS:
            put(books, "items", {"number": number, "displayName": name, "unitPrice": Decimal(price)})
        put(
            books,
            "items",
            {"number": "KIT-PARENT-123", "displayName": "Starter kit", "type": "Non-Inventory"},
        )
        put(books, "items", {"number": "ÜNI-商品", "displayName": "Ünïcode 商品", "blocked": True})
        put(books, "items", {"number": "SALESBLK-1", "displayName": "Not for sale", "salesBlocked": True})
        for number, name, direct in _ACCOUNTS:
            put(books, "accounts", {"number": number, "displayName": name, "directPosting": direct})
        for code, name, symbol, places, precision in _CURRENCIES:
            put(
                books,
                "currencies",
                {
                    "code": code,
                    "displayName": name,
                    "symbol": symbol,
                    "amountDecimalPlaces": places,
                    "amountRoundingPrecision": Decimal(precision),
                },
                key="code",
            )
        for code, name in (("GROUND", "Ground"), ("EXPRESS", "Express"), ("PICKUP", "Pick-up")):
            put(books, "shipmentMethods", {"code": code, "displayName": name}, key="code")
        for customer in _CUSTOMERS:
            put(books, "customers", customer)
