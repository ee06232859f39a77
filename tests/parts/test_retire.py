"""Switching off, removing and bringing back: nothing in motion is left behind, and nothing is exported under two names."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.bootstrap import Program, pipeline
from app.domain.road import Stage
from app.errors import UsageError
from app.ports.desk import ErrorFilter
from app.ports.systems import Removal
from app.sync.configure import add_erp, add_site
from app.sync.items import sync_items
from app.sync.parts import Parts
from app.sync.retire import disable_site, enable_site, remove_erp, remove_site
from app.sync.schedule import tick
from tests.contracts.store_systems import fail, finish, wait
from tests.parts.conftest import COMPANY, asked, asked_erp, with_erp, with_site
from tests.parts.test_reconfigure import everything, execute, orders


class Person:
    """Answers, and remembers what was asked."""

    def __init__(self, *, sure: bool = True) -> None:
        self._sure = sure
        self.asked: list[str] = []

    def __call__(self, question: str) -> bool:
        self.asked.append(question)
        return self._sure


def refused(program: Program, call: Callable[..., object], *arguments: Any, **more: Any) -> str:
    before = everything(program)
    with pytest.raises(UsageError) as error:
        call(program.parts, *arguments, **more)
    assert everything(program) == before
    return error.value.reason


def both(program: Program) -> None:
    with_erp(program)
    with_site(program)


def test_a_disabled_site_is_due_no_more_until_it_is_enabled(program: Program) -> None:
    both(program)
    world = orders(program)
    world.batch("1")
    execute(program, "UPDATE rm_sites SET order_next_run = '2026-01-01 00:00:00.000000'")
    assert [site.id for site in tick(program.parts).sites] == [world.site_id]
    assert disable_site(program.parts, "bgm") == 1
    assert tick(program.parts).sites == ()
    assert len(program.parts.store.due(rung_before=0.0, limit=10)) == 1, "what was read goes on"
    assert abs((enable_site(program.parts, "bgm") - program.parts.store.now()).total_seconds()) < 30
    assert [site.id for site in tick(program.parts).sites] == [world.site_id]


@pytest.mark.parametrize("call", [enable_site, disable_site])
def test_a_site_that_is_not_there_cannot_be_switched(program: Program, call: Callable[..., object]) -> None:
    assert refused(program, call, "xyz").startswith("There is no site named 'xyz' (there are: none yet")


def test_a_site_without_orders_is_gone(program: Program) -> None:
    both(program)
    person = Person()
    assert remove_site(program.parts, "bgm", sure=person) is Removal.DELETED
    assert person.asked == ["Remove the site bgm? It has no orders and will be gone."]
    assert (program.parts.store.sites(), program.parts.store.removed_sites()) == ((), ())
    add_site(program.parts, asked(name="other"), prefix="BGM", erp=None)


def test_who_is_not_sure_removes_nothing(program: Program) -> None:
    both(program)
    before = everything(program)
    assert remove_site(program.parts, "bgm", sure=Person(sure=False)) is None
    assert everything(program) == before


def test_a_site_with_orders_on_the_road_is_not_removed_and_nobody_is_asked(program: Program) -> None:
    both(program)
    world = orders(program)
    world.batch("1")
    wait(world, "2")
    wait(world, "3")
    person = Person()
    assert refused(program, remove_site, "bgm", sure=person) == (
        "The site bgm has 1 order in motion and 2 held. Stop its reading (ordersync site disable bgm) and remove it when they "
        "have come to an end; what they wait for: ordersync held list --site bgm."
    )
    assert person.asked == []


def test_a_site_that_is_read_at_this_moment_is_not_removed(program: Program) -> None:
    both(program)
    site_id = orders(program).site_id
    program.parts.store.claim_site(site_id, lease_seconds=60.0)
    assert refused(program, remove_site, "bgm", sure=Person()) == (
        "The site bgm is being read at this moment; try again when that is over."
    )


def test_orders_that_come_while_the_person_thinks_stop_the_removal(program: Program) -> None:
    both(program)
    world = orders(program)
    finish(world, "1")

    def sure(_question: str) -> bool:
        world.batch("2")
        return True

    with pytest.raises(UsageError, match="The site bgm has 1 order in motion and 0 held"):
        remove_site(program.parts, "bgm", sure=sure)
    assert len(program.parts.store.sites()) == 1


@pytest.fixture
def removed(program: Program) -> Program:
    """A program whose site bgm, with one order done and one in error, was removed."""
    both(program)
    world = orders(program)
    finish(world, "1")
    fail(world, "2")
    person = Person()
    assert remove_site(program.parts, "bgm", sure=person) is Removal.KEPT
    (question,) = person.asked
    assert question == (
        "Remove the site bgm? Its 2 orders (1 in error, which then stay so) can still be looked at, but it is in no list and "
        "no schedule any more, and its credentials are erased."
    )
    return program


def test_a_removed_site_is_in_no_list_and_its_orders_stay(removed: Program) -> None:
    parts = removed.parts
    assert (parts.store.sites(), tick(parts).sites) == ((), ())
    assert {each.order_number for each in parts.store.order_summaries(site="bgm", state=None, limit=9)} == {
        "BGM-1", "BGM-2",
    }  # fmt: skip
    assert len(parts.store.error_orders(ErrorFilter(site="bgm"))) == 1


def test_a_message_that_was_under_way_reads_no_removed_site(removed: Program) -> None:
    (site,) = removed.parts.store.removed_sites()
    run_id = removed.parts.store.open_run(kind="orders", site_id=site.id)
    for asked_for in (None, run_id):
        result = pipeline.fetch(removed.parts, site_id=site.id, run_id=asked_for, ring=_rings_nothing)
        assert (result.state, result.reason) == ("failed", "The site was removed.")
    run = removed.parts.store.run(run_id)
    assert (run.state, run.reason) == ("failed", "The site was removed.")


def _rings_nothing(_bell: object) -> None:
    raise AssertionError("nothing was to be rung")


def test_only_the_very_same_site_comes_back_and_it_reads_on_from_where_it_stood(removed: Program) -> None:
    name_taken = (
        "The name bgm belongs to a site that was removed (woocommerce at https://shop.example.test, prefix BGM): with exactly "
        "these it comes back; another site needs another name."
    )
    elsewhere = asked(url="https://elsewhere.example.test")
    assert refused(removed, add_site, elsewhere, prefix="BGM", erp=None) == name_taken
    assert refused(removed, add_site, asked(), prefix="XYZ", erp=None) == name_taken
    assert refused(removed, add_site, asked(name="other"), prefix="OTH", erp=None) == (
        "The site 'bgm', which was removed, had this address; under another name every order would be exported twice. It comes "
        "back by ordersync site add bgm with the prefix BGM."
    )
    assert refused(removed, add_site, replace(elsewhere, name="other"), prefix="BGM", erp=None) == (
        "The prefix BGM belongs to the site 'bgm'; order numbers must differ."
    )
    (before,) = removed.parts.store.removed_sites()
    changed = asked(credentials={"key": "ck_2", "secret": "cs_2"}, settings={"decimals": "3"})
    assert add_site(removed.parts, changed, prefix="BGM", erp=None) == before.id
    (site,) = removed.parts.store.sites()
    assert removed.parts.peers.decrypt(site.credentials, name="bgm") == {"key": "ck_2", "secret": "cs_2"}
    assert (site.id, site.cursor, site.erp_id, site.is_active) == (
        before.id,
        before.cursor,
        before.erp_id,
        True,
    )
    assert site.settings["decimals"] == 3


def test_a_site_comes_back_to_its_erp_where_that_is_still_there(program: Program) -> None:
    erp_id = with_erp(program)
    add_erp(program.parts, asked_erp(name="nav"), company="nav")
    add_site(program.parts, asked(), prefix="BGM", erp="bc")
    finish(orders(program), "1")
    remove_site(program.parts, "bgm", sure=Person())
    add_site(program.parts, asked(), prefix="BGM", erp=None)
    assert program.parts.store.sites()[0].erp_id == erp_id


def test_an_erp_is_not_removed_while_a_site_uses_it_or_may_use_it(program: Program) -> None:
    with_erp(program)
    with_site(program)
    expected = "The site bgm uses the ERP bc. Remove the site, or let it go to another ERP first: ordersync site set bgm --erp NAME."
    assert refused(program, remove_erp, "bc", sure=Person()) == expected
    add_erp(program.parts, asked_erp(name="nav"), company="nav")
    assert refused(program, remove_erp, "bc", sure=Person()) == expected


def test_an_erp_without_orders_is_gone(program: Program) -> None:
    with_erp(program)
    person = Person()
    assert remove_erp(program.parts, "bc", sure=person) is Removal.DELETED
    assert person.asked == [
        "Remove the ERP bc? No order was written for it; what is known of its items goes with it."
    ]
    assert program.parts.store.erps() == program.parts.store.removed_erps() == ()


def test_an_erp_with_an_order_on_the_way_to_it_is_not_removed(program: Program) -> None:
    with_erp(program)
    with_site(program)
    orders(program).at(Stage.DELIVER, "1")
    add_erp(program.parts, asked_erp(name="nav"), company="nav")
    nav = program.parts.store.erps()[1].id
    execute(program, f"UPDATE rm_sites SET erp_id = {nav}")
    assert refused(program, remove_erp, "bc", sure=Person()) == (
        "The ERP bc has 1 order in motion or held on the way to it; remove it when that has come to an end (ordersync queue)."
    )


def test_a_removed_erp_with_orders_comes_back_as_the_same_and_no_other(removed: Program) -> None:
    parts: Parts = removed.parts
    person = Person()
    assert remove_erp(parts, "bc", sure=person) is Removal.KEPT
    (question,) = person.asked
    assert question == (
        "Remove the ERP bc? What was written for it (1 order) can still be looked at, but it is in no list any more, and its "
        "credentials are erased."
    )
    (row,) = parts.store.removed_erps()
    late = sync_items(parts, erp_id=row.id)
    assert (late.state, late.reason) == ("failed", "The ERP was removed.")
    assert tick(parts).erps == ()
    assert refused(removed, add_erp, asked_erp(), company="another") == (
        f"The name bc belongs to an ERP that was removed (business_central at https://erp.example.test/api/v2.0, company "
        f"{COMPANY}): with exactly these it comes back; another ERP needs another name."
    )
    assert refused(removed, add_erp, asked_erp(name="nav"), company=COMPANY) == (
        "The ERP 'bc', which was removed, was this company at this address; under another name orders could be exported twice. "
        "It comes back by ordersync erp add bc."
    )
    assert add_erp(parts, asked_erp(), company=COMPANY.upper()) == row.id
    assert [each.name for each in parts.store.erps()] == ["bc"]
