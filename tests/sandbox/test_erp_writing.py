"""The sandbox Business Central: customers and sales orders (contract sections 2, 4 and 7)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.test_erp_sign_in import Api


@pytest.fixture
def api() -> Api:
    return Api()


def _item(number: str, quantity: object = 1, price: object = 10, **more: object) -> dict[str, Any]:
    line = {"lineType": "Item", "lineObjectNumber": number, "quantity": quantity, "unitPrice": price}
    return line | {"taxCode": "NONTAXABLE"} | more


def _account(number: str, amount: object, **more: object) -> dict[str, Any]:
    return {"lineType": "Account", "lineObjectNumber": number, "quantity": 1, "unitPrice": amount} | more


def _total(api: Api, key: str) -> Decimal:
    return Decimal(api.get(f"salesOrders({key})").body["totalAmountIncludingTax"])


def test_a_customer_needs_a_name_gets_a_number_and_may_share_an_email(api: Api) -> None:
    assert 'A "displayName" must be provided.' in api.post("customers", {"email": "a@example.test"}).message
    first = api.post("customers", {"displayName": "A", "email": "same@example.test"})
    second = api.post("customers", {"displayName": "B", "email": "same@example.test"})
    assert (first.status, first.body["number"], second.body["number"]) == (201, "C00040", "C00050")
    assert len(api.rows("customers", "email eq 'same@example.test'")) == 2


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("displayName", 100),
        ("email", 80),
        ("city", 30),
        ("postalCode", 20),
        ("phoneNumber", 30),
        ("country", 10),
    ],
)
def test_a_text_longer_than_its_field_is_an_error_and_never_cut(api: Api, name: str, limit: int) -> None:
    assert api.post("customers", {"displayName": "A"} | {name: "x" * limit}).status == 201
    reply = api.post("customers", {"displayName": "A"} | {name: "x" * (limit + 1)})
    assert (reply.status, reply.code) == (400, "Application_StringExceededLength")


def test_a_change_needs_the_present_etag_or_a_star(api: Api) -> None:
    (row,) = api.rows("customers", "number eq 'WEB-CASH'")
    path, change = f"customers({row['id']})", {"city": "Berlin"}
    assert api.send("PATCH", path, change).code == "BadRequest_InvalidToken"
    assert api.send("PATCH", path, change, If_Match=row["@odata.etag"]).body["city"] == "Berlin"
    stale = api.send("PATCH", path, {"city": "Bonn"}, If_Match=row["@odata.etag"])
    assert (stale.status, stale.code) == (409, "Request_EntityChanged")
    assert api.get(path).body["city"] == "Berlin"
    assert api.send("PATCH", path, {"city": "Bonn"}, If_Match="*").status == 200


def test_a_deep_insert_makes_header_and_lines_whose_totals_are_read_back(api: Api) -> None:
    reply = api.order(
        _item("WID-001", 3, Decimal("19.99").__float__(), discountAmount=1),
        _account("40400", 4.5),
        {"description": "a comment"},
        externalDocumentNumber="BGM-12345",
    )
    assert reply.status == 201
    assert "salesOrderLines" not in reply.body
    assert reply.body["totalAmountIncludingTax"] == 0
    order = api.get(f"salesOrders({reply.body['id']})?$expand=salesOrderLines").body
    assert order["totalAmountIncludingTax"] == Decimal("63.47")
    assert [line["sequence"] for line in order["salesOrderLines"]] == [10000, 20000, 30000]
    assert order["status"] == "Draft"


def test_the_lines_come_with_the_answer_where_they_are_asked_for(api: Api) -> None:
    body = {"customerNumber": "WEB-CASH", "salesOrderLines": [_item("WID-001")]}
    assert len(api.post("salesOrders?$expand=salesOrderLines", body).body["salesOrderLines"]) == 1
    api.erp.switches.lines_in_answer = True
    api.erp.switches.stale_totals = False
    answer = api.post("salesOrders", body).body
    assert (len(answer["salesOrderLines"]), answer["totalAmountIncludingTax"]) == (1, 10)


def test_a_forgotten_tax_code_makes_business_central_add_its_own_tax(api: Api) -> None:
    line = _item("WID-001")
    untaxed = api.order(line, _account("40500", 1.9)).body["id"]
    del line["taxCode"]
    taxed = api.order(line, _account("40500", 1.9)).body["id"]
    assert (_total(api, untaxed), _total(api, taxed)) == (Decimal("11.9"), Decimal("12.9"))


def test_prices_may_include_the_tax_business_central_works_out(api: Api) -> None:
    key = api.order(_item("WID-001", 1, 11, taxCode="TAXABLE"), pricesIncludeTax=True).body["id"]
    order = api.get(f"salesOrders({key})").body
    assert (order["totalAmountExcludingTax"], order["totalTaxAmount"]) == (10, 1)


def test_amounts_are_rounded_half_away_from_zero(api: Api) -> None:
    key = api.order(_item("CHEAP-1", 1, 0.125), _item("CHEAP-1", 1, 0.125)).body["id"]
    assert _total(api, key) == Decimal("0.26")


def test_a_percent_of_zero_after_an_amount_overwrites_the_discount(api: Api) -> None:
    after = _item("WID-001", discountAmount=4, discountPercent=0)
    before = _item("WID-001", discountPercent=0, discountAmount=4)
    keys = [api.order(line).body["id"] for line in (after, before)]
    assert [_total(api, key) for key in keys] == [10, 6]


def test_a_price_after_an_amount_recomputes_the_discount_from_its_percent(api: Api) -> None:
    line = {
        "lineType": "Item",
        "lineObjectNumber": "TS-1",
        "quantity": 1,
        "discountAmount": 5,
        "unitPrice": 10,
    }
    key = api.order(line | {"taxCode": "NONTAXABLE"}).body["id"]
    assert _total(api, key) == 8


def test_the_header_discount_is_spread_over_the_lines_to_the_cent(api: Api) -> None:
    key = api.order(*[_item("THIRD-3", 1, 33.33)] * 3, discountAmount=10).body["id"]
    order = api.get(f"salesOrders({key})?$expand=salesOrderLines").body
    assert order["totalAmountIncludingTax"] == Decimal("89.99")
    assert sum(line["invoiceDiscountAllocation"] for line in order["salesOrderLines"]) == 10
    assert api.order(_item("TS-1"), discountAmount=11).code == "Application_FieldValidationException"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (_item("ÜNI-商品"), "Application_FieldValidationException", "Blocked must be equal to 'No'"),
        (_item("SALESBLK-1"), "Application_DialogException", "You cannot sell Item SALESBLK-1"),
        (_item("BIG-1"), "Internal_InvalidTableRelation", "(BIG-1)"),
        (_item("X" * 21), "Application_StringExceededLength", "21"),
        (_account("40000", 1), "Application_FieldValidationException", "Direct Posting"),
        (_account("99999", 1), "Internal_InvalidTableRelation", "G/L Account"),
        (_item("TS-1", 0.123456), "Application_FieldValidationException", "5 decimal places"),
        (_item("TS-1", "1"), "BadRequest", "Edm.Decimal"),
        (_item("TS-1", taxCode="NOBODY"), "Internal_InvalidTableRelation", "Tax Group"),
        (_item("TS-1", sequence=10000), "BadRequest_InvalidOperation", "sequence"),
        (_item("TS-1", amountExcludingTax=1), "BadRequest_InvalidOperation", "is read-only"),
        (_item("TS-1", discountAmount=11), "Application_FieldValidationException", "Line Discount"),
        ({"lineObjectNumber": "TS-1", "lineType": "Item"}, "Internal_InvalidTableRelation", "Standard Text"),
        ({"description": "x", "quantity": 1}, "Application_FieldValidationException", "Type must have"),
        ({"lineType": "Item", "quantity": 1}, "Application_FieldValidationException", "No. must have"),
    ],
)
def test_one_line_that_cannot_be_refuses_the_whole_order(
    api: Api, line: dict[str, Any], code: str, message: str
) -> None:
    reply = api.order(_item("WID-001"), line)
    assert (reply.status, reply.code) == (400, code)
    assert message in reply.message
    assert api.documents() == []


def test_item_and_account_together_are_an_error_and_either_sets_the_type(api: Api) -> None:
    item = api.rows("items", "number eq 'TS-1'")[0]["id"]
    account = api.rows("accounts", "number eq '40400'")[0]["id"]
    assert 'Both "itemId" and "accountId"' in api.order({"itemId": item, "accountId": account}).message
    key = api.order({"itemId": item}, {"accountId": account}).body["id"]
    lines = api.get(f"salesOrders({key})/salesOrderLines").body["value"]
    assert [line["lineType"] for line in lines] == ["Item", "Account"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"customerNumber": ""}, "A customerNumber or a customerID must be provided."),
        ({"customerNumber": "NOBODY"}, "does not match to a known customer"),
        ({"customerNumber": "C00030"}, "is blocked with type All"),
        ({"status": "Open"}, "Control 'status' is read-only"),
        ({"billToCity": "Bonn"}, "Control 'billToCity' is read-only"),
        ({"documentLines": []}, "The property 'documentLines' does not exist"),
        ({"externalDocumentNumber": "x" * 36}, "less than or equal to 35"),
        ({"currencyCode": "XXX"}, "(Currency)"),
        ({"orderDate": "02.03.2026"}, "Edm.Date"),
        ({"shipToName": None}, "Edm.String"),
    ],
)
def test_a_header_that_cannot_be_is_refused_and_nothing_is_made(
    api: Api, header: dict[str, Any], message: str
) -> None:
    reply = api.order(_item("TS-1"), **header)
    assert reply.status == 400
    assert message in reply.message
    assert api.documents() == []


def test_customer_id_and_number_must_name_the_same_customer(api: Api) -> None:
    twin = api.rows("customers", "number eq 'C00010'")[0]["id"]
    assert "do not match" in api.order(customerId=twin).message
    assert api.order(customerId=twin, customerNumber="c00010").status == 201


def test_read_only_properties_may_be_ignored_instead(api: Api) -> None:
    api.erp.switches.read_only_ignored = True
    assert api.order(number="MINE").body["number"] == "S-ORD101001"


def test_an_external_document_number_is_not_unique(api: Api) -> None:
    numbers = {api.order(externalDocumentNumber="BGM-1").body["number"] for _ in range(2)}
    assert len(numbers) == 2
    assert len(api.rows("salesOrders", "externalDocumentNumber eq 'BGM-1'")) == 2


def test_the_bill_to_address_is_a_copy_of_the_sell_to_address(api: Api) -> None:
    order = api.order(sellToCity="Bonn", shipToCity="Kiel").body
    assert (order["billToCity"], order["shipToCity"]) == ("Bonn", "Kiel")


def test_the_companys_own_currency_reads_back_as_its_code_and_yen_have_no_cents(api: Api) -> None:
    assert api.order(currencyCode="usd").body["currencyCode"] == "USD"
    key = api.order(_item("TS-1", 1, 10.5), currencyCode="JPY").body["id"]
    assert _total(api, key) == 11


def test_shipping_and_invoicing_removes_the_order_and_leaves_shipment_and_invoice(api: Api) -> None:
    order = api.order(_item("TS-1"), externalDocumentNumber="BGM-7").body
    assert api.send("POST", f"salesOrders({order['id']})/Microsoft.NAV.shipAndInvoice").status == 204
    assert api.get(f"salesOrders({order['id']})").status == 404
    assert api.rows("salesOrders", "externalDocumentNumber eq 'BGM-7'") == []
    (invoice,) = api.rows("salesInvoices", "externalDocumentNumber eq 'BGM-7'")
    (shipment,) = api.rows("salesShipments", f"orderNumber eq '{order['number']}'")
    assert (invoice["orderNumber"], invoice["totalAmountIncludingTax"]) == (order["number"], 10)
    assert len(api.get(f"salesShipments({shipment['id']})/salesShipmentLines").body["value"]) == 1


def test_an_order_is_deleted_with_its_etag_or_through_the_control_door(api: Api) -> None:
    first, second = api.order(_item("TS-1")).body, api.order().body
    assert api.send("DELETE", f"salesOrders({first['id']})").status == 400
    assert api.send("DELETE", f"salesOrders({first['id']})", If_Match=first["@odata.etag"]).status == 204
    assert api.post(f"/_sandbox/documents/{second['number']}/delete", {}).status == 200
    assert api.documents() == []


def test_lines_are_added_changed_and_taken_away_one_by_one_but_not_by_a_deep_patch(api: Api) -> None:
    order = api.order(_item("TS-1")).body
    path = f"salesOrders({order['id']})"
    line = api.post(f"{path}/salesOrderLines", _item("TS-2", 2)).body
    assert line["sequence"] == 20000
    assert _total(api, order["id"]) == 30
    assert api.send("PATCH", f"salesOrderLines({line['id']})", {"quantity": 1}, If_Match="*").status == 200
    assert _total(api, order["id"]) == 20
    assert api.send("DELETE", f"salesOrderLines({line['id']})", If_Match="*").status == 204
    assert _total(api, order["id"]) == 10
    assert api.send("PATCH", path, {"salesOrderLines": []}, If_Match="*").status == 400
    changed = api.send("PATCH", path, {"discountAmount": 3, "shipToCity": "Kiel"}, If_Match="*").body
    assert (changed["totalAmountIncludingTax"], changed["shipToCity"]) == (7, "Kiel")


def test_an_assemble_to_order_item_explodes_into_an_assembly_order(api: Api) -> None:
    api.post("/_sandbox/items", {"number": "KIT-ATO", "kind": "assembly"})
    api.order(_item("KIT-ATO", 2), _item("KIT-PARENT-123"))
    (assembly,) = api.get("/_sandbox/documents").body["assemblyOrders"]
    assert (assembly["itemNumber"], assembly["quantity"]) == ("KIT-ATO", 2)


def test_an_item_that_arrives_through_the_control_door_can_be_ordered(api: Api) -> None:
    assert api.order(_item("BIG-1")).status == 400
    assert api.post("/_sandbox/items", {"number": "big-1"}).status == 201
    assert api.order(_item("BIG-1")).status == 201
