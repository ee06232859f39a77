"""The page of limits: budgets, breakers, what waits, and calling an account again."""

import pytest

from app.ports.accounts import Role
from app.ports.limiters import Ceilings, Report, Verdict
from app.transport import LocalLimiters
from app.transport.limits import FAILURES_TO_OPEN
from tests.fakes.limiters import an_hour_between_calls
from tests.fixtures.databases import execute
from tests.pipeline.world import MakeWorld, World, plain_order, use_limiters
from tests.web.office import Office

HOSTILE = "<b>it answered 503</b>"


class OfAll(LocalLimiters):
    """As if all processes counted together."""

    def forget(self, name: str) -> bool:
        super().forget(name)
        return True


def office_on(world: World, limiters: LocalLimiters) -> Office:
    use_limiters(world.parts, limiters)
    return Office(world, limiters=limiters)


def break_it(limiters: LocalLimiters, world: World) -> None:
    """The shop fails until its breaker opens."""
    channel = world.parts.peers.channel(world.parts.store.sites()[0])
    assert channel is not None
    limiter = limiters.of(
        name="bgm", counted_by=(f"{world.shop_url}/", "broken"), ceilings=Ceilings(at_once=3, requests=100)
    )
    for _ in range(FAILURES_TO_OPEN):
        place = limiter.enter(lasts=1)
        assert isinstance(place, str)
        limiter.leave(place, Report(Verdict.FAILED, fault=HOSTILE))


def test_each_account_is_shown_with_its_budget_and_its_breaker(make_world: MakeWorld) -> None:
    world = make_world()
    limiters = OfAll()
    office = office_on(world, limiters)
    break_it(limiters, world)
    page = office.signed_in(Role.VIEWER).page("/limits")
    for words in ("bc sign-in", "bgm", "open", "Tried again at", "in a row", "95", "no bound"):
        assert words in page, words
    assert HOSTILE not in page
    assert "&lt;b&gt;it answered 503" in page
    assert 'id="limits" hx-get="/limits?"' in page


def test_an_operator_has_an_account_called_again_at_once(make_world: MakeWorld) -> None:
    world = make_world()
    limiters = OfAll()
    office = office_on(world, limiters)
    break_it(limiters, world)
    answer = office.signed_in(Role.OPERATOR).post("/limits", account="bgm")
    assert "bgm is called again at once; nothing is held against it." in answer.text
    assert {each.breaker.value for each in limiters.usage()} == {"closed"}
    action = office.panel.store.actions(before=None, limit=5)[0]
    assert (action.action, action.detail, action.outcome) == ("limits.reset", {"account": "bgm"}, "done")


def test_a_viewer_resets_nothing_and_sees_no_button(make_world: MakeWorld) -> None:
    world = make_world()
    limiters = OfAll()
    office = office_on(world, limiters)
    break_it(limiters, world)
    viewer = office.signed_in(Role.VIEWER)
    assert "Reset" not in viewer.page("/limits").replace("<dt>Reset</dt>", "")
    assert viewer.post("/limits", account="bgm").status_code == 403
    assert "open" in {each.breaker.value for each in limiters.usage()}


@pytest.mark.parametrize("name", ["", "nobody", "<script>alert(1)</script>"])
def test_an_account_that_is_not_there_is_refused_with_those_there_are(
    make_world: MakeWorld, name: str
) -> None:
    office = office_on(make_world(), OfAll())
    answer = office.signed_in(Role.OPERATOR).post("/limits", account=name)
    assert answer.status_code == 422
    assert "bc, bc sign-in, bgm" in answer.text
    assert "<script>alert" not in answer.text


def test_where_each_process_counts_for_itself_the_page_and_the_reset_say_so(make_world: MakeWorld) -> None:
    office = office_on(make_world(), an_hour_between_calls())
    operator = office.signed_in(Role.OPERATOR)
    assert "each process counts for itself" in operator.page("/limits")
    answer = operator.post("/limits", account="bgm")
    assert answer.status_code == 422
    assert "restart the workers" in answer.text


def test_what_cannot_be_opened_is_named_with_the_reason(office: Office) -> None:
    execute(
        office.world.engine, "UPDATE rm_sites SET credentials = 'x'", "UPDATE rm_erps SET credentials = 'x'"
    )
    page = office.signed_in(Role.VIEWER).page("/limits")
    assert "bgm cannot be opened:" in page
    assert "bc cannot be opened:" in page


def test_what_waits_is_shown_with_the_messages_in_the_broker(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1)])
    world.fetch()
    office = Office(world)
    office.doors.waiting = {"queues": {"orders": 7, "upkeep": 0}, "unacknowledged": 3, "fault": ""}
    page = office.signed_in(Role.VIEWER).page("/limits")
    for words in ("normalize", "Queue orders", ">7<", ">3<"):
        assert words in page, words
    office.doors.waiting = {
        "queues": {},
        "unacknowledged": 0,
        "fault": "it does not answer (ConnectionError).",
    }
    assert "The broker is away: it does not answer (ConnectionError)." in office.signed_in().page("/limits")
