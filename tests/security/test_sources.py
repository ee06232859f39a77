"""What the program never does, read from its own source: not by words, which stand in comments too, but by what is called."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import load_settings
from workers.application import make_app

ROOT = Path(__file__).parents[2]
FORBIDDEN_IMPORTS = {
    "pickle",
    "cPickle",
    "dill",
    "marshal",
    "shelve",
    "jsonpickle",
    "yaml",
    "xml",
    "lxml",
    "telnetlib",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "ssl._create_unverified_context"}
_TAKE_SQL = {"text", "exec_driver_sql", "literal_column"}
_CONSTANTS = {
    "app/db/health.py",  # The names of pragmas, which stand in the same module.
    "app/db/migrations/versions/0005_rows_that_cannot_be_wrong.py",  # Tables and words, which stand in the same module.
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("app", "tasks", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{name_of(value)}.{name}"
        case _:
            return ""


def faults(place: str, tree: ast.Module) -> Iterator[str]:
    """What is done there that must not be, each with its line."""
    takes_sql = place not in _CONSTANTS and not place.startswith("app/sandbox/")
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = {each.name.partition(".")[0] for each in names} & FORBIDDEN_IMPORTS
            case ast.ImportFrom(module=str(module), level=0):
                found = {module.partition(".")[0]} & FORBIDDEN_IMPORTS
            case ast.Call():
                found = set(_of_call(node, takes_sql=takes_sql))
            case ast.Attribute(attr="CERT_NONE" | "check_hostname" as attribute):
                found = {attribute}
            case _:
                continue
        yield from (f"{place}:{node.lineno} {each}" for each in sorted(found))


def _of_call(call: ast.Call, *, takes_sql: bool) -> Iterator[str]:
    name = name_of(call.func)
    if name in FORBIDDEN_CALLS:
        yield name
    for each in call.keywords:
        if (each.arg, getattr(each.value, "value", None)) in {("shell", True), ("verify", False)}:
            yield f"{each.arg}="
    made = call.args[:1]
    if name.rpartition(".")[2] in _TAKE_SQL and made and takes_sql:
        if any(isinstance(part, ast.JoinedStr | ast.BinOp) for part in ast.walk(made[0])):
            yield "SQL that is put together from texts"
        if isinstance(made[0], ast.Call) and name_of(made[0].func).endswith("format"):
            yield "SQL that is put together from texts"


def test_nothing_is_unpickled_evaluated_given_to_a_shell_or_believed_without_its_certificate() -> None:
    found = [fault for place, tree in sources() for fault in faults(place, tree)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import xml.etree.ElementTree",
        "eval('1')",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "session.get(url, verify=False)",
        "context.verify_mode = ssl.CERT_NONE",
        "context.check_hostname = False",
        "connection.execute(text(f'SELECT {name}'))",
        "connection.execute(sa.text('SELECT ' + name))",
        "connection.exec_driver_sql('SELECT {}'.format(name))",
    ],
)
def test_each_of_them_would_be_found(line: str) -> None:
    assert list(faults("app/made_up.py", ast.parse(line)))


def test_celery_sends_and_takes_json_alone() -> None:
    configuration = make_app(load_settings({"ORDERSYNC_ENV_FILE": "/dev/null"}), url="memory://").conf
    assert configuration.accept_content == configuration.result_accept_content == ["json"]
    assert configuration.task_serializer == configuration.event_serializer == "json"


def test_secrets_are_compared_in_constant_time() -> None:
    """In every module that checks a signature or a login, and nothing of theirs is compared by ==."""
    for place in ("connectors/woocommerce/hooks.py", "connectors/bigcommerce/hooks.py"):
        tree = ast.parse((ROOT / "app" / place).read_text(encoding="utf-8"))
        calls = {name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert "hmac.compare_digest" in calls, place
        compared = {
            name_of(part).rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops)
            for part in (node.left, *node.comparators)
        }
        assert not compared & {"signature", "secret", "given", "wanted"}, place
