"""Changing sites and ERPs: only what is named changes, what cannot work is refused and changes nothing, and what waited goes on."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.bootstrap import Program
from app.db.store import SqlStore
from app.domain.road import Owed, Stage, StepState
from app.errors import Misconfigured, UsageError
from app.ports.store import Waiting
from app.sync.configure import add_erp, add_site
from app.sync.policy import HOLD_SETTINGS
from app.sync.reconfigure import Changed, Wanted, set_erp, set_site
from tests.contracts.store import Clock, World
from tests.parts.conftest import COMPANY, asked, asked_erp, with_erp, with_site

ALL_NAMED = "--credential key=... --credential secret=..."


def everything(program: Program) -> list[tuple[Any, ...]]:
    """All that is stored of sites and ERPs."""
    with program.engine.connect() as connection:
        return [
            tuple(row)
            for table in ("rm_sites", "rm_erps", "rm_thread", "rm_step")
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def change_site(program: Program, erp: str | None = None, **wanted: Any) -> Changed:
    return set_site(program.parts, "bgm", Wanted(**wanted), erp=erp)


def change_erp(program: Program, company: str | None = None, **wanted: Any) -> Changed:
    return set_erp(program.parts, "bc", Wanted(**wanted), company=company)


def refused(program: Program, change: Callable[..., Changed], **wanted: Any) -> str:
    """The sentence with which a change is refused; nothing of it is stored."""
    before = everything(program)
    with pytest.raises((UsageError, Misconfigured)) as error:
        change(program, **wanted)
    assert everything(program) == before
    return error.value.reason


def credentials(program: Program, name: str) -> dict[str, str]:
    stored = {each.name: each.credentials for each in program.parts.store.sites()}
    stored |= {each.name: each.credentials for each in program.parts.store.erps()}
    return program.parts.peers.decrypt(stored[name], name=name)


class OnProgram(World):
    """The moves of the store's contract on the program's own site `bgm` and its ERP `bc`, whose clock stands still."""

    def __init__(self, program: Program) -> None:
        self.clock = Clock()
        self.clock.now = program.parts.store.now()
        self.store = self.other = SqlStore(program.engine, clock=self.clock, audit_key=bytes)
        (self.site_id,) = (each.id for each in self.store.sites() if each.name == "bgm")
        (self.erp_id,) = (each.id for each in self.store.erps() if each.name == "bc")
        self.run_id = self.store.open_run(kind="orders", site_id=self.site_id)
        self._tokens = itertools.count(1)


def orders(program: Program) -> World:
    return OnProgram(program)


def execute(program: Program, sql: str) -> None:
    with program.engine.begin() as connection:
        connection.execute(text(sql))


def is_near(one: datetime, other: datetime) -> bool:
    return abs(one - other) < timedelta(seconds=30)


# What is named, and only that.


def test_one_setting_is_changed_and_everything_else_stays(program: Program) -> None:
    with_site(program, settings={"statuses": "processing,on-hold", "decimals": "3"})
    (before,) = program.parts.store.sites()
    changed = change_site(program, settings={"max_orders_per_run": "7"})
    (after,) = program.parts.store.sites()
    assert after.settings == {**before.settings, "max_orders_per_run": 7}
    assert (after.credentials, after.url, after.order_next_run) == (
        before.credentials, before.url, before.order_next_run,
    )  # fmt: skip
    assert changed == Changed(
        what=("max_orders_per_run",), unpaused=False, released=0, next_run=before.order_next_run
    )


def test_an_empty_setting_goes_back_to_its_default(program: Program) -> None:
    with_site(program, settings={"pay_later_methods": "cod,invoice"})
    change_site(program, settings={"pay_later_methods": ","})
    assert program.parts.store.sites()[0].settings["pay_later_methods"] == []
    change_site(program, settings={"pay_later_methods": ""})
    assert program.parts.store.sites()[0].settings["pay_later_methods"] == ["cod"]


def test_a_credential_that_is_not_named_stays_and_an_empty_one_is_taken_away(program: Program) -> None:
    with_site(program)
    with_erp(program)
    assert change_site(program, credentials={"secret": "cs_new"}).what == ("credential secret",)
    assert credentials(program, "bgm") == {"key": "ck_readable", "secret": "cs_new"}
    changed = change_erp(program, credentials={"client_secret": "", "username": "u"})
    assert changed.what == ("credential client_secret", "credential username")
    assert credentials(program, "bc") == {
        "token_url": "https://login.example.test/token", "client_id": "id_readable", "username": "u",
    }  # fmt: skip


def test_an_erps_settings_and_company_change_alone(program: Program) -> None:
    with_erp(program, settings={"account.fee": "40600", "country.GB": "UK", "default_customer": "WEB"})
    (before,) = program.parts.store.erps()
    changed = change_erp(
        program, company="another", settings={"country.GB": "", "country.AT": "A", "t_late": "900"}
    )
    (after,) = program.parts.store.erps()
    expected = {**before.settings, "country.AT": "A", "t_late": 900.0}
    del expected["country.GB"]
    assert (after.settings, after.company) == (expected, "another")
    assert after.settings["create_customers"] is False
    assert changed.what == ("country.AT", "country.GB", "t_late", "company")


def test_nothing_but_what_is_there_is_said_to_be_changed(program: Program) -> None:
    with_site(program)
    changed = change_site(program, url="https://SHOP.example.test/", credentials={"key": "ck_readable"})
    assert changed.what == ("url",)
    changed = change_site(program, settings={"decimals": "2"})
    assert changed.what == ()


def test_lost_keys_are_got_over_by_naming_every_credential(
    open_with: Callable[..., Program], program: Program
) -> None:
    with_site(program)
    other = open_with(ORDERSYNC_SECRET_KEY="MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    assert refused(other, change_site, credentials={"secret": "cs_new"}) == (
        "The credentials of bgm were stored with another key; give the old one in ORDERSYNC_SECRET_KEY (new,old). "
        f"Or name all of them anew, empty where there is none: {ALL_NAMED}"
    )
    change_site(other, credentials={"secret": "cs_new", "key": "ck_new"})
    assert credentials(other, "bgm") == {"key": "ck_new", "secret": "cs_new"}
    # What has nothing to do with credentials does not need the key.
    change_site(other, settings={"decimals": "3"})


# What is refused.


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "Say what to change: --url, --allow-private, --credential, --set or --erp."),
        ({"settings": {"overlap": "x"}}, "The setting overlap='x' must be a number of seconds above zero."),
        ({"settings": {"mark_key": "_x"}}, "mark_key: Use letters, digits, - and _, not beginning with _."),
        ({"credentials": {"token": "x"}}, "WooCommerce has no credential 'token'; it takes: key, secret."),
        ({"erp": "nav"}, "There is no ERP named 'nav' (there are: bc)."),
        (
            {"url": "https://10.0.0.7"},
            "10.0.0.7 is a private or local address; add --allow-private if that is meant.",
        ),
        (
            {"url": "https://other.example.test"},
            "The site 'other' has this address already; every order would be exported twice.",
        ),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    program: Program, wanted: dict[str, Any], expected: str
) -> None:
    with_erp(program)
    with_site(program)
    add_site(program.parts, asked(name="other", url="https://other.example.test"), prefix="OTH", erp=None)
    assert refused(program, change_site, **wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "Say what to change: --url, --company, --allow-private, --credential or --set."),
        ({"settings": {"t_late": "200"}}, "The ERP bc has t_late=200 s, which must be longer than ORDERSYNC_LEASE (300 s)."),
        (
            {"credentials": {"token_url": "https://127.0.0.1/token"}},
            "127.0.0.1 is a private or local address; add --allow-private if that is meant.",
        ),
        (
            {"company": "other-company"},
            "The ERP 'other' is this company at this address already; every order would be exported twice.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_for_an_erp_is_refused_and_changes_nothing(
    program: Program, wanted: dict[str, Any], expected: str
) -> None:
    with_erp(program)
    add_erp(program.parts, asked_erp(name="other"), company="other-company")
    assert refused(program, change_erp, **wanted) == expected


def test_a_private_address_must_be_allowed_for_the_stored_credentials_too(program: Program) -> None:
    with_erp(program, allow_private=True, credentials={"token_url": "https://10.0.0.7/token"})
    assert refused(program, change_erp, allow_private=False) == (
        "10.0.0.7 is a private or local address; add --allow-private if that is meant."
    )
    change_erp(program, allow_private=False, credentials={"token_url": "https://login.example.test/token"})
    assert not program.parts.store.erps()[0].allow_private


def test_a_name_that_is_not_there_is_refused_with_those_there_are(program: Program) -> None:
    with_erp(program)
    with pytest.raises(UsageError, match=r"There is no site named 'xyz' \(there are: none yet"):
        set_site(program.parts, "xyz", Wanted(moved=True), erp=None)
    with pytest.raises(UsageError, match=r"There is no ERP named 'xyz' \(there are: bc\)\."):
        set_erp(program.parts, "xyz", Wanted(), company="1")


# Another address.


def test_a_site_without_orders_may_go_anywhere(program: Program) -> None:
    with_site(program)
    assert change_site(program, url="https://elsewhere.example.test").what == ("url",)


def test_a_site_with_orders_moves_only_when_it_is_said_to_be_the_same_shop(program: Program) -> None:
    with_erp(program)
    with_site(program)
    orders(program).batch("1", "2")
    new = "https://elsewhere.example.test"
    assert refused(program, change_site, url=new) == (
        "The site bgm has 2 orders of the shop at https://shop.example.test. If https://elsewhere.example.test is that shop at "
        "a new address, add --moved; another shop is a site of its own (ordersync site add)."
    )
    change_site(program, url=new, moved=True)
    assert program.parts.store.sites()[0].url == new


@pytest.mark.parametrize(
    "url", ["https://shop.example.test/", "HTTPS://Shop.Example.test:443", "http://shop.example.test"]
)
def test_the_same_place_written_otherwise_is_no_move(program: Program, url: str) -> None:
    with_erp(program)
    with_site(program, allow_private=True)
    orders(program).batch("1")
    change_site(program, url=url)
    assert program.parts.store.sites()[0].url == url.rstrip("/")


def test_an_erp_that_was_sent_nothing_may_become_another_and_its_items_are_read_anew(
    program: Program,
) -> None:
    erp_id = with_erp(program)
    program.parts.store.save_items(erp_id, [], source="erp", cursor=program.parts.store.now())
    changed = change_erp(program, company="another")
    (row,) = program.parts.store.erps()
    assert (row.company, row.items_cursor) == ("another", None)
    assert is_near(changed.next_run, program.parts.store.now())


def test_an_erp_that_was_sent_orders_keeps_its_company_and_moves_only_when_that_is_said(
    program: Program,
) -> None:
    erp_id = with_erp(program)
    with_site(program)
    world = orders(program)
    world.sent("1")
    cursor = program.parts.store.now()
    program.parts.store.save_items(erp_id, [], source="erp", cursor=cursor)
    assert refused(program, change_erp, company="another") == (
        "The company of the ERP bc cannot change: it was sent 1 order. Add the other company as an ERP of its own "
        "(ordersync erp add) and let sites go to it (ordersync site set SITE --erp NAME)."
    )
    new = "https://erp.example.test/v2.0/other/api/v2.0"
    assert refused(program, change_erp, url=new) == (
        "The ERP bc was sent 1 order at https://erp.example.test/api/v2.0. If "
        "https://erp.example.test/v2.0/other/api/v2.0 is the same company at a new address, add --moved; another company is "
        "an ERP of its own (ordersync erp add)."
    )
    change_erp(program, company=COMPANY.upper(), url=new, moved=True)
    (row,) = program.parts.store.erps()
    assert (row.url, row.items_cursor) == (new, cursor)


# Another ERP.


def test_a_site_goes_to_another_erp_unless_an_export_is_in_doubt(program: Program) -> None:
    with_erp(program)
    other = add_erp(program.parts, asked_erp(name="nav"), company="nav")
    add_site(program.parts, asked(), prefix="BGM", erp="bc")
    batch_id, token, step = orders(program).sent("1")
    assert refused(program, change_site, erp="nav") == (
        "What was sent to the ERP bc for 1 order of bgm got no clear answer; the ERP can be changed when that is "
        "settled (ordersync queue, ordersync errors list --site bgm)."
    )
    assert change_site(program, erp="bc").what == ()
    unsent = Waiting(id=step.step_id, reason="No.", next_at=program.parts.store.now(), state=StepState.OWED)
    program.parts.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[unsent])
    assert change_site(program, erp="nav").what == ("erp",)
    assert program.parts.store.sites()[0].erp_id == other


def test_naming_the_only_erp_that_was_meant_all_along_is_no_change_of_it(program: Program) -> None:
    with_erp(program)
    with_site(program)
    orders(program).sent("1")
    assert change_site(program, erp="bc").what == ("erp",)


# What waited goes on.


def test_a_change_lifts_the_pause_and_releases_what_was_held_for_settings(program: Program) -> None:
    with_erp(program)
    site_id = with_site(program)
    store = program.parts.store
    world = orders(program)
    batch_id = world.batch("1", "2")
    token = world.token()
    claimed = store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=60.0)
    later = store.now() + timedelta(minutes=5)
    store.settle(
        Stage.NORMALIZE,
        batch_id=batch_id,
        token=token,
        outcomes=[
            Waiting(id=each.thread_id, reason="Refused.", next_at=later, hold_kind=kind)
            for each, kind in zip(claimed, (HOLD_SETTINGS, "sku"), strict=True)
        ],
    )
    store.pause_site(site_id, until=later, reason="Refused.")
    changed = change_site(program, credentials={"secret": "cs_right"})
    assert (changed.unpaused, changed.released) == (True, 1)
    (site,) = store.sites()
    assert (site.paused_until, site.paused_reason) == (None, None)
    assert is_near(site.order_next_run, store.now())
    assert len(store.due(rung_before=600.0, limit=10)) == 1
    store.pause_erp(world.erp_id, until=later, reason="Refused.")
    changed = change_erp(program, settings={"account.fee": "40600"})
    assert (changed.unpaused, is_near(changed.next_run, store.now())) == (True, True)
    assert store.erps()[0].paused_reason is None


def test_a_refused_change_lifts_no_pause(program: Program) -> None:
    site_id = with_site(program)
    until = program.parts.store.now() + timedelta(minutes=5)
    program.parts.store.pause_site(site_id, until=until, reason="Refused.")
    refused(program, change_site, settings={"schedule": "never"})
    assert program.parts.store.sites()[0].paused_until == until


def test_another_schedule_says_anew_when_the_next_run_is(program: Program) -> None:
    with_site(program)
    with_erp(program)
    yearly = "0 0 1 1 *"
    changed = change_site(program, settings={"schedule": yearly})
    assert (changed.next_run.month, changed.next_run.day, changed.next_run.hour) == (1, 1, 0)
    assert program.parts.store.sites()[0].order_next_run == changed.next_run
    changed = change_erp(program, settings={"items_schedule": yearly})
    assert program.parts.store.erps()[0].items_next_run == changed.next_run
    assert (changed.next_run.month, changed.next_run.day) == (1, 1)
