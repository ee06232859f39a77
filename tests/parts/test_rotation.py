"""Another secret key: everything is stored with it, and at no moment is there something that nobody can open."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import String, Text, select, update

from app import key_file, rotation, secrets
from app.bootstrap import Program, audit_key_of
from app.db import keys
from app.db.tables import metadata, sites
from app.errors import Misconfigured
from app.sync.hook_keys import opened_secrets, stored_secrets
from app.sync.parts import site_named
from tests.parts.conftest import with_erp, with_site

ROOT = Path(__file__).parents[2]
STORED = ("the ERP bc", "the site bgm", "the webhooks of bgm", "the audit key")


def fill(program: Program) -> bytes:
    """One of everything that is stored encrypted; gives the key of the audit trail."""
    with_erp(program)
    site_id = with_site(program)
    parts = program.parts
    parts.store.keep_hooks(
        site_id, url="https://us.example.test/hooks/bgm", secrets=stored_secrets(parts, ("hook_readable",))
    )
    return audit_key_of(program).key


def assert_all_opens(program: Program, audit_key: bytes) -> None:
    parts = program.parts
    site = site_named(parts, "bgm")
    (erp,) = parts.store.erps()
    assert parts.peers.decrypt(site.credentials, name="bgm") == {
        "key": "ck_readable",
        "secret": "cs_readable",
    }
    assert parts.peers.decrypt(erp.credentials, name="bc")["client_secret"] == "bc_readable"
    assert opened_secrets(parts, site) == ("hook_readable",)
    assert audit_key_of(program).key == audit_key


def in_file(program: Program) -> list[str]:
    return program.settings.secret_key_file.read_text(encoding="ascii").strip().split(",")


def let_it_age(program: Program) -> None:
    """The newest key is as old as it has to be."""
    past = time.time() - program.settings.lease - 1
    os.utime(program.settings.secret_key_file, (past, past))


def under(program: Program) -> set[str | None]:
    return {key for _, key in rotation.show(program).under}


def test_everything_is_stored_with_the_new_key_and_the_old_one_is_dropped_at_the_end(
    program: Program,
) -> None:
    audit_key = fill(program)
    (old,) = in_file(program)
    done = rotation.rotate(program)
    new, kept = in_file(program)
    assert kept == old != new
    assert (done.keys, done.made, done.moved) == (
        (secrets.SecretKey.of(new).id, secrets.SecretKey.of(old).id),
        secrets.SecretKey.of(new).id,
        4,
    )
    assert (done.new_key, done.unreadable, done.by_hand) == ("", (), False)
    assert under(program) == {done.made}
    let_it_age(program)
    assert rotation.finish(program).dropped == done.keys[1:]
    assert in_file(program) == [new]
    assert_all_opens(program, audit_key)


def test_what_is_shown_names_everything_stored_and_no_key(program: Program) -> None:
    fill(program)
    found = rotation.show(program)
    (key,) = in_file(program)
    assert sorted(what for what, _ in found.under) == sorted(STORED)
    assert found.keys == (secrets.SecretKey.of(key).id,)
    assert key not in repr(found)
    assert key not in repr(secrets.SecretKey.of(key))


def test_there_is_no_token_in_any_other_column(program: Program) -> None:
    fill(program)
    known = {each.token for each in keys.encrypted(program.engine)}
    with program.engine.connect() as connection:
        found = {
            value
            for table in metadata.sorted_tables
            for column in table.c
            if isinstance(column.type, String | Text)
            for (value,) in connection.execute(select(column))
            if value and str(value).startswith("gAAAA")
        }
    assert len(known) == 4
    assert found == known


def test_a_process_that_runs_goes_on_through_a_whole_rotation(open_with: Callable[..., Program]) -> None:
    running, other = open_with(), open_with()
    audit_key = fill(other)
    rotation.rotate(other)
    assert running.parts.peers.decrypt(site_named(running.parts, "bgm").credentials, name="bgm")
    with_site_token = running.parts.peers.encrypt({"key": "k"})
    newest = Fernet(in_file(other)[0])
    assert json.loads(newest.decrypt(with_site_token.encode())) == {"key": "k"}
    let_it_age(other)
    rotation.finish(other)
    assert_all_opens(running, audit_key)


def test_the_audit_key_that_was_read_before_and_is_needed_only_after_the_end_still_opens(
    open_with: Callable[..., Program],
) -> None:
    audit_key = fill(open_with())
    running, other = open_with(), open_with()
    rotation.rotate(other)
    let_it_age(other)
    rotation.finish(other)
    site = site_named(running.parts, "bgm")
    assert running.parts.peers.decrypt(site.credentials, name="bgm")
    assert running.parts.store.audit_key() == audit_key  # type: ignore[attr-defined]


def test_said_again_it_makes_no_further_key(program: Program) -> None:
    fill(program)
    first = rotation.rotate(program)
    again = rotation.rotate(program)
    assert (again.keys, again.made, again.moved) == (first.keys, "", 0)
    let_it_age(program)
    assert rotation.finish(program).dropped
    last = rotation.finish(program)
    assert (last.keys, last.dropped, last.by_hand) == (first.keys[:1], (), False)


def test_several_at_once_make_one_key_and_lose_none(open_with: Callable[..., Program]) -> None:
    programs = [open_with() for _ in range(4)]
    audit_key = fill(programs[0])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(rotation.rotate, programs))
    assert sum(bool(each.made) for each in found) == 1
    assert len({each.keys for each in found}) == 1
    assert sum(each.moved for each in found) == 4
    for each in programs:
        assert_all_opens(each, audit_key)


STOPS = [
    ("app.rotation:SecretKey.new", 1, "after"),
    ("os.fchown", 1, "after"),
    ("pathlib:Path.replace", 1, "before"),
    ("pathlib:Path.replace", 1, "after"),
    *[("app.db.keys.exchange", number, when) for number in (1, 2, 3, 4) for when in ("before", "after")],
]


def stopped(program: Program, *command: str, place: str, number: int, when: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "ORDERSYNC_VAR": str(program.settings.var),
        "DATABASE_URL": program.settings.database_url,
        "ORDERSYNC_ENV_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.parts.stop_at", place, str(number), when, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize(("place", "number", "when"), STOPS)
def test_killed_at_any_point_nothing_is_lost_and_the_next_one_ends_it(
    open_with: Callable[..., Program], place: str, number: int, when: str
) -> None:
    program = open_with()
    audit_key = fill(program)
    stopped(program, "secrets", "rotate", place=place, number=number, when=when)
    assert_all_opens(open_with(), audit_key)
    assert_all_opens(program, audit_key)
    done = rotation.rotate(open_with())
    assert len(done.keys) == 2
    assert under(program) == {done.keys[0]}
    let_it_age(program)
    rotation.finish(open_with())
    assert_all_opens(open_with(), audit_key)
    left = sorted(path.name for path in program.settings.var.iterdir() if "secret.key" in path.name)
    assert left == ["secret.key", "secret.key.lock"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_drops_the_old_key_nothing_is_lost(
    open_with: Callable[..., Program], when: str
) -> None:
    program = open_with()
    audit_key = fill(program)
    rotation.rotate(program)
    let_it_age(program)
    stopped(program, "secrets", "rotate", "--finish", place="pathlib:Path.replace", number=1, when=when)
    assert len(in_file(program)) == (2 if when == "before" else 1)
    assert_all_opens(open_with(), audit_key)
    rotation.finish(open_with())
    assert_all_opens(open_with(), audit_key)


def test_the_old_key_is_kept_while_something_may_still_be_on_its_way(program: Program) -> None:
    fill(program)
    rotation.rotate(program)
    with pytest.raises(
        Misconfigured, match=r"The newest key is \d+ s old.* Nothing was dropped; say it again in \d+ s\."
    ):
        rotation.finish(program)
    assert len(in_file(program)) == 2


def test_what_was_stored_with_the_old_key_meanwhile_is_moved_before_it_is_dropped(program: Program) -> None:
    audit_key = fill(program)
    (old,) = in_file(program)
    rotation.rotate(program)
    late = Fernet(old).encrypt(json.dumps({"key": "ck_readable", "secret": "cs_readable"}).encode()).decode()
    with program.engine.begin() as connection:
        connection.execute(update(sites).values(credentials=late))
    let_it_age(program)
    assert rotation.finish(program).moved == 1
    assert_all_opens(program, audit_key)


def test_a_credential_that_is_changed_meanwhile_is_not_written_over(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(program)
    exchange = keys.exchange
    changed: list[str] = []

    def after_a_change(engine: object, old: keys.Encrypted, *, token: str) -> bool:
        if old.what == "the site bgm" and not changed:
            changed.append(program.parts.peers.encrypt({"key": "ck_later", "secret": "cs_later"}))
            with program.engine.begin() as connection:
                connection.execute(update(sites).values(credentials=changed[0]))
        return exchange(program.engine, old, token=token)

    monkeypatch.setattr(keys, "exchange", after_a_change)
    done = rotation.rotate(program)
    assert under(program) == {done.made}
    found = program.parts.peers.decrypt(site_named(program.parts, "bgm").credentials, name="bgm")
    assert found == {"key": "ck_later", "secret": "cs_later"}


def test_what_no_key_opens_is_named_left_as_it_is_and_keeps_the_old_key(program: Program) -> None:
    fill(program)
    foreign = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    with program.engine.begin() as connection:
        connection.execute(update(sites).values(credentials=foreign))
    done = rotation.rotate(program)
    assert (done.moved, done.unreadable) == (3, ("the site bgm",))
    assert site_named(program.parts, "bgm").credentials == foreign
    let_it_age(program)
    with pytest.raises(
        Misconfigured, match="No key was dropped: with the keys there are, the site bgm cannot be opened"
    ):
        rotation.finish(program)
    assert len(in_file(program)) == 2


def test_a_key_of_the_environment_is_changed_by_a_person_who_is_told_what_to_put_there(
    open_with: Callable[..., Program],
) -> None:
    old = Fernet.generate_key().decode()
    before = open_with(ORDERSYNC_SECRET_KEY=old)
    audit_key = fill(before)
    told = rotation.rotate(before)
    assert (told.by_hand, told.moved, told.held_in) == (True, 0, "ORDERSYNC_SECRET_KEY")
    new, kept = told.new_key.split(",")
    assert kept == old
    assert secrets.SecretKey.of(new).id == told.made
    assert under(before) == set(told.keys) == {secrets.SecretKey.of(old).id}
    assert_all_opens(before, audit_key)

    between = open_with(ORDERSYNC_SECRET_KEY=told.new_key)
    done = rotation.rotate(between)
    assert (done.moved, done.new_key, done.by_hand) == (4, "", True)
    assert done.dropped == (secrets.SecretKey.of(old).id,)
    assert rotation.finish(between).dropped == done.dropped
    assert_all_opens(open_with(ORDERSYNC_SECRET_KEY=new), audit_key)
    assert not before.settings.secret_key_file.exists()


def test_a_key_file_that_cannot_be_written_is_changed_by_a_person(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit_key = fill(program)
    (old,) = in_file(program)
    with monkeypatch.context() as patch:
        patch.setattr(key_file, "write", lambda *_: (_ for _ in ()).throw(PermissionError(13, "read-only")))
        told = rotation.rotate(program)
    assert told.by_hand
    assert told.held_in == str(program.settings.secret_key_file)
    assert in_file(program) == [old] == told.new_key.split(",")[1:]
    assert_all_opens(program, audit_key)


def test_a_key_that_is_held_in_several_places_is_only_made(program: Program) -> None:
    fill(program)
    (old,) = in_file(program)
    told = rotation.rotate(program, by_hand=True)
    assert in_file(program) == [old]
    program.settings.secret_key_file.write_text(told.new_key, encoding="ascii")
    done = rotation.rotate(program, by_hand=True)
    assert (done.keys[0], done.moved, done.new_key) == (told.made, 4, "")


def test_the_file_keeps_its_owner_its_mode_and_the_link_to_it(tmp_path: Path) -> None:
    real = tmp_path / "mounted" / "key"
    real.parent.mkdir()
    real.write_text("old", encoding="ascii")
    real.chmod(0o640)
    link = tmp_path / "secret.key"
    link.symlink_to(real)
    key_file.write(link, ["new", "old"])
    assert link.is_symlink()
    assert real.read_text(encoding="ascii") == "new,old\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["key"]


def test_a_file_that_has_gone_or_broke_does_not_harm_a_process_that_runs(program: Program) -> None:
    audit_key = fill(program)
    file = program.settings.secret_key_file
    for content in (None, "", "no key"):
        if content is None:
            file.unlink()
        else:
            file.write_text(content, encoding="ascii")
        token = program.parts.peers.encrypt({"key": "k"})
        assert program.parts.peers.decrypt(token, name="bgm") == {"key": "k"}
        with pytest.raises(Misconfigured):
            program.parts.peers.decrypt("gAAAA", name="bgm")
        assert file.exists() is (content is not None)
    assert program.parts.store.audit_key() == audit_key  # type: ignore[attr-defined]
