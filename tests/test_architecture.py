"""What no linter of imports can see: every connector is under its contract, money meets no float, and one module calls the outside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bootstrap import connectors

ROOT = Path(__file__).parents[1]
APP = ROOT / "app"
CONTRACTS = {"sales_channel": "SalesChannelContract", "erp": "ErpContract"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _modules() -> Iterator[tuple[str, Path]]:
    """Every module of the program but the sandbox's, which stands for other people's systems, by its path from `app`."""
    for path in sorted(APP.rglob("*.py")):
        place = path.relative_to(APP)
        if place.parts[0] != "sandbox":
            yield place.as_posix(), path


def _imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_name(value)}.{name}"
        case _:
            return ""


def _folders(connectors_folder: Path) -> list[str]:
    return sorted(
        path.name for path in connectors_folder.iterdir() if path.is_dir() and path.name != "__pycache__"
    )


def without_contract_test(folders: list[str], contracts: set[str], *, tests: Path) -> list[str]:
    """The folders for which no test class in `tests` is made of one of the contracts, in a module that imports the connector."""
    covered: set[str] = set()
    for path in sorted(tests.glob("test_*.py")):
        tree = _tree(path)
        made = any(
            isinstance(node, ast.ClassDef)
            and node.name.startswith("Test")
            and {_name(base).rpartition(".")[2] for base in node.bases} & contracts
            for node in tree.body
        )
        if made:
            imported = _imported(tree)
            covered |= {
                folder for folder in folders if any(f"app.connectors.{folder}" in name for name in imported)
            }
    return [folder for folder in folders if folder not in covered]


@pytest.mark.parametrize("port", sorted(CONTRACTS))
def test_every_connector_is_under_the_contract_of_its_port(port: str) -> None:
    folders = [folder for folder in _folders(APP / "connectors") if connectors()[folder].port == port]
    assert folders
    missing = without_contract_test(folders, {CONTRACTS[port]}, tests=ROOT / "tests" / "connectors")
    assert missing == [], (
        f"no class under {CONTRACTS[port]} in tests/connectors for app/connectors/{', '.join(missing)}"
    )


def test_a_connector_without_its_contract_test_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import app.connectors.newshop\n\nclass TestNewShop:\n    pass\n", encoding="utf-8"
    )
    assert without_contract_test(["newshop"], {"SalesChannelContract"}, tests=tmp_path) == ["newshop"]
    (tmp_path / "test_newshop.py").write_text(
        "from app.connectors.newshop import CONNECTOR\n\nclass TestNewShop(SalesChannelContract):\n    pass\n",
        encoding="utf-8",
    )
    assert without_contract_test(["newshop", "third"], {"SalesChannelContract"}, tests=tmp_path) == ["third"]


def test_every_connectors_folder_shows_its_connector_and_a_readme() -> None:
    folders = _folders(APP / "connectors")
    assert sorted(connectors()) == folders
    assert {each.port for each in connectors().values()} <= set(CONTRACTS)
    for folder in folders:
        assert (APP / "connectors" / folder / "README.md").read_text(encoding="utf-8").startswith("# "), (
            folder
        )


# Seconds, never amounts. A module that turns text into a float has to be added here with its reason.
_FLOATS = {
    "connectors/business_central/client.py": 1,  # How long a token lives.
    "connectors/business_central/operations.py": 1,  # Retry-After within a batch.
    "db/store/reporting.py": 2,  # How many seconds errors were open.
    "limits.py": 4,  # Moments and spans, as the server tells them.
    "measures.py": 1,  # Seconds that tasks took.
    "runtime/_guardian.py": 1,  # A grace period.
    "settings.py": 1,  # Time limits.
    "sync/options.py": 1,  # Time limits.
    "transport/answers.py": 1,  # Retry-After.
    "web/metrics.py": 1,  # Prometheus has floats only; what is added up is a Decimal until then.
}


def test_money_meets_no_float() -> None:
    found: dict[str, int] = {}
    for place, path in _modules():
        calls = [
            node
            for node in ast.walk(_tree(path))
            if isinstance(node, ast.Call) and _name(node.func) == "float"
        ]
        if calls:
            found[place] = len(calls)
    assert {place: number for place, number in found.items() if number > _FLOATS.get(place, 0)} == {}


# Texts of our own in which every amount is a string, or none is there.
_OWN_JSON = {
    "db/store/base.py",  # An event's facts, before they are sealed.
    "db/store/audit.py",  # An event's facts, as its seal is over them.
    "db/store/explaining.py",  # What was sent is compared as a text.
    "domain/document.py",  # Amounts are strings in an order's document.
    "runtime/embedded.py",  # Where the embedded broker listens.
    "secrets.py",  # Credentials are strings.
    "sync/pretty.py",  # Numbers are shown as they were written.
}


def test_json_of_others_is_read_with_decimals() -> None:
    found = []
    for place, path in _modules():
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call):
                continue
            reads = _name(node.func) in {"json.load", "json.loads", "json.JSONDecoder"} or (
                isinstance(node.func, ast.Attribute) and node.func.attr == "json" and not node.args
            )
            exact = any(
                each.arg == "parse_float" and _name(each.value) == "Decimal" for each in node.keywords
            )
            if reads and not exact and place not in _OWN_JSON:
                found.append(f"{place}:{node.lineno}")
    assert found == []


def test_requests_is_imported_by_the_transport_alone() -> None:
    found: dict[str, set[str]] = {}
    for place, path in _modules():
        names = {name.partition(".")[0] for name in _imported(_tree(path))}
        for name in names & {"requests", "requests_oauthlib", "urllib3", "httpx", "aiohttp"}:
            found.setdefault(name, set()).add("/".join(place.split("/")[:2]))
    assert found.pop("requests_oauthlib") == {"connectors/woocommerce"}
    assert found == {"requests": {"transport/client.py"}, "urllib3": {"transport/client.py"}}
