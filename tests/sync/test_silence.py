"""When it can be told that webhooks have fallen silent."""

from datetime import timedelta

import pytest

from app.sync.silence import QUIET_FOR, SENT_WITHIN, unheard
from tests.fakes.sales_channel import START


@pytest.mark.parametrize("quiet", [timedelta(0), timedelta(minutes=59, seconds=59), timedelta(hours=-1)])
def test_for_an_hour_after_one_was_heard_nothing_can_be_told(quiet: timedelta) -> None:
    assert unheard(now=START, heard_at=START - quiet) is None


@pytest.mark.parametrize("quiet", [QUIET_FOR, timedelta(days=3)])
def test_later_an_order_of_that_time_should_have_been_told_of_but_for_the_latest(quiet: timedelta) -> None:
    assert unheard(now=START, heard_at=START - quiet) == (
        START - quiet + timedelta(minutes=1),
        START - SENT_WITHIN,
    )
