"""Credentials at rest: one key, a file only its owner can read, and nothing readable in the database."""

import base64
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app import secrets
from app.bootstrap import Program
from app.errors import Misconfigured
from tests.parts.conftest import with_erp, with_site

CREDENTIALS = {"key": "ck_readable", "secret": "cs_readable"}


def test_the_key_file_is_made_for_its_owner_alone_and_used_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret.key"
    token = secrets.encrypt(secrets.load_key(given=None, file=file), CREDENTIALS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = file.read_bytes()
    assert len(base64.urlsafe_b64decode(made)) == 32
    assert secrets.decrypt(secrets.load_key(given=None, file=file), token, name="bgm") == CREDENTIALS
    assert file.read_bytes() == made


def test_many_that_start_together_end_up_with_one_key(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    together = threading.Barrier(8)

    def start(_number: int) -> str:
        together.wait(5)
        return secrets.encrypt(secrets.load_key(given=None, file=file), CREDENTIALS)

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(start, range(8)))
    key = secrets.load_key(given=None, file=file)
    assert [secrets.decrypt(key, token, name="bgm") for token in tokens] == [CREDENTIALS] * 8


def test_one_that_starts_while_another_is_still_making_the_key_gets_that_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret.key"
    begun = threading.Event()
    generate = Fernet.generate_key

    def slowly() -> bytes:
        begun.set()
        time.sleep(0.2)
        return generate()

    monkeypatch.setattr(Fernet, "generate_key", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(secrets.load_key, given=None, file=file)
        assert begun.wait(5)
        second = pool.submit(secrets.load_key, given=None, file=file)
        token = secrets.encrypt(first.result(), CREDENTIALS)
        assert secrets.decrypt(second.result(), token, name="bgm") == CREDENTIALS


def test_an_empty_key_file_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.touch()
    with pytest.raises(Misconfigured) as refused:
        secrets.load_key(given=None, file=file)
    assert refused.value.reason == (
        f"The key file {file} is empty; put the key back, or remove the file where no credentials are stored yet."
    )
    assert file.read_bytes() == b""


@pytest.mark.parametrize("text", ["short", "a" * 44, ",", "ü" * 44])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        secrets.load_key(given=text, file=tmp_path / "secret.key")
    assert (
        refused.value.reason == "ORDERSYNC_SECRET_KEY holds no Fernet key (44 characters of URL-safe base64)."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"short", b"\xff\xfe\x00"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret.key"
    file.write_bytes(content)
    with pytest.raises(Misconfigured) as refused:
        secrets.load_key(given=None, file=file)
    assert refused.value.reason == f"{file} holds no Fernet key (44 characters of URL-safe base64)."
    assert file.read_bytes() == content


def test_a_wrong_key_gives_a_sentence_that_names_the_site(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    token = secrets.encrypt(secrets.load_key(given=old, file=tmp_path / "k"), CREDENTIALS)
    with pytest.raises(Misconfigured) as refused:
        secrets.decrypt(secrets.load_key(given=new, file=tmp_path / "k"), token, name="bgm")
    assert refused.value.reason == (
        "The credentials of bgm were stored with another key; give the old one in ORDERSYNC_SECRET_KEY (new,old)."
    )


def test_a_new_key_before_the_old_one_reads_what_was_stored_and_stores_with_the_new_one(
    tmp_path: Path,
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    token = secrets.encrypt(secrets.load_key(given=old, file=tmp_path / "k"), CREDENTIALS)
    both = secrets.load_key(given=f"{new}, {old}", file=tmp_path / "k")
    assert secrets.decrypt(both, token, name="bgm") == CREDENTIALS
    newer = secrets.encrypt(both, CREDENTIALS)
    assert secrets.decrypt(secrets.load_key(given=new, file=tmp_path / "k"), newer, name="bgm") == CREDENTIALS


@pytest.mark.only_on("sqlite")
def test_no_credential_can_be_read_in_the_files_of_the_database(program: Program) -> None:
    with_site(program)
    with_erp(program)
    files = [path for path in program.settings.var.iterdir() if path.name.startswith("ordersync.db")]
    stored = b"".join(path.read_bytes() for path in files)
    assert b"shop.example.test" in stored
    assert b"_readable" not in stored
    assert stat.S_IMODE(program.settings.secret_key_file.stat().st_mode) == 0o600


def test_a_key_file_that_can_neither_be_read_nor_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for file, why in ((tmp_path, "Is a directory"), (tmp_path / "file" / "key", "File exists")):
        with pytest.raises(Misconfigured) as refused:
            secrets.load_key(given=None, file=file)
        assert refused.value.reason == f"The key file {file} can neither be read nor made ({why})."
