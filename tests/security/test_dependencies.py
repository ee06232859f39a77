"""What is installed is what was chosen: every version is fixed, and nothing is here that nobody named."""

from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
_OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel", "order-sync"}


def chosen() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(each.specifier) == 1 and str(each.specifier).startswith("==") for each in found)
    return {canonicalize_name(each.name): str(each.specifier)[2:] for each in found}


def test_everything_that_is_installed_has_exactly_the_version_that_is_written_down() -> None:
    wanted = chosen()
    installed = {canonicalize_name(each.metadata["Name"]): each.version for each in distributions()}
    other = {name: version for name, version in installed.items() if wanted.get(name) != version}
    assert set(other) <= _OF_THE_ENVIRONMENT, other
    assert len(wanted) > 50
