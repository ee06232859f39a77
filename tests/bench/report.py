"""What was measured, as tables for a person, and the aims beside it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.calls import APART

_MILLI = 1000.0
_AIM_ORDERS = 1000


def aims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each aim with what was measured, and whether it is met: None where it was not measured."""
    zero = found.get("zero", {}).get("known", {}).get("median")
    calls = [row["apart_from_writing"] for row in found.get("calls", {}).values()]
    ratio = found.get("naive", {}).get("200", {}).get("ratio")
    written = found.get("latency", {}).get("50", {})
    seconds = written["written_seconds_median"] if written.get("orders") == _AIM_ORDERS else None
    store = next(iter(found.get("quota", {}).values()), None)
    refused = [row["refused"] for row in found.get("quota", {}).values()]
    return [
        _aim("orders/s end to end at 0 ms, customers known (median)", ">=", 300, zero),
        _aim(
            "HTTP calls per 100 orders, apart from new customers and order inserts",
            "<=",
            6,
            max(calls, default=None),
        ),
        _aim("times the naive script at 200 ms per request", ">=", 10, ratio),
        _aim("seconds until 1,000 orders are read, checked and in the database at 50 ms", "<=", 2, seconds),
        _aim(
            "requests per 100 BigCommerce orders beside status updates",
            "<=",
            10,
            None if store is None else store["others_per_100"],
        ),
        _aim(
            "status updates per 100 BigCommerce orders",
            "<=",
            100,
            None if store is None else store["updates_per_100"],
        ),
        _aim("requests that a BigCommerce store refused (429)", "<=", 0, sum(refused) if refused else None),
    ]


def _aim(text: str, sign: str, wanted: float, measured: float | None) -> dict[str, Any]:
    met = None if measured is None else measured >= wanted if sign == ">=" else measured <= wanted
    return {"aim": text, "wanted": f"{sign} {wanted:g}", "measured": measured, "met": met}


def show(report: Mapping[str, Any], *, console: Console) -> None:
    """Every table for which something was measured."""
    console.print()
    tables: Mapping[str, Callable[[Any], Table]] = {
        "stages": _stages,
        "calls": _calls,
        "quota": _quota,
        "memory": _memory,
        "naive": _naive,
        "bounds": _bounds,
    }
    if "zero" in report or "latency" in report:
        console.print(_end_to_end(report))
    for name, make in tables.items():
        if name in report:
            console.print(make(report[name]))
    console.print(_aims(report["aims"]))


def _table(title: str, *columns: str, rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _end_to_end(report: Mapping[str, Any]) -> Table:
    rows = {
        **{f"0 ms, {kind}": row for kind, row in report.get("zero", {}).items()},
        **{f"{latency} ms, known": row for latency, row in report.get("latency", {}).items()},
    }
    return _table(
        "End to end through Celery; CPU in ms per order, of the best run",
        *("request, customers", "best, orders/s", "median", "in database"),
        *("workers", "sandboxes", "broker, db", "cores allow", "others"),
        rows=[_end_to_end_row(text, row, report["machine"]["cores"]) for text, row in rows.items()],
    )


def _end_to_end_row(text: str, row: Mapping[str, Any], cores: int) -> list[str]:
    best = max(row["runs"], key=lambda run: float(run["orders_per_s"]))
    cpu = {name: seconds / row["orders"] for name, seconds in best["cpu_seconds"].items()}
    groups = (
        cpu["worker"] + cpu["beat"],
        cpu["shop"] + cpu["erp"],
        cpu["broker"] + cpu.get("database", 0.0),
    )
    return [
        text,
        f"{row['best']:.0f}",
        f"{row['median']:.0f}",
        f"{row['written_seconds_median']:.2f} s",
        *(f"{seconds * _MILLI:.2f}" for seconds in groups),
        f"{cores / sum(groups):.0f}/s",
        f"{best['others_cores']:.1f} cores",
    ]


def _stages(stages: Mapping[str, Mapping[str, float]]) -> Table:
    def row(name: str, stage: Mapping[str, float]) -> list[str]:
        orders = stage["orders_per_s"] * stage["wall_seconds"]
        sandboxes = stage["sandbox_cpu_shop_seconds"] + stage["sandbox_cpu_erp_seconds"]
        parts = (stage["wall_seconds"], stage["cpu_seconds"], sandboxes)
        return [name, f"{stage['orders_per_s']:.0f}", *(f"{each / orders * _MILLI:.2f}" for each in parts)]

    return _table(
        "Each stage alone, in one process, at 0 ms, customers known; ms per order",
        "stage", "orders/s", "wall", "our CPU", "sandboxes' CPU",
        rows=[row(name, stage) for name, stage in stages.items()],
    )  # fmt: skip


def _calls(calls: Mapping[str, Any]) -> Table:
    kinds = ("known", "new")
    rows = []
    for peer in ("shop", "erp"):
        purposes = dict.fromkeys(purpose for kind in kinds for purpose in calls[kind][peer])
        for purpose in purposes:
            counts = [calls[kind][peer].get(purpose, {}) for kind in kinds]
            shown = [f"{count.get(which, 0):g}" for count in counts for which in ("calls", "operations")]
            rows.append([f"{peer}: {purpose}{' *' if purpose in APART else ''}", *shown])
    apart = [text for kind in kinds for text in (f"{calls[kind]['apart_from_writing']:g}", "")]
    rows.append(["all but those with *", *apart])
    return _table(
        "HTTP calls and the operations in them, per 100 orders",
        "what for", "calls, known", "operations", "calls, new", "operations",
        rows=rows,
    )  # fmt: skip


def _quota(quota: Mapping[str, Mapping[str, Any]]) -> Table:
    return _table(
        "A BigCommerce store's orders, marked one by one inside its quota; requests per 100 orders",
        "orders whose", "updates", "others", "refused", "most in a window", "quota", "seconds",
        rows=[
            [
                name,
                *(f"{row[key]:g}" for key in ("updates_per_100", "others_per_100", "refused", "most_in_window")),
                f"{row['quota']} in {row['window_seconds']:g} s",
                f"{row['seconds']:.1f}",
            ]
            for name, row in quota.items()
        ],
    )  # fmt: skip


def _memory(memory: Mapping[str, Mapping[str, float]]) -> Table:
    kinds = ("rss_mb", "pss_mb", "uss_mb")
    return _table(
        "Memory at its peak, MB (RSS counts shared pages for each process, PSS shares them out)",
        "process", "RSS", "PSS", "own (USS)",
        rows=[
            [name, *(f"{sizes[kind]:.0f}" if kind in sizes else "-" for kind in kinds)]
            for name, sizes in memory.items()
        ],
    )  # fmt: skip


def _naive(naive: Mapping[str, Mapping[str, float]]) -> Table:
    def row(latency: str, found: Mapping[str, float]) -> list[str]:
        ours = (
            [f"{found['order_sync_orders_per_s']:.0f}", f"{found['ratio']:g} x"]
            if "ratio" in found
            else ["-", "-"]
        )
        return [f"{latency} ms", f"{found['orders_per_s']:.1f}", f"{found['calls_per_order']:.2f}", *ours]

    return _table(
        "A naive sequential script on the same sandbox, customers known; it stores nothing",
        "per request", "orders/s", "calls per order", "Order Sync", "ratio",
        rows=[row(latency, found) for latency, found in naive.items()],
    )  # fmt: skip


def _bounds(bounds: Mapping[str, Mapping[str, float]]) -> Table:
    return _table(
        "What is unavoidable: orders/s of each by itself",
        "what", "orders/s", "sandbox CPU, s",
        rows=[
            [
                name,
                f"{row['orders_per_s']:.0f}",
                f"{row['sandbox_cpu_seconds']:.2f}" if "sandbox_cpu_seconds" in row else "-",
            ]
            for name, row in bounds.items()
        ],
    )  # fmt: skip


def _aims(found: Sequence[Mapping[str, Any]]) -> Table:
    words = {True: "yes", False: "no", None: "not measured"}
    return _table(
        "Aims",
        "aim", "wanted", "measured", "met",
        rows=[
            [
                aim["aim"],
                aim["wanted"],
                "-" if aim["measured"] is None else f"{aim['measured']:g}",
                words[aim["met"]],
            ]
            for aim in found
        ],
    )  # fmt: skip
