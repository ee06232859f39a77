"""Messages on their way to real services on loopback, and addresses that are refused."""

import logging
import time
from collections.abc import Iterator

import pytest

from app.errors import Misconfigured, Retry, UsageError
from app.notifier import AppriseNotifier, _reason
from app.ports.notifier import Message
from tests.fakes.sinks import HookServer, MailServer, serving

MESSAGE = Message(title="[critical] Site not fresh: bgm", body="bgm was not read.\nSince 12:00 <b>UTC</b>.")
SECRETS = ("hook-password", "hidden-path")


@pytest.fixture
def our_log() -> Iterator[list[logging.LogRecord]]:
    """What reaches the handlers of our log, at every level."""
    found: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    handler = Keeping()
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.setLevel(before)
    root.removeHandler(handler)


def test_a_mail_arrives_as_plain_text() -> None:
    with serving(MailServer()) as server:
        AppriseNotifier().send(server.url, MESSAGE)
        (mail,) = server.mails
    assert mail["subject"] == MESSAGE.title
    assert (mail["to"], mail["from"]) == ("ops@example.test", "sync@example.test")
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == MESSAGE.body.splitlines()


def test_where_some_are_reached_nobody_is_to_be_told_again_and_it_says_who_was_not() -> None:
    with serving(MailServer()) as server:
        server.unknown = "bob@example.test"
        both = server.url.replace("to=ops@example.test", "to=ops@example.test,bob@example.test")
        told = AppriseNotifier().send(both, MESSAGE)
        assert told.startswith("Not everybody at this address was reached. ")
        assert [mail["to"] for mail in server.mails] == ["ops@example.test"]
        server.unknown = "example.test"
        with pytest.raises(Retry):
            AppriseNotifier().send(both, MESSAGE)
        assert len(server.mails) == 1


def test_a_message_is_posted_with_how_bad_it_is() -> None:
    with serving(HookServer()) as server:
        for message in (
            MESSAGE,
            Message("t", "b", is_severe=True),
            Message("t", "b", is_good=True, is_severe=True),
        ):
            AppriseNotifier().send(server.url, message)
        assert [each["type"] for each in server.told] == ["warning", "failure", "success"]
        assert server.told[0]["title"] == MESSAGE.title
        assert server.told[0]["message"] == MESSAGE.body
        assert server.told[0]["attachments"] == []


def test_what_a_service_refuses_is_to_be_sent_again_and_nothing_secret_is_told(
    our_log: list[logging.LogRecord],
) -> None:
    with serving(HookServer()) as server:
        server.status = 500
        with pytest.raises(Retry) as refused:
            AppriseNotifier().send(server.url, MESSAGE)
        assert server.refused == 1
    assert "500" in refused.value.reason
    with pytest.raises(Retry) as away:
        AppriseNotifier().send(server.url, MESSAGE)
    assert "127.0.0.1" in away.value.reason
    for secret in SECRETS:
        assert secret not in refused.value.reason + away.value.reason
    assert [each for each in our_log if each.name.startswith("apprise")] == []


def test_parts_of_an_address_are_masked_in_whatever_a_service_says() -> None:
    said = ["first", "Token hook-password at /hidden-path of\n127.0.0.1 is wrong"]
    url = "json://user:hook%2Dpassword@127.0.0.1:9/hidden-path"
    assert _reason(said, url=url, host="127.0.0.1") == "Token *** at /*** of 127.0.0.1 is wrong"


def test_no_redirection_is_followed() -> None:
    with serving(HookServer()) as server, serving(HookServer()) as elsewhere:
        server.status, server.elsewhere = 302, f"http://127.0.0.1:{elsewhere.server_address[1]}/"
        with pytest.raises(Retry):
            AppriseNotifier().send(server.url, MESSAGE)
        assert elsewhere.told == []


def test_a_service_that_never_answers_holds_nobody_up() -> None:
    with serving(HookServer()) as server:
        server.before = lambda: time.sleep(1.5)
        began = time.monotonic()
        with pytest.raises(Retry):
            AppriseNotifier().send(f"{server.url}?rto=0.3", MESSAGE)
        assert time.monotonic() - began < 1.2


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mailto://anna:a-password@mail.example?to=ops@shop.example", "E-Mail: mailto://mail.example"),
        ("ntfys://a-token@push.example/topic-nobody-knows", "ntfy: ntfys://push.example"),
        (
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "Slack: slack://...",
        ),
        ("tgram://123456789:abcdefghij_abcdefghijABCDEFGHIJ12345/12315544/", "Telegram: tgram://..."),
    ],
)
def test_of_an_address_no_more_is_shown_than_service_and_host(url: str, hint: str) -> None:
    assert AppriseNotifier().hint(url) == hint


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "://", "file:///etc/passwd", "http://example.test/a", "syslog://", "SYSLOG://", " syslog://", "dbus://", "windows://",
        "gnome://", "macosx://", "glib://", "json://", "json://[::1", "tgram://short-token/1", "mailto://", "json://a\n,json://b",
        "json://a,json://b\x00",
    ],
)  # fmt: skip
def test_what_is_no_service_on_a_network_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(UsageError, match="no address that alerts can be sent to") as refused:
        AppriseNotifier().hint(url)
    assert "token" not in refused.value.reason
    with pytest.raises(Misconfigured):
        AppriseNotifier().send(url, MESSAGE)
