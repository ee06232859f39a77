"""`make chaos` on a few orders: it comes through unharmed, and a deliberate fault in the middleware does not go unnoticed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]

_ROOT = Path(__file__).parents[2]


def _chaos(var: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.chaos", "--database", "sqlite", "--var", str(var), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=_ROOT)
    assert done.returncode in {0, 1}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, report


def test_a_few_kills_and_faults_harm_no_order(tmp_path: Path) -> None:
    var = tmp_path / "run"
    code, report = _chaos(var, "--orders", "60", "--kills", "5", "--seed", "3")
    assert (code, report["found"]) == (0, [])
    assert (report["orders"], report["kills"]) == (60, 5)
    assert report["faults"] > 0
    assert report["exported"] > 40
    # Nothing is kept of a run that found nothing.
    assert not var.exists()


def test_a_middleware_that_does_not_look_before_it_writes_is_found_out(tmp_path: Path) -> None:
    var, code, report = tmp_path, 0, dict[str, Any]()
    # What is lost, and when, is a matter of real time: a run in which no answer to a write was lost can find nothing.
    for seed in ("3", "4", "5"):
        var = tmp_path / seed
        code, report = _chaos(
            var,
            *("--orders", "30", "--kills", "1", "--seed", seed),
            *("--fault", "blind", "--faults", "lost", "--patience", "25"),
        )
        if code:
            break
    assert code == 1
    assert report["duplicated"] > 0
    assert any(each.startswith("duplicated: ") for each in report["found"])
    assert '"event": "kill"' in (var / "history.jsonl").read_text(encoding="utf-8")
