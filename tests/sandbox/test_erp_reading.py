"""The sandbox Business Central: entities, filters and pages (contract sections 2 and 3)."""

import re
from datetime import timedelta

import pytest

from tests.sandbox.test_erp_sign_in import ROOT, Api

BLANK_GUID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def api() -> Api:
    return Api()


def _numbers(api: Api, condition: str, entity: str = "items") -> list[str]:
    return [row["number"] for row in api.rows(entity, condition)]


def test_unset_values_are_empty_texts_zero_guids_and_the_first_day_and_never_null(api: Api) -> None:
    order = api.order().body
    assert (order["shipToContact"], order["shipmentMethodId"]) == ("", BLANK_GUID)
    assert order["requestedDeliveryDate"] == "0001-01-01"
    assert None not in order.values()
    assert None not in api.rows("items", "number eq 'WID-001'")[0].values()


def test_an_item_shows_blocked_but_not_that_sales_are_blocked(api: Api) -> None:
    (item,) = api.rows("items", "number eq 'SALESBLK-1'")
    assert item["blocked"] is False
    assert not [name for name in item if "sales" in name.lower()]
    assert api.rows("items", "number eq 'ÜNI-商品'")[0]["blocked"] is True


def test_enum_members_are_encoded_and_both_spellings_are_accepted(api: Api) -> None:
    (kit,) = api.rows("items", "type eq 'Non-Inventory'")
    assert kit["type"] == "Non_x002D_Inventory"
    assert _numbers(api, "type eq 'Non_x002D_Inventory'") == ["KIT-PARENT-123"]
    assert api.rows("customers", "number eq 'WEB-CASH'")[0]["blocked"] == "_x0020_"


def test_a_row_is_read_by_its_key_with_context_and_etag(api: Api) -> None:
    (item,) = api.rows("items", "number eq 'WID-001'")
    single = api.get(f"items({item['id']})").body
    assert single["@odata.context"].endswith("/items/$entity")
    assert single["@odata.etag"] == item["@odata.etag"]
    assert api.get(f"items({BLANK_GUID})").status == 404
    assert api.get("nothings").code == "BadRequest_ResourceNotFound"


def test_code_fields_are_compared_upper_case_and_text_is_case_sensitive(api: Api) -> None:
    assert _numbers(api, "number eq 'abc-lower-9'") == ["ABC-LOWER-9"]
    assert _numbers(api, "email eq 'TWICE@example.test'", "customers") == []
    assert len(_numbers(api, "tolower(email) eq 'twice@example.test'", "customers")) == 2


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("number eq 'WID-001' or number eq 'TS-1'", ["WID-001", "TS-1"]),
        ("blocked eq true", ["ÜNI-商品"]),
        ("unitPrice gt 24.99 and unitPrice lt 26", ["TS-1", "TS-2"]),
        ("startswith(number,'COMP') and (unitPrice ne 5 and blocked eq false)", ["COMP-B"]),
        ("contains(displayName,'hose')", ["HOSE-3"]),
        ("number eq 'A/B C.D_#1'", ["A/B C.D_#1"]),
        ("number eq 'O''NEIL'", []),
        ("number ge 'TS-1' and number le 'TS-2'", ["TS-1", "TS-2"]),
        ("number eq 'FREE-0' and lines/any(l:l/x eq 1)", ["FREE-0"]),
    ],
)
def test_a_filter_finds_what_it_says(api: Api, condition: str, expected: list[str]) -> None:
    assert _numbers(api, condition) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("number eq 'A' or displayName eq 'B'", "The 'OR' operator is not supported on distinct fields"),
        ("number in ('A','B')", "$schemaversion=2.1"),
        ("nothing eq 'A'", "Could not find a property named 'nothing'"),
        ("number eq 5", "incompatible types"),
        ("number eq 'A", "syntax"),
        ("number eq 'A' and", "syntax"),
        ("(" * 60 + "number eq 'A'" + ")" * 60, "nested"),
    ],
)
def test_a_filter_the_contract_rules_out_is_refused_with_its_message(
    api: Api, condition: str, message: str
) -> None:
    reply = api.find("items", condition)
    assert reply.status == 400
    assert message in reply.message


def test_a_literal_longer_than_its_code_field_may_make_the_whole_filter_fail(api: Api) -> None:
    condition = f"number eq 'TS-1' or number eq '{'X' * 60}'"
    assert _numbers(api, condition) == ["TS-1"]
    api.erp.switches.filter_length_checked = True
    assert api.find("items", condition).code == "Application_FilterErrorException"


def test_twenty_terms_of_or_pass_and_twenty_one_exceed_the_node_count(api: Api) -> None:
    terms = [f"number eq 'X{n}'" for n in range(21)]
    assert api.find("items", " or ".join(terms[:20])).status == 200
    reply = api.find("items", " or ".join(terms))
    assert reply.status == 400
    assert "The node count limit of '100' has been exceeded" in reply.message


def test_a_plus_for_a_blank_is_refused_and_a_percent_encoded_plus_is_a_plus(api: Api) -> None:
    assert api.get("items?$filter=number+eq+'WID-001'").status == 400
    assert api.get("items?$filter=number%20eq%20'A%2BB'").status == 200
    api.erp.switches.strict_plus = False
    assert len(api.get("items?$filter=number+eq+'WID-001'").body["value"]) == 1


def test_changes_are_found_by_their_time_exclusively(api: Api) -> None:
    before = api.clock.now
    api.clock.now += timedelta(milliseconds=1500)
    api.post("/_sandbox/items", {"number": "WID-001", "blocked": True})
    (item,) = api.rows("items", f"lastModifiedDateTime gt {before:%Y-%m-%dT%H:%M:%SZ}")
    assert (item["number"], item["lastModifiedDateTime"]) == ("WID-001", "2026-03-02T12:00:01.5Z")
    assert _numbers(api, f"lastModifiedDateTime gt {item['lastModifiedDateTime']}") == []


def test_pages_are_as_long_as_asked_and_the_link_leads_through_all_rows_once(api: Api) -> None:
    seen: list[str] = []
    reply = api.get("items?$select=number&$filter=number%20ne%20'TS-1'", Prefer="odata.maxpagesize=4")
    while True:
        seen += [row["number"] for row in reply.body["value"]]
        link = reply.body.get("@odata.nextLink")
        if link is None:
            break
        assert "+" not in link
        reply = api.get(re.sub(r"^https?://[^/]+", "", link), Prefer="odata.maxpagesize=4")
    assert len(seen) == len(set(seen)) == 14
    assert "TS-1" not in seen


def test_top_skip_orderby_count_and_select_do_what_odata_says(api: Api) -> None:
    body = api.get("accounts?$orderby=number%20desc&$top=2&$skip=1&$count=true&$select=number").body
    assert [row["number"] for row in body["value"]] == ["40700", "40600"]
    assert body["@odata.count"] == 7
    assert set(body["value"][0]) == {"@odata.etag", "number"}
    assert api.get("accounts/$count").data == b"7"


def test_a_top_larger_than_the_page_goes_on_behind_the_link(api: Api) -> None:
    api.erp.switches.page_limit = 3
    first = api.get("accounts?$orderby=number&$top=5").body
    second = api.get(first["@odata.nextLink"].removeprefix("http://localhost")).body
    assert [len(first["value"]), len(second["value"])] == [3, 2]
    assert "@odata.nextLink" not in second


def test_order_lines_need_their_document(api: Api) -> None:
    order = api.order({"description": "only a comment"}).body
    reply = api.get("salesOrderLines")
    assert reply.status == 400
    assert "You must specify an Id or a Document Id to get the lines." in reply.message
    assert len(api.rows("salesOrderLines", f"documentId eq {order['id']}")) == 1
    assert len(api.get(f"salesOrders({order['id']})/salesOrderLines").body["value"]) == 1
    expanded = api.get(f"salesOrders({order['id']})?$expand=salesOrderLines").body
    assert expanded["salesOrderLines"][0]["lineType"] == "Comment"


def test_read_only_intent_is_an_error_on_a_write(api: Api) -> None:
    assert api.get("items", Data_Access_Intent="ReadOnly").status == 200
    reply = api.post("customers", {"displayName": "X"}, Data_Access_Intent="ReadOnly")
    assert reply.status == 400
    assert api.rows("customers", "displayName eq 'X'") == []


def test_an_answer_may_begin_with_a_byte_order_mark(api: Api) -> None:
    api.erp.switches.byte_order_mark = True
    assert api.get("items").data.startswith(b"\xef\xbb\xbf{")


def test_the_service_root_is_where_relative_links_begin(api: Api) -> None:
    assert {"name": "items", "kind": "EntitySet", "url": "items"} in api.get(f"{ROOT}/").body["value"]
