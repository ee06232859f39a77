"""`make bench` on a few orders, so that it does not rot: nothing here says how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import calls, report
from tests.bench.measures import PARTS

_ORDERS = 30
_ROOT = Path(__file__).parents[2]


def _bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=_ROOT)


@pytest.mark.slow
def test_every_measurement_has_its_rows_and_every_order_is_counted(tmp_path: Path) -> None:
    var = tmp_path / "bench"
    done = _bench(
        *("--orders", str(_ORDERS), "--repeat", "1", "--latencies", "1", "--cores", "8", "--var", str(var))
    )
    assert done.returncode == 0, done.stderr
    *shown, line = done.stdout.splitlines()
    found = json.loads(line)
    assert found == json.loads((var / "latest.json").read_text(encoding="utf-8"))

    runs = [*found["zero"]["new"]["runs"], *found["zero"]["known"]["runs"], *found["latency"]["1"]["runs"]]
    assert len(runs) == 3
    assert all(0 < run["written_seconds"] <= run["seconds"] for run in runs)
    assert all(run["cpu_seconds"][name] > 0 for run in runs for name in ("worker", "shop", "erp", "broker"))
    assert set(found["memory"]) >= {"worker", "child 1", "beat", "sum"}
    stages = ("fetch", "normalize", "verify_skus", "expand_kits", "apply_store_credit", "write")
    assert set(found["stages"]) == {*stages, "acknowledge", "export", "export, every customer new"}
    assert found["naive"]["1"]["orders"] == _ORDERS
    assert found["naive"]["1"]["calls_per_order"] == round(8 + 1 / _ORDERS, 2)
    assert found["naive"]["1"]["ratio"] > 0
    assert len(found["bounds"]) == 6
    assert len(found["aims"]) == 7
    for row in found["quota"].values():
        assert row["updates_per_100"] == 100
        assert (row["refused"], row["most_in_window"] <= row["quota"]) == (0, True)
    _assert_every_order_is_counted(found["calls"])
    text = "\n".join(shown)
    for row in (*found["stages"], *found["bounds"], *found["memory"], "1 ms, known", "order inserts", "Aims"):
        assert row in text


def _assert_every_order_is_counted(counted: dict[str, Any]) -> None:
    for kind, creations in (("new", 100), ("known", 0)):
        shop, erp = counted[kind]["shop"], counted[kind]["erp"]
        assert shop["list"]["calls"] > 0
        assert shop["acknowledge"]["operations"] == 100
        # Each order is written and read back.
        assert erp["order inserts"]["operations"] >= 100
        made = erp["customer creations"]
        assert max(made["calls"], made["operations"]) == creations


def test_only_what_was_asked_for_is_measured(tmp_path: Path) -> None:
    done = _bench(
        *("--orders", "5", "--only", "naive", "--latencies", "", "--json-only"),
        *("--cores", "8", "--var", str(tmp_path / "bench")),
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert not set(found) & (set(PARTS) - {"naive"})
    assert found["naive"]["0"]["orders"] == 5
    assert [aim["met"] for aim in found["aims"]] == [None] * 7
    assert "The naive script at 0 ms" in done.stderr


@pytest.mark.parametrize(
    ("_case", "arguments", "sentence"),
    [
        ("measurement", ("--only", "speed"), "There is no measurement 'speed'"),
        ("latencies", ("--latencies", "fast"), "--latencies are whole milliseconds"),
        ("orders", ("--orders", "0"), "--orders and --repeat must be above zero."),
        ("database", ("--database", "oracle"), "There is no database 'oracle'"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    _case: str, arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = _bench(*arguments, "--var", str(tmp_path / "bench"))
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stdout == ""


def test_calls_are_told_apart_by_what_they_are_for() -> None:
    orders = "/wp-json/wc/v3/orders"
    shop = [
        {"method": "GET", "path": orders, "query": "status=processing&page=1&modified_after=x", "entries": 0},
        {"method": "GET", "path": orders, "query": "include=1%2C2&status=any", "entries": 0},
        {"method": "GET", "path": orders, "query": "per_page=1&_fields=id", "entries": 0},
        {"method": "POST", "path": f"{orders}/batch", "query": "", "entries": 100},
    ]
    found = calls.shop_counts(shop)
    assert {name: tuple(row.values()) for name, row in found.items()} == {
        "list": (1, 0),
        "re-read": (1, 0),
        "acknowledge": (1, 100),
        "probe": (1, 0),
    }
    batch = {"method": "POST", "path": "/api/v2.0/$batch"}
    erp: list[dict[str, Any]] = [
        {"method": "POST", "path": "/sandbox/oauth2/v2.0/token", "kinds": {}},
        {"method": "GET", "path": "/api/v2.0/companies(1)/items", "kinds": {}},
        {"method": "POST", "path": "/api/v2.0/companies(1)/customers", "kinds": {}},
        batch | {"kinds": {"GET salesOrders": 7, "GET salesInvoices": 7}},
        batch | {"kinds": {"GET salesOrders": 7, "GET customers": 4}},
        batch | {"kinds": {"POST salesOrders": 50, "GET salesOrders": 50}},
        batch | {"kinds": {"POST customers": 20, "GET customers": 20}},
    ]
    counted = calls.erp_counts(erp)
    assert {name: tuple(row.values()) for name, row in counted.items()} == {
        "item look-ups": (1, 0),
        "document look-ups": (1, 21),
        "customer look-ups": (0, 4),
        "look-ups together": (1, 0),
        "customer creations": (2, 40),
        "order inserts": (1, 100),
        "sign-in": (1, 0),
    }
    assert calls.apart_from_writing(found, counted) == 4 + 4


def test_an_aim_says_what_was_measured_and_whether_it_is_met() -> None:
    found = {
        "zero": {"known": {"median": 310.0}},
        "calls": {"new": {"apart_from_writing": 6.5}, "known": {"apart_from_writing": 5.0}},
        "latency": {"50": {"orders": 1000, "written_seconds_median": 2.0}},
    }
    assert [(aim["measured"], aim["met"]) for aim in report.aims(found)] == [
        (310.0, True),
        (6.5, False),
        (None, None),
        (2.0, True),
        (None, None),
        (None, None),
        (None, None),
    ]
