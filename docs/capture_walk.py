"""Walk the path of docs/operate.md from an empty folder to the first orders, and put every command's output there.

Usage: .venv/bin/python docs/capture_walk.py. The shop and the ERP are the stand-ins of `app/sandbox`; everything else is as it
is with real ones. Each block between `walk:begin NAME` and `walk:end` is replaced by its commands and what they printed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "operate.md"
WIDTH = 112
SHOP, STORE, ERP = "http://127.0.0.1:8090", "http://127.0.0.1:8091", "http://127.0.0.1:8046"
BLOCKS: dict[str, tuple[str, ...]] = {
    "first look": ("ordersync doctor database broker worker beat",),
    "erp": (
        "export BC_SECRET=sandbox-secret",
        (
            "ordersync erp add bc --platform business_central --company 7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01 \\\n"
            f"  --url {ERP}/api/v2.0 --allow-private \\\n"
            f"  --credential token_url={ERP}/sandbox/oauth2/v2.0/token \\\n"
            "  --credential client_id=sandbox-client --credential client_secret=env:BC_SECRET \\\n"
            "  --set default_customer=WEB-CASH --set account.shipping=40400 --set account.tax=40500 \\\n"
            "  --set account.fee=40600 --set account.rounding=40900"
        ),
        "ordersync doctor erp:bc",
        "ordersync items sync",
    ),
    "kits": (
        "printf 'parent_sku,component_sku,quantity\\nKIT-PARENT-123,COMP-A,3\\nKIT-PARENT-123,COMP-B,1\\n' > kits.csv",
        "ordersync kits import kits.csv",
    ),
    "site": (
        "export CK=ck_sandbox CS=cs_sandbox",
        (
            "ordersync site add bgm --platform woocommerce --prefix BGM \\\n"
            f"  --url {SHOP} --allow-private \\\n"
            "  --credential key=env:CK --credential secret=env:CS --set max_orders_per_run=3"
        ),
        "ordersync doctor",
    ),
    "first orders": ("ordersync sync bgm", "ordersync errors list", "ordersync order list --state done"),
    "one order": ("ordersync order show BGM-2",),
    "all orders": (
        "ordersync site set bgm --set max_orders_per_run=",
        "ordersync sync bgm",
        "ordersync status",
        "ordersync queue",
    ),
    "probe": ("ordersync site probe bgm",),
    "hooks": (
        "ordersync site hooks install bgm --url http://127.0.0.1:8080",
        f'curl -s -X POST {SHOP}/_sandbox/generate -d \'{{"count": 1, "skus": ["WID-001"], "announce": true}}\'',
        "sleep 3; ordersync order list --limit 1",
        "ordersync site hooks check bgm",
    ),
    "bigcommerce": (
        "export BCM_TOKEN=bc_sandbox_token BCM_SECRET=bc_sandbox_client_secret",
        (
            "ordersync site add bcm --platform bigcommerce --prefix BCM \\\n"
            f"  --url {STORE}/stores/sandbox1 --allow-private \\\n"
            "  --credential token=env:BCM_TOKEN --credential client_secret=env:BCM_SECRET"
        ),
        "ordersync site probe bcm",
        "ordersync sync bcm",
    ),
    "reconcile": (
        "ordersync reconcile bgm",
        "ordersync reconcile bcm",
        "python3 -c \"import sqlite3; c = sqlite3.connect('var/ordersync.db'); c.execute('DELETE FROM rm_inbox WHERE id = 2'); c.commit()\"",
        "ordersync reconcile bgm",
        "ordersync reconcile bgm --heal",
    ),
    "repair": (
        "ordersync errors list",
        "ordersync errors repair BGM-3 --set /lines/0/sku=WID-01",
        'ordersync errors repair BGM-3 --set /lines/0/sku=WID-001 --reason "typing error in the shop"',
        "ordersync errors resume BGM-3 --dry-run",
        "ordersync retry BGM-3 --wait",
        "ordersync retry BGM-3",
    ),
    "life": ("ordersync trace BGM-3", "ordersync explain BGM-3", "ordersync audit verify"),
    "by hand": (
        "ordersync task list",
        "ordersync task run fetch bgm --wait",
        "ordersync task run verify BGM-3",
        "ordersync task run sync_items --wait",
        "ordersync runs list --limit 4",
    ),
    "limits": ("ordersync limits",),
}


def main() -> None:
    """Walk, and write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    with _folder() as folder, _peers():
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ORDERSYNC_", "CI"))},
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "COLUMNS": str(WIDTH),
            "ORDERSYNC_FLOWER_AUTH": "ops:choose-a-password",
        }
        shown = {"first look": _block(BLOCKS["first look"], folder, environment)}
        with _up(folder, environment) as said:
            exports = ""
            for name, commands in BLOCKS.items():
                if name in shown:
                    continue
                shown[name] = _block(commands, folder, environment, before=exports)
                exports += "".join(f"{each}\n" for each in commands if each.startswith("export "))
        shown["up"] = f"    $ ordersync up\n{_indented(said())}"
    for name, text in shown.items():
        mark = re.compile(rf"(<!-- walk:begin {re.escape(name)} -->\n).*?(<!-- walk:end -->)", re.DOTALL)
        page, count = mark.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
        if count != 1:
            sys.exit(f"{PAGE} has {count} places for the block {name!r}.")
    PAGE.write_text(page, encoding="utf-8")


def _block(commands: tuple[str, ...], folder: str, environment: dict[str, str], *, before: str = "") -> str:
    lines = []
    for command in commands:
        done = subprocess.run(  # the commands are the page's own
            ["bash", "-c", before + command],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        before += f"{command}\n" if command.startswith("export ") else ""
        lines += [
            _indented(f"$ {command}"),
            _indented(done.stdout + done.stderr),
        ]
        print(command.split("\n")[0], "->", done.returncode)
    return "\n".join(line for line in lines if line.strip())


def _indented(text: str) -> str:
    return "\n".join(f"    {line.rstrip()}".rstrip() for line in text.strip("\n").split("\n"))


@contextmanager
def _folder() -> Iterator[str]:
    """A folder of a name that can be shown."""
    folder = Path(tempfile.gettempdir()) / "order-sync"
    folder.mkdir()
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _peers() -> Iterator[None]:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"app.sandbox.{name}", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, options in (
            ("shop", ["--port", "8090", "--empty"]),
            ("bigcommerce", ["--port", "8091"]),
            ("erp", ["--port", "8046"]),
        )
    ]
    try:
        for each in started:
            assert each.stdout is not None  # noqa: S101 - a pipe was asked for
            each.stdout.readline()
        for count, skus in ((2, ["KIT-PARENT-123", "WID-001"]), (1, ["BLK-1"]), (9, ["WID-001", "COMP-A"])):
            wanted = {"count": count, "lines": len(skus), "skus": skus, "spread_seconds": 1}
            request = Request(f"{SHOP}/_sandbox/generate", data=json.dumps(wanted).encode(), method="POST")  # noqa: S310 - our own stand-in
            with urlopen(request, timeout=10):  # noqa: S310 - the same
                time.sleep(1.1)
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


@contextmanager
def _up(folder: str, environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Everything up in that folder; gives what it has said in the end."""
    path = Path(folder) / "said.txt"
    with path.open("w") as out:
        process = subprocess.Popen(
            ["ordersync", "up"], cwd=folder, env=environment, stdout=out, stderr=subprocess.DEVNULL
        )
    while "Ctrl-C stops everything." not in path.read_text():
        time.sleep(0.1)
    time.sleep(4)

    text = ""
    try:
        yield lambda: text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        text = path.read_text()


if __name__ == "__main__":
    main()
