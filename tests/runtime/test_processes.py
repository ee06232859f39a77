import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery

from app.errors import Misconfigured, UsageError
from app.runtime import ProcessGroup, exclusive_lock, free_port

# Says its own and its child's process id, and ends on SIGTERM after writing its name to a shared file.
_POLITE = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
def leave(*_):
    with open(sys.argv[2], "a") as order: order.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print(child.pid, flush=True)
while True: time.sleep(1)
"""
_STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
while True: time.sleep(1)
"""
_SPEAKING_PARENT = """
import sys
from app.runtime import ProcessGroup
with ProcessGroup(None) as group:
    group.start("child", [sys.executable, "-c", "import sys; print('out', flush=True); print('err', file=sys.stderr)"])
    while not group.poll(): pass
"""
_PARENT = """
import sys, time
from pathlib import Path
from app.runtime import ProcessGroup
group = ProcessGroup(Path(sys.argv[1]))
print(group.start("stubborn", [sys.executable, "-c", sys.argv[2]]), flush=True)
time.sleep(60)
"""

# A Celery worker with two pool processes, each kept busy by a task.
_CELERY_APP = """
import os, time
from celery import Celery
app = Celery("busy", broker=os.environ["BROKER"])
@app.task
def sleep(folder, seconds):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(seconds)
    open(os.path.join(folder, f"{os.getpid()}.done"), "w").close()
"""
_CELERY_PARENT = """
import sys, time
from pathlib import Path
from app.runtime import ProcessGroup
folder = Path(sys.argv[1])
command = [sys.executable, "-m", "celery", "-A", "busy", "worker", "-c", "2"]
print(ProcessGroup(folder).start("worker", command, cwd=folder, environment={"BROKER": sys.argv[2]}), flush=True)
time.sleep(60)
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    # An orphan that ended may wait for the first process of a container to reap it.
    return not (status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z")


def _wait_until_gone(pid: int, *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while _is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there after {seconds} s"
        time.sleep(0.02)


def _first_line(log: Path) -> str:
    deadline = time.monotonic() + 10
    while not (log.exists() and "\n" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, f"nothing was written to {log}"
        time.sleep(0.02)
    return log.read_text(encoding="utf-8").splitlines()[0]


def test_an_ordered_stop_goes_backwards_and_leaves_nothing_behind(tmp_path: Path) -> None:
    order = tmp_path / "order"
    names = ["sandbox", "worker", "beat"]
    with ProcessGroup(tmp_path / "log") as group:
        pids = [group.start(name, [sys.executable, "-c", _POLITE, name, str(order)]) for name in names]
        grandchildren = [int(_first_line(group.log_path(name))) for name in names]
        assert all(_is_alive(pid) for pid in pids + grandchildren)
        group.stop()
        group.stop()
    assert order.read_text(encoding="utf-8").split() == ["beat", "worker", "sandbox"]
    for pid in pids + grandchildren:
        _wait_until_gone(pid)


def test_a_child_that_does_not_end_when_asked_is_killed_with_all_it_started(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path, grace=0.2)
    pid = group.start("stubborn", [sys.executable, "-c", _STUBBORN])
    grandchild = int(_first_line(group.log_path("stubborn")))
    assert group.stop_one("stubborn") == -signal.SIGKILL
    group.stop()
    _wait_until_gone(pid)
    _wait_until_gone(grandchild)


def test_nothing_survives_when_we_are_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path), _STUBBORN], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    grandchild = int(_first_line(tmp_path / "stubborn.log"))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _wait_until_gone(child)
    _wait_until_gone(grandchild)


def test_a_killed_child_can_be_started_again_and_goes_on_in_its_log(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        command = [sys.executable, "-c", _STUBBORN]
        first = group.start("worker", command, grace=0.1)
        grandchild = int(_first_line(group.log_path("worker")))
        group.kill("worker")
        _wait_until_gone(grandchild)
        second = group.start("worker", command, grace=0.1)
        assert second != first
        assert _is_alive(second)
        assert not _is_alive(first)
        assert int(_first_line(tmp_path / "worker.log")) == grandchild


def _busy_worker_folder(tmp_path: Path, *, broker_url: str, seconds: float) -> Path:
    """A folder with a Celery application in it and two tasks waiting in its queue."""
    (tmp_path / "busy.py").write_text(_CELERY_APP, encoding="utf-8")
    folder = tmp_path / "pids"
    folder.mkdir()
    with Celery("busy", broker=broker_url) as sender:
        for _ in range(2):
            sender.send_task("busy.sleep", args=[str(folder), seconds])
    return folder


def _pool_pids(folder: Path, log: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while len(found := [int(path.name) for path in folder.iterdir() if path.name.isdigit()]) < 2:
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_a_celery_worker_finishes_its_tasks_when_stopped_and_leaves_no_pool_behind(
    tmp_path: Path, empty_broker_url: str
) -> None:
    folder = _busy_worker_folder(tmp_path, broker_url=empty_broker_url, seconds=1)
    with ProcessGroup(tmp_path) as group:
        command = [sys.executable, "-m", "celery", "-A", "busy", "worker", "-c", "2"]
        worker = group.start("worker", command, cwd=tmp_path, environment={"BROKER": empty_broker_url})
        pool = _pool_pids(folder, group.log_path("worker"))
        assert group.stop_one("worker") == 0
    assert sorted(path.name for path in folder.glob("*.done")) == sorted(f"{pid}.done" for pid in pool)
    for pid in [worker, *pool]:
        _wait_until_gone(pid)


@pytest.mark.slow
def test_a_celery_worker_and_its_pool_end_when_we_are_killed(tmp_path: Path, empty_broker_url: str) -> None:
    folder = _busy_worker_folder(tmp_path, broker_url=empty_broker_url, seconds=60)
    parent = subprocess.Popen(
        [sys.executable, "-c", _CELERY_PARENT, str(tmp_path), empty_broker_url],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    pool = _pool_pids(folder, tmp_path / "worker.log")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for pid in [worker, *pool]:
        _wait_until_gone(pid)


def test_without_a_folder_for_logs_children_write_where_we_write() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SPEAKING_PARENT], capture_output=True, text=True, check=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_all_can_be_killed_at_once(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path, grace=60) as group:
        pids = [group.start(name, [sys.executable, "-c", _STUBBORN]) for name in ("one", "two")]
        grandchildren = [int(_first_line(group.log_path(name))) for name in ("one", "two")]
        group.kill_all()
        assert group.names == []
        for pid in pids + grandchildren:
            _wait_until_gone(pid)


def test_poll_tells_which_child_has_ended_and_how(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path, grace=0.1) as group:
        group.start("short", [sys.executable, "-c", "raise SystemExit(3)"])
        group.start("long", [sys.executable, "-c", _STUBBORN])
        deadline = time.monotonic() + 10
        while not group.poll():
            assert time.monotonic() < deadline, "the short child did not end"
            time.sleep(0.02)
        assert group.poll() == {"short": 3}
        assert _is_alive(group.pid("long"))


def test_children_get_our_environment_the_added_one_and_a_session_of_their_own(tmp_path: Path) -> None:
    program = "import os; print(os.environ['ADDED'], 'PATH' in os.environ, os.getsid(0) == os.getpid())"
    with ProcessGroup(tmp_path) as group:
        group.start("child", [sys.executable, "-c", program], environment={"ADDED": "a b"})
        assert _first_line(tmp_path / "child.log") == "a b True True"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    with pytest.raises(Misconfigured, match="no program no-such-program"):
        group.start("child", ["no-such-program"])
    assert group.poll() == {}
    assert list(tmp_path.iterdir()) == []


def test_one_name_is_one_running_child(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path, grace=0.1) as group:
        pid = group.start("child", [sys.executable, "-c", _STUBBORN])
        with pytest.raises(UsageError, match="running already"):
            group.start("child", [sys.executable, "-c", _STUBBORN])
        assert group.pid("child") == pid


def test_the_preferred_port_is_given_when_nobody_listens_on_it() -> None:
    port = free_port(0)
    assert free_port(port) == port


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_another_port_is_given_when_the_preferred_one_is_taken(address: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        other = free_port(taken)
    assert other != taken
    assert other > 0


def test_a_lock_that_is_held_is_refused_with_the_files_name_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "demo.lock"
    with exclusive_lock(path):
        with pytest.raises(UsageError, match=r"demo\.lock is locked"), exclusive_lock(path):
            pytest.fail("two holders of one lock")
        with pytest.raises(UsageError), exclusive_lock(path, wait=0.1):
            pytest.fail("two holders of one lock")
    with exclusive_lock(path):
        assert path.exists()


def test_a_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "demo.lock"
    program = (
        "import sys, time; from pathlib import Path; from app.runtime import ExclusiveLock; "
        "ExclusiveLock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    # The lock object is not kept, but its descriptor stays open: nothing but the end of the process lets go.
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError), exclusive_lock(path):
        pytest.fail("two holders of one lock")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with exclusive_lock(path):
        assert path.exists()
