"""Sites and ERPs looked at over HTTP: refused, misnamed, blocked, skewed, silent, paused, closed."""

import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.bootstrap import pipeline
from app.sandbox.erp.records import put
from app.sandbox.server import serve
from tests.doctor.conftest import Peers

# About shops and ERPs.
pytestmark = pytest.mark.once

COMPANY_OK = "The company CRONUS Sandbox answers; reading works, and writing is proved by the first export."
ANOTHER = "c2f0d7f4-0b6e-4c53-8b0a-5d1f3e7a9b02"
AGAIN = "  # it is tried again by itself"


def requests_of(peers: Peers) -> list[str]:
    """What the ERP was asked."""
    return [each["path"] for each in peers.erp.requests()]


def test_a_shop_and_an_erp_that_are_as_they_must_be(peers: Peers) -> None:
    peers.connect()
    peers.shop.generate(3)
    before, documents = peers.shop.overview(), len(peers.erp.books.table("salesOrders"))
    found = {each.check: each for each in peers.installation.look("site", "erp")}
    assert sorted(found) == ["erp:bc", "site:bgm"]
    assert (found["site:bgm"].level, found["site:bgm"].found) == (
        "ok",
        "Reading and writing work; the shop has 3 orders.",
    )
    assert (found["erp:bc"].level, found["erp:bc"].found) == ("ok", COMPANY_OK)
    assert peers.shop.overview() == before
    assert len(peers.erp.books.table("salesOrders")) == documents
    # The token, the companies, and one batch of reads.
    assert [path.rpartition("/")[2] for path in requests_of(peers)] == ["token", "companies", "$batch"]


def test_nothing_connected_is_warned_of(peers: Peers) -> None:
    found = peers.installation.look()
    assert [(each.check, each.found, each.do) for each in found if each.check in {"erp", "site"}] == [
        ("erp", "No erp is connected yet.", "ordersync erp add ..."),
        ("site", "No site is connected yet.", "ordersync site add ..."),
    ]


# Shops


def test_a_wrong_secret_says_what_to_type_without_it(peers: Peers) -> None:
    peers.connect(key=("ck_sandbox", "cs_wrong"))
    assert peers.installation.one("site:bgm") == (
        "wrong",
        "The consumer secret is wrong (Invalid signature - provided signature does not match.); set the credential secret anew.",
        "BGM_SECRET=... ordersync site set bgm --credential secret=env:BGM_SECRET",
    )


def test_a_key_that_is_not_known_is_to_be_given_with_its_secret(peers: Peers) -> None:
    peers.connect(key=("ck_nobody", "cs_sandbox"))
    level, found, do = peers.installation.one("site:bgm")
    assert level == "wrong"
    assert found.startswith("The shop does not know the API key")
    assert do == (
        "BGM_KEY=... BGM_SECRET=... ordersync site set bgm --credential key=env:BGM_KEY --credential secret=env:BGM_SECRET"
    )


def test_a_key_that_may_only_read_is_found_before_the_first_order_is(peers: Peers) -> None:
    peers.connect(key=("ck_read", "cs_read"))
    assert peers.installation.one("site:bgm") == (
        "wrong",
        (
            "The API key may only read (The API key provided does not have write permissions.) Give it Read/Write under"
            " WooCommerce > Settings > Advanced > REST API."
        ),
        "ordersync doctor site:bgm  # when it is put right in WooCommerce",
    )


@pytest.mark.parametrize("setting", ["statuses", "ack_status"])
def test_a_status_that_the_shop_does_not_have_is_named(peers: Peers, setting: str) -> None:
    peers.connect(site={setting: "packed"})
    level, found, do = peers.installation.one("site:bgm")
    assert level == "wrong"
    assert found.startswith("The shop has no order status 'packed'")
    assert do == f"ordersync site set bgm --set {setting}=..."


def test_a_page_of_the_shops_own_in_place_of_its_api_points_to_the_permalinks(peers: Peers) -> None:
    peers.connect(shop_url=f"{peers.shop_server.url}/shop")
    assert peers.installation.one("site:bgm") == (
        "wrong",
        (
            "This address answers, but there is nothing under its /wp-json/. Check the address, and in WordPress that"
            " Settings > Permalinks is not Plain."
        ),
        "ordersync site set bgm --url ...",
    )


def test_a_shop_that_is_away_and_one_that_says_nothing(peers: Peers) -> None:
    peers.connect()
    peers.shop_server.latency_ms = 2000
    assert peers.installation.one("site:bgm", seconds=0.5) == (
        "wrong",
        "There was no answer within 0.5 s.",
        "ordersync doctor site:bgm",
    )
    peers.shop_server.stop()
    assert peers.installation.one("site:bgm") == (
        "wrong",
        "bgm: no connection to the service (it was refused).",
        f"ordersync doctor site:bgm{AGAIN}",
    )
    # The ERP was looked at all the same.
    assert {each.check: each.level for each in peers.installation.look("site", "erp")} == {
        "erp:bc": "ok",
        "site:bgm": "wrong",
    }


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_one_call_to_a_silent_shop_has_its_own_time(peers: Peers, silent: str) -> None:
    peers.connect(shop_url=silent)
    assert peers.installation.but(ORDERSYNC_HTTP_TIMEOUT="0.3").one("site:bgm") == (
        "wrong",
        "The shop gave no whole answer (no answer within 0.3 s (ReadTimeout)).",
        f"ordersync doctor site:bgm{AGAIN}",
    )


def test_a_shop_behind_a_redirect_names_the_address(peers: Peers) -> None:
    def elsewhere(_: object, start_response: object) -> list[bytes]:
        start_response("301 Moved", [("Location", "https://www.shop.example/?a=b")])  # type: ignore[operator]
        return [b""]

    with serve(elsewhere) as server:
        peers.connect(shop_url=server.url)
        assert peers.installation.one("site:bgm") == (
            "wrong",
            "bgm: the service redirects to https://www.shop.example/; set the address to the one it redirects to.",
            "ordersync site set bgm --url ...",
        )


def test_a_site_that_is_disabled_is_not_called(peers: Peers) -> None:
    peers.connect()
    peers.shop_server.stop()
    with peers.installation.opened() as program, program.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rm_sites SET is_active = 0")
    assert peers.installation.one("site:bgm") == (
        "ok",
        "It is disabled, and is not called.",
        "ordersync site enable bgm",
    )


def test_a_pause_is_told_with_its_reason_and_whether_it_is_still_needed(peers: Peers) -> None:
    peers.connect()
    with peers.installation.opened() as program:
        store = program.parts.store
        until = store.now() + timedelta(minutes=5)
        store.pause_site(1, until=until, reason="The shop does not know the API key.")
        store.pause_erp(1, until=until, reason="Business Central refuses access (403): No.")
    assert peers.installation.one("site:bgm") == (
        "warning",
        f"It is paused until {until:%H:%M} UTC (The shop does not know the API key), but answers now.",
        "ordersync sync bgm",
    )
    assert peers.installation.one("erp:bc")[1:] == (
        f"It is paused until {until:%H:%M} UTC (Business Central refuses access (403): No), but answers now.",
        "ordersync items sync",
    )


def test_a_pause_is_told_with_the_first_run_that_failed(peers: Peers) -> None:
    peers.connect(key=("ck_sandbox", "cs_wrong"))
    with peers.installation.opened() as program:
        store = program.parts.store
        runs = [store.open_run(kind="orders", site_id=1) for _ in range(3)]
        store.finish_reading(runs[0], state="finished", reason="")
        for run_id in runs[1:]:
            pipeline.fetch(program.parts, site_id=1, run_id=run_id, ring=lambda _: None)
        (site,) = store.sites()
        since, until = store.run(runs[1]).started_at, site.paused_until
        credentials = program.parts.peers.encrypt({"key": "ck_sandbox", "secret": "cs_sandbox"})
        with program.engine.begin() as connection:
            connection.execute(text("UPDATE rm_sites SET credentials = :new"), {"new": credentials})
    assert until is not None
    assert peers.installation.one("site:bgm") == (
        "warning",
        (
            f"It is paused since {since:%Y-%m-%d %H:%M} and until {until:%H:%M} UTC (The consumer secret is wrong (Invalid signature"
            " - provided signature does not match.); set the credential secret anew), but answers now."
        ),
        "ordersync sync bgm",
    )


def test_a_site_with_two_erps_to_choose_from_must_name_one(peers: Peers) -> None:
    peers.connect()
    with peers.installation.opened() as program, program.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO rm_erps (name, platform, url, company, allow_private, settings, credentials, is_active,"
                " items_next_run, created_at) SELECT 'second', platform, url, 'another', allow_private, settings,"
                " credentials, 0, items_next_run, created_at FROM rm_erps"
            )
        )
    first, *_ = peers.installation.look("site:bgm")
    assert (first.level, first.found, first.do) == (
        "wrong",
        "There are several ERPs, and it is not said which one its orders go to.",
        "ordersync site set bgm --erp ...",
    )
    assert peers.installation.one("erp:second") == ("ok", "It is disabled, and is not called.", "")


# Clocks


@pytest.mark.parametrize(
    ("seconds", "level", "found"),
    [
        (20, "ok", COMPANY_OK),
        (120, "warning", "Its clock is 120 s ahead of this machine's."),
        (-120, "warning", "Its clock is 120 s behind this machine's."),
        (-3600, "wrong", "Its clock is 3600 s behind this machine's."),
    ],
)
def test_a_clock_that_is_off_is_told(peers: Peers, seconds: int, level: str, found: str) -> None:
    peers.connect()
    peers.erp_server.clock_offset = peers.shop_server.clock_offset = seconds
    near = {found.replace(str(abs(seconds)), str(abs(seconds) + by)) for by in (-2, -1, 0, 1)}
    erp = peers.installation.one("erp:bc")
    assert (erp[0], erp[1] in near) == (level, True)
    site = peers.installation.one("site:bgm")
    assert site[0] == level
    if level != "ok":
        assert site[1] in near
        assert site[2] == "timedatectl set-ntp true  # here, or there if this machine's clock is right"


# ERPs


def test_a_refused_client_says_what_to_type(peers: Peers) -> None:
    peers.connect(client_secret="wrong")
    assert peers.installation.one("erp:bc") == (
        "wrong",
        "The sign-in service refuses the client (401 invalid_client); check token_url, client_id, client_secret and scope.",
        "BC_CLIENT_SECRET=... ordersync erp set bc --credential client_secret=env:BC_CLIENT_SECRET",
    )


def test_a_company_that_is_not_there_is_told_with_those_that_are(peers: Peers) -> None:
    peers.connect(company=ANOTHER)
    assert peers.installation.one("erp:bc") == (
        "wrong",
        (
            f"Business Central has no company {ANOTHER} at this address (there are: CRONUS Sandbox"
            " (7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01))."
        ),
        "ordersync erp set bc --company ...",
    )


def test_what_the_settings_name_must_be_there(peers: Peers) -> None:
    with peers.erp.lock:
        put(peers.erp.books, "customers", {"number": "WEB-CASH", "blocked": "Invoice"})
        put(peers.erp.books, "accounts", {"number": "40600", "blocked": True})
    peers.connect(
        erp={
            "account.shipping": "49999",
            "account.tax": "40000",
            "account.fee": "40600",
            "account.gift_card": "49999",
        }
    )
    found = peers.installation.look("erp:bc")
    assert {each.level for each in found} == {"wrong"}
    assert [(each.found, each.do) for each in found] == [
        (
            "The default customer WEB-CASH is blocked in Business Central (Invoice); it takes no orders.",
            "ordersync erp set bc --set default_customer=...",
        ),
        (
            "The account 49999 (shipping, gift_card) does not exist in Business Central.",
            "ordersync erp set bc --set account.shipping=... --set account.gift_card=...",
        ),
        (
            "The account 40000 (tax) does not allow direct posting in Business Central, so that no order line takes it.",
            "ordersync erp set bc --set account.tax=...",
        ),
        (
            "The account 40600 (fee) is blocked in Business Central.",
            "ordersync erp set bc --set account.fee=...",
        ),
    ]


def test_accounts_that_are_not_set_are_warned_of(peers: Peers) -> None:
    peers.connect(erp={"account.shipping": "", "account.tax": "", "default_customer": "web-cash"})
    assert peers.installation.one("erp:bc") == (
        "warning",
        "No account is set for shipping and tax; an order that needs one is rejected.",
        "ordersync erp set bc --set account.shipping=... --set account.tax=...",
    )


def test_a_lease_beyond_t_late_names_the_setting(peers: Peers) -> None:
    peers.connect(erp={"t_late": "310"})
    later = peers.installation.but(ORDERSYNC_LEASE="320")
    assert later.one("erp:bc") == (
        "wrong",
        "The ERP bc has t_late=310 s, which must be longer than ORDERSYNC_LEASE (320 s).",
        "ordersync erp set bc --set t_late=...",
    )


def test_an_erp_in_its_maintenance_window_is_not_called(peers: Peers) -> None:
    peers.connect()
    now = datetime.now(UTC)
    hours = next(each for each in range(200) if (now + timedelta(hours=each)).strftime("%a %H") == "Sun 23")
    closed = peers.installation.but(ORDERSYNC_CLOCK_SHIFT=str(hours * 3600))
    assert closed.one("erp:bc") == (
        "warning",
        "It is in its maintenance window until Mon 04:00 UTC, and is not called.",
        "ordersync doctor erp:bc  # after 04:00 UTC",
    )
    assert requests_of(peers) == []


@pytest.mark.only_on("sqlite")
def test_an_erp_without_its_database_is_not_called(peers: Peers) -> None:
    peers.connect()
    shutil.move(peers.installation.var / "ordersync.db", peers.installation.var / "elsewhere.db")
    (finding,) = peers.installation.look("erp:bc")
    assert (finding.check, finding.level) == ("connected", "warning")
