"""`make soak` on a few orders, so that it does not rot: nothing here says how fast or how large anything is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_backlogs_are_drained_and_the_memory_is_told_along_the_way(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.bench.soak",
        "--orders",
        "120",
        "--small",
        "20",
        "--var",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, cwd=_ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["small"]["orders"], found["large"]["orders"]) == (20, 120)
    assert found["ratio"] > 0
    assert found["memory"][-1]["exported"] == 120
    assert all(sample["main_mb"] > 0 and sample["children_mb"] > 0 for sample in found["memory"])
    assert found["replaced"] == 0
