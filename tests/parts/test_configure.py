"""Adding sites and ERPs: what cannot work is refused with one sentence, and nothing is stored."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from app.bootstrap import Program
from app.errors import Misconfigured, UsageError
from app.sync.configure import add_erp, add_site
from app.sync.options import erp_options, site_options
from tests.parts.conftest import COMPANY, asked, asked_erp, with_erp, with_site

# What is refused is refused before the database is asked.
pytestmark = pytest.mark.once


def assert_nothing_stored(program: Program) -> None:
    assert (program.parts.store.sites(), program.parts.store.erps()) == ((), ())


def refuse(program: Program, make: Callable[..., Any], **changes: object) -> str:
    """The sentence with which these settings are refused."""
    with pytest.raises((UsageError, Misconfigured)) as refused:
        make(program, **changes)
    assert_nothing_stored(program)
    assert "\n" not in refused.value.reason
    return refused.value.reason


def test_a_site_is_stored_as_it_was_asked_for_with_every_setting_filled_in(program: Program) -> None:
    with_site(program, url="https://shop.example.test/eu/", settings={"max_orders_per_run": "500"})
    (site,) = program.parts.store.sites()
    assert (site.name, site.platform, site.url, site.prefix, site.erp_id, site.allow_private) == (
        "bgm", "woocommerce", "https://shop.example.test/eu", "BGM", None, False,
    )  # fmt: skip
    assert site.is_active
    assert site.orders_sync
    assert site.cursor is None
    assert site.settings == {
        "statuses": ["processing"],
        "mark_key": "sumatra_wc_integrator_exported",
        "ack_status": "",
        "gift_card_by_difference": False,
        "pay_later_methods": ["cod"],
        "store_credit_fee_names": ["Store credit"],
        "fractional_quantities": False,
        "decimals": 2,
        "calls_at_once": 4,
        "calls_per_minute": 0,
        "schedule": "0 * * * *",
        "max_orders_per_run": 500,
        "min_order_date": None,
        "skip_test_orders": True,
        "take_marked": False,
        "overlap": 300.0,
        "reconcile_schedule": "30 2 * * *",
        "reconcile_days": 14,
        "reconcile_heals": True,
        "fresh_minutes": None,
        "hold_hours": 48,
    }


@pytest.mark.parametrize("name", ["", "BGM", "a b", "-a", "_a", "a/b", "ä", "a" * 64, "a\n"])
def test_a_name_that_is_hard_to_type_is_refused(program: Program, name: str) -> None:
    for make in (with_site, with_erp):
        reason = refuse(program, make, name=name)
        assert reason.startswith("The name ")
        assert "must be small letters, digits, - and _, beginning with a letter or digit." in reason


@pytest.mark.parametrize("prefix", ["", "bgm", "B-GM", "B GM", "Ä", "B" * 17, "BGM\n"])
def test_a_prefix_that_is_not_capital_letters_and_digits_is_refused(program: Program, prefix: str) -> None:
    with pytest.raises(UsageError) as refused:
        add_site(program.parts, asked(), prefix=prefix, erp=None)
    assert refused.value.reason == (
        f"The prefix {prefix!r} must be 1 to 16 capital letters and digits, such as BGM."
    )
    assert_nothing_stored(program)


def test_a_name_or_prefix_that_is_taken_is_refused(program: Program) -> None:
    with_site(program)
    with_erp(program)
    with pytest.raises(UsageError, match=r"There is a site named 'bgm' already\."):
        add_site(program.parts, asked(), prefix="XYZ", erp=None)
    with pytest.raises(
        UsageError, match=r"The prefix BGM belongs to the site 'bgm'; order numbers must differ\."
    ):
        add_site(program.parts, asked(name="other", url="https://other.example.test"), prefix="BGM", erp=None)
    with pytest.raises(UsageError, match=r"There is an ERP named 'bc' already\."):
        add_erp(program.parts, asked_erp(), company=COMPANY)
    assert (len(program.parts.store.sites()), len(program.parts.store.erps())) == (1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.test/eu",
        "https://shop.example.test/eu/",
        "HTTPS://Shop.Example.TEST/eu",
        "https://shop.example.test:443/eu",
    ],
)
def test_a_second_site_at_the_same_address_is_refused_however_it_is_written(
    program: Program, url: str
) -> None:
    with_site(program, url="https://shop.example.test/eu")
    with pytest.raises(UsageError) as refused:
        add_site(program.parts, asked(name="other", url=url), prefix="OTH", erp=None)
    assert refused.value.reason == (
        "The site 'bgm' has this address already; every order would be exported twice."
    )
    assert len(program.parts.store.sites()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.test/us",
        "https://shop.example.test/EU",
        "https://shop.example.test:8443/eu",
        "https://shop2.example.test/eu",
    ],
)
def test_a_second_site_at_another_address_is_stored(program: Program, url: str) -> None:
    with_site(program, url="https://shop.example.test/eu")
    add_site(program.parts, asked(name="other", url=url), prefix="OTH", erp=None)
    assert len(program.parts.store.sites()) == 2


def test_a_second_erp_for_the_same_company_is_refused_and_for_another_one_is_stored(program: Program) -> None:
    with_erp(program)
    second = asked_erp(name="other", url="https://ERP.example.test:443/api/v2.0/")
    with pytest.raises(UsageError) as refused:
        add_erp(program.parts, second, company=COMPANY.upper())
    assert refused.value.reason == (
        "The ERP 'bc' is this company at this address already; every order would be exported twice."
    )
    assert len(program.parts.store.erps()) == 1
    add_erp(program.parts, second, company="00000000-0000-0000-0000-000000000001")
    assert len(program.parts.store.erps()) == 2


def test_an_unknown_platform_is_refused_with_those_there_are(program: Program) -> None:
    assert refuse(program, with_site, platform="magento") == (
        "There is no platform 'magento'; there are: bigcommerce, business_central, woocommerce."
    )


def test_a_shop_is_no_erp_and_an_erp_no_shop(program: Program) -> None:
    assert refuse(program, with_site, platform="business_central") == "Business Central is no sales channel."
    assert refuse(program, with_erp, platform="woocommerce", credentials={}) == "WooCommerce is no ERP."


def test_a_credential_the_system_does_not_know_is_refused_without_its_value(program: Program) -> None:
    reason = refuse(program, with_site, credentials={"key": "ck", "password": "pw_hidden"})
    assert reason == "WooCommerce has no credential 'password'; it takes: key, secret."


def test_a_site_may_name_its_erp_and_only_one_there_is(program: Program) -> None:
    with pytest.raises(UsageError, match=r"There is no ERP named 'nav' \(there are: none yet\)\."):
        add_site(program.parts, asked(), prefix="BGM", erp="nav")
    assert_nothing_stored(program)
    erp_id = with_erp(program)
    add_site(program.parts, asked(), prefix="BGM", erp="bc")
    assert program.parts.store.sites()[0].erp_id == erp_id


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254"])
def test_a_private_address_needs_to_be_allowed(program: Program, host: str) -> None:
    reason = refuse(program, with_site, url=f"http://{host}:8090")
    assert (
        reason == f"{host.strip('[]')} is a private or local address; add --allow-private if that is meant."
    )
    with_site(program, url=f"http://{host}:8090", allow_private=True)
    assert program.parts.store.sites()[0].allow_private is True


@pytest.mark.parametrize("host", ["localhost", "2130706433"])
def test_a_name_for_a_private_address_needs_to_be_allowed_too(program: Program, host: str) -> None:
    reason = refuse(program, with_site, url=f"http://{host}:8090")
    assert reason.startswith(f"{host} resolves to the private address ")
    with_site(program, url=f"http://{host}:8090", allow_private=True)


def test_a_private_sign_in_address_needs_to_be_allowed_too(program: Program) -> None:
    credentials = {"token_url": "http://169.254.169.254/token", "client_id": "a", "client_secret": "b"}
    assert refuse(program, with_erp, credentials=credentials).startswith("169.254.169.254 is a private")


@pytest.mark.parametrize(
    "url", ["shop.example.test", "ftp://shop.example.test", "http://[::1", "https://shop.example.test:abc"]
)
def test_an_address_that_is_none_is_refused_with_a_sentence(program: Program, url: str) -> None:
    refuse(program, with_site, url=url)


def test_a_name_that_does_not_resolve_yet_may_be_added(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_arguments: object, **_options: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", nobody)
    with_site(program, url="https://soon.example.test")
    assert program.parts.store.sites()[0].url == "https://soon.example.test"


@pytest.mark.parametrize("late", ["300", "299.9", "5"])
def test_a_t_late_that_is_not_longer_than_the_lease_is_refused(program: Program, late: str) -> None:
    assert refuse(program, with_erp, settings={"t_late": late}) == (
        f"The ERP bc has t_late={late} s, which must be longer than ORDERSYNC_LEASE (300 s)."
    )


def test_a_t_late_just_longer_than_the_lease_is_taken(program: Program) -> None:
    with_erp(program, settings={"t_late": "300.1"})
    assert program.parts.store.erps()[0].settings["t_late"] == 300.1


_GOOD_SITE: list[tuple[str, str, Any]] = [
    ("schedule", "*/5 6-22 * * 1-5", "*/5 6-22 * * 1-5"),
    ("max_orders_per_run", "1", 1),
    ("max_orders_per_run", " 100000 ", 100_000),
    ("min_order_date", "", None),
    ("min_order_date", "2026-11-01", "2026-11-01T00:00:00+00:00"),
    ("min_order_date", "2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00+00:00"),
    ("skip_test_orders", "no", False),
    ("skip_test_orders", "ON", True),
    ("take_marked", "1", True),
    ("overlap", "0.5", 0.5),
    ("statuses", "processing, wc-on-hold", ["processing", "on-hold"]),
    ("decimals", "3", 3),
    ("calls_at_once", "2", 2),
    ("calls_per_minute", "600", 600),
]


@pytest.mark.parametrize(("name", "text", "value"), _GOOD_SITE)
def test_a_good_setting_of_a_site_is_stored_with_its_type(
    program: Program, name: str, text: str, value: object
) -> None:
    with_site(program, settings={name: text})
    (site,) = program.parts.store.sites()
    assert site.settings[name] == value
    assert isinstance(site_options(site.settings).min_order_date, datetime | None)


_BAD_SITE = [
    ("schedule", "hourly"),
    ("schedule", "* * * * * *"),
    ("schedule", "61 * * * *"),
    ("schedule", ""),
    ("schedule", "0 0 30 2 *"),
    ("max_orders_per_run", "0"),
    ("max_orders_per_run", "100001"),
    ("max_orders_per_run", "-5"),
    ("max_orders_per_run", "1.5"),
    ("max_orders_per_run", ""),
    ("min_order_date", "01.11.2026"),
    ("skip_test_orders", "maybe"),
    ("take_marked", ""),
    ("overlap", "0"),
    ("overlap", "-1"),
    ("overlap", "nan"),
    ("overlap", "inf"),
    ("overlap", "5 min"),
]
_BAD_PLATFORM = [
    ("statuses", "any"),
    ("decimals", "5"),
    ("calls_at_once", "0"),
    ("calls_per_minute", "-1"),
    ("decimals", "x"),
    ("mark_key", "_billing"),
    ("colour", "red"),
]


@pytest.mark.parametrize(("name", "text"), _BAD_SITE)
def test_a_bad_setting_of_a_site_is_refused_by_name_and_value(program: Program, name: str, text: str) -> None:
    reason = refuse(program, with_site, settings={name: text})
    assert reason.startswith(f"The setting {name}={text!r} must ")


@pytest.mark.parametrize(("name", "text"), _BAD_PLATFORM)
def test_a_bad_or_unknown_setting_of_the_platform_is_refused_by_name(
    program: Program, name: str, text: str
) -> None:
    assert name in refuse(program, with_site, settings={name: text})


_WINDOW = {"weekday": 6, "start": "22:00", "minutes": 120, "zone": "Europe/Berlin"}
_GOOD_ERP: list[tuple[str, str, Any]] = [
    ("t_late", "1200", 1200.0),
    ("create_customers", "false", False),
    ("total_tolerance", "0.05", "0.05"),
    ("items_schedule", "0 */2 * * *", "0 */2 * * *"),
    ("windows", "", []),
    ("windows", "sun 22:00 120 Europe/Berlin", [_WINDOW]),
    ("windows", "Sunday 22:00 120 Europe/Berlin", [_WINDOW]),
    (
        "windows",
        "sun 22:00 120 Europe/Berlin; mon 01:30 60 ;",
        [_WINDOW, {"weekday": 0, "start": "01:30", "minutes": 60, "zone": "UTC"}],
    ),
    ("account.shipping", "40400", "40400"),
    ("country.GB", "uk", "UK"),
    ("tax.mode", "erp", "erp"),
]


@pytest.mark.parametrize(("name", "text", "value"), _GOOD_ERP)
def test_a_good_setting_of_an_erp_is_stored_with_its_type(
    program: Program, name: str, text: str, value: object
) -> None:
    with_erp(program, settings={name: text})
    assert program.parts.store.erps()[0].settings[name] == value


_BAD_ERP = [
    ("t_late", "soon"),
    ("create_customers", "perhaps"),
    ("total_tolerance", "-0.01"),
    ("total_tolerance", "NaN"),
    ("total_tolerance", "1,00"),
    ("items_schedule", "@hourly"),
    ("windows", "sun 22:00"),
    ("windows", "xyz 22:00 120"),
    ("windows", "sun 24:00 120"),
    ("windows", "sun 22:00 two UTC"),
    ("windows", "sun 22:00 120 Mars/Base"),
    ("windows", "sun 22:00 120 Europe"),
    ("windows", "sun 22:00 120 UTC mon 01:00 60 UTC"),
    ("windows", "sun 22:00 0"),
    ("windows", "sun 22:00 8640"),
    ("windows", "sun 22:00 60, mon 22:00 60"),
]


@pytest.mark.parametrize(("name", "text"), _BAD_ERP)
def test_a_bad_setting_of_an_erp_is_refused_by_name_and_value(program: Program, name: str, text: str) -> None:
    reason = refuse(program, with_erp, settings={name: text})
    assert reason.startswith(f"The setting {name}={text!r} must ")


@pytest.mark.parametrize(("name", "text"), [("tax.mode", "both"), ("account.tip", "1"), ("country.gb", "UK")])
def test_a_bad_or_unknown_setting_of_the_erps_system_is_refused_by_name(
    program: Program, name: str, text: str
) -> None:
    assert name in refuse(program, with_erp, settings={name: text})


@pytest.mark.parametrize(
    ("given", "creates"),
    [
        ({}, True),
        ({"default_customer": "WEB-CASH"}, False),
        ({"default_customer": "  "}, True),
        ({"default_customer": "WEB-CASH", "create_customers": "yes"}, True),
        ({"create_customers": "no"}, False),
    ],
)
def test_customers_are_created_unless_there_is_a_default_one(
    program: Program, given: Mapping[str, str], creates: bool
) -> None:
    with_erp(program, settings=dict(given))
    options = erp_options(program.parts.store.erps()[0].settings)
    assert options.create_customers is creates
    assert options.default_customer == given.get("default_customer", "").strip()
    assert options.late.total_seconds() == 1200


@pytest.mark.parametrize("place", ["url", "token_url"])
def test_plain_http_over_the_open_net_is_refused_for_an_address_and_for_one_among_credentials(
    program: Program, place: str
) -> None:
    http = "http://login.example.test/token"
    secret = {"client_id": "id_readable", "client_secret": "bc_readable", "token_url": http}
    changes = {"url": http} if place == "url" else {"credentials": secret}
    with pytest.raises(Misconfigured) as refused:
        with_erp(program, **changes)
    assert refused.value.reason == (
        "The address must begin with https://: customers' addresses and the credentials go there. Plain http is for "
        "systems that are added with --allow-private."
    )
    assert program.parts.store.erps() == ()
    with_erp(program, **changes, allow_private=True)
    assert len(program.parts.store.erps()) == 1
