"""`limits`: what is known of each account, by all processes together or by this one alone."""

from pathlib import Path

from app.bootstrap import open_program
from app.limits import RedisLimiters
from app.passes import connect
from app.ports.limiters import Ceilings, Report, Verdict
from app.settings import load_settings
from app.transport.limits import FAILURES_TO_OPEN
from tests.cli.conftest import SECRETS, CommandLine, Synced, sentence


def test_without_a_broker_it_says_that_the_figures_are_its_own(synced: Synced) -> None:
    found = synced.ordersync.json("limits")
    assert (found["shared"], found["faults"]) == (False, [])
    assert [each["account"] for each in found["accounts"]] == ["bc", "bc sign-in", "bgm"]
    bc = found["accounts"][0]
    assert (bc["used"], bc["left"], bc["running"], bc["at_once"], bc["breaker"]) == (0, 6000, 0, 5, "closed")
    shown = sentence(synced.ordersync.good("limits").stdout)
    assert "No broker can be asked: each process counts for itself, and this one has only its own" in shown


def test_an_empty_program_has_no_accounts(ordersync: CommandLine) -> None:
    assert ordersync.json("limits")["accounts"] == []
    assert ordersync.good("limits").stdout == "No site and no ERP is connected.\n"


def test_what_one_command_used_the_next_one_shows(copied: CommandLine, empty_broker_url: str) -> None:
    copied.json("sync", "bgm", "--inline", REDIS_URL=empty_broker_url)
    found = copied.json("limits", REDIS_URL=empty_broker_url)
    assert found["shared"] is True
    used = {each["account"]: each["used"] for each in found["accounts"]}
    assert used["bgm"] > 0
    assert not any(secret in str(found) for secret in SECRETS)


def test_a_breaker_is_shown_with_its_times_and_the_last_failure(
    copied: CommandLine, empty_broker_url: str
) -> None:
    break_bgm(copied, empty_broker_url)
    found = copied.json("limits", REDIS_URL=empty_broker_url)
    bgm = found["accounts"][-1]
    assert (bgm["account"], bgm["breaker"], bgm["running"]) == ("bgm", "open", 2)
    assert (bgm["failures_in_a_row"], bgm["last_failure"]) == (5, "it answered 503")
    assert bgm["breaker_since"] < bgm["next_try_at"]
    assert bgm["slowed_until"] < bgm["next_try_at"]
    assert {each["breaker"] for each in found["accounts"][:-1]} == {"closed"}
    shown = sentence(copied.good("limits", REDIS_URL=empty_broker_url).stdout)
    for words in ("open since ", "Tried at ", "No call until ", "Last failure ", "503."):
        assert words in shown, words


def test_a_site_whose_credentials_cannot_be_opened_is_named(copied: CommandLine) -> None:
    (copied.var / "secret.key").unlink()
    found = copied.json("limits")
    assert found["accounts"] == []
    assert [each["name"] for each in found["faults"]] == ["bgm", "bc"]
    assert "bgm cannot be opened: " in sentence(copied.good("limits").stdout)


def test_an_account_whose_server_was_mended_is_called_again_at_once(
    copied: CommandLine, empty_broker_url: str
) -> None:
    break_bgm(copied, empty_broker_url)
    assert copied.json("limits", "--reset", "bgm", REDIS_URL=empty_broker_url) == {
        "account": "bgm",
        "reset": True,
    }
    bgm = copied.json("limits", REDIS_URL=empty_broker_url)["accounts"][-1]
    assert (bgm["breaker"], bgm["slowed_until"], bgm["failures_in_a_row"], bgm["used"]) == (
        "closed",
        None,
        0,
        0,
    )
    said = copied.good("limits", "--reset", "bc sign-in", REDIS_URL=empty_broker_url).stderr
    assert "bc sign-in is called again at once; nothing is held against it." in said


def test_only_an_account_that_there_is_and_that_all_share_can_be_reset(
    copied: CommandLine, empty_broker_url: str
) -> None:
    unknown = copied.refused(2, "limits", "--reset", "BGM", REDIS_URL=empty_broker_url)
    assert "There is no account named 'BGM' (there are: bc, bc sign-in, bgm)." in unknown
    alone = copied.refused(1, "limits", "--reset", "bgm")
    assert "No broker can be asked, so each process counts for itself" in alone
    (copied.var / "secret.key").unlink()
    assert "bgm cannot be opened: " in copied.refused(1, "limits", "--reset", "bgm")


def break_bgm(copied: CommandLine, broker_url: str) -> None:
    """As workers leave a shop that failed again and again, with two calls under way."""
    program = open_program(load_settings({**copied.environment, "ORDERSYNC_VAR": str(Path(copied.var))}))
    (site,) = program.parts.store.sites()
    program.engine.dispose()
    with connect(broker_url) as client:
        limiter = RedisLimiters(client).of(
            name="other",
            counted_by=("woocommerce", f"{site.url}/wp-json/wc/v3".lower(), "ck_sandbox"),
            ceilings=Ceilings(at_once=100),
        )
        report = Report(Verdict.FAILED, wait=5.0, fault="it answered 503")
        places = [limiter.enter(lasts=60.0) for _ in range(FAILURES_TO_OPEN + 2)]
        for place in places[:FAILURES_TO_OPEN]:
            assert isinstance(place, str)
            limiter.leave(place, report)
