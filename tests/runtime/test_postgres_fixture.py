import os
import shutil
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import postgres


def _address(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.mark.parametrize("_case", ["first", "second"])
def test_every_test_gets_an_empty_postgresql_database_of_its_own(postgres_url: str, _case: str) -> None:
    with psycopg.connect(_address(postgres_url)) as connection:
        connection.execute("CREATE TABLE seen (id integer)")
        row = connection.execute("SELECT count(*) FROM seen").fetchone()
    assert row == (0,)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="Only root runs PostgreSQL as another user, who may find the way closed."
)
def test_as_root_binaries_below_a_closed_folder_are_copied_and_run(tmp_path: Path) -> None:
    carried = postgres._carried_installation()
    site = tmp_path / "site"
    shutil.copytree(carried / "bin", site / carried.parent.name / carried.name / "bin")
    for part in ("lib", "share"):
        (site / carried.parent.name / carried.name / part).symlink_to(carried / part)
    libraries = carried.parent.parent / f"{carried.parent.name}.libs"
    (site / libraries.name).symlink_to(libraries)
    site.chmod(0o700)
    closed = site / carried.parent.name / carried.name
    assert not postgres._can_run(closed, user=65534)
    base = postgres._public_folder()
    try:
        usable = postgres._usable_installation(closed, base=base, user=65534)
        assert usable == base / "site" / carried.parent.name / carried.name
        assert postgres._can_run(usable, user=65534)
    finally:
        shutil.rmtree(base)
